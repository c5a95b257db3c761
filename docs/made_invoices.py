"""Invoices made up, the table that the documents speak of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas

PLANS = {"basic": 9.0, "team": 19.0, "business": 32.0, "enterprise": 45.0}


def invoices(count: int, *, seed: int, first: int) -> pandas.DataFrame:
    """Make up invoices of a service that is paid by the seat."""
    rng = np.random.default_rng(seed)
    plan = rng.choice(list(PLANS), count, p=[0.4, 0.3, 0.2, 0.1])
    seats = np.maximum(1, np.rint(rng.lognormal(np.array([list(PLANS).index(one) for one in plan]) + 1, 0.5))).astype(
        int
    )
    price = np.array([PLANS[one] for one in plan])
    discount = np.where(seats >= 50, 0.9, 1)
    return pandas.DataFrame(
        {
            "invoice": [f"inv-{number:04d}" for number in range(first, first + count)],
            "plan": plan,
            "seats": seats,
            "amount": np.round(seats * price * discount * rng.choice([1.0, 1.19, 1.2], count), 2),
            "country": rng.choice(["DE", "FR", "AT", "ES", "IT", "PL"], count, p=[0.35, 0.2, 0.1, 0.15, 0.12, 0.08]),
            "delay": np.round(rng.gamma(3, 4, count)),
        }
    )


def with_errors(new: pandas.DataFrame) -> pandas.DataFrame:
    """Put an error into six of 300 invoices."""
    wrong = new.copy()
    wrong.loc[17, "amount"] *= 100  # a point lost
    wrong.loc[58, "country"] = "XK"
    wrong.loc[104, ["plan", "seats"]] = ["basic", 480]
    wrong.loc[163, "delay"] = 214.0
    wrong.loc[221, "amount"] = np.nan
    wrong.loc[270, "seats"] = 0
    return wrong


def write_invoices(folder: Path) -> None:
    """Write normal.csv, more.csv, and new.csv with errors."""
    invoices(1_000, seed=0, first=1).to_csv(folder / "normal.csv", index=False)
    invoices(100, seed=2, first=1_001).to_csv(folder / "more.csv", index=False)
    with_errors(invoices(300, seed=1, first=2_001)).to_csv(folder / "new.csv", index=False)
