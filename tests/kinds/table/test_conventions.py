"""Invoices as five countries write them: no column is lost, and each of five planted errors is found."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dn2
from dn2.errors import InputError

N_REFERENCE, N_NEW = 400, 60


@dataclass(frozen=True)
class Convention:
    """How a country writes a table."""

    delimiter: str
    decimal: str
    grouping: str
    day: str
    money: str
    indian: bool = False

    def number(self, value: float, places: int = 0) -> str:
        """Write a number."""
        whole, _, rest = f"{abs(value):.{places}f}".partition(".")
        groups, width = [], 3
        while whole:
            groups.insert(0, whole[-width:])
            whole, width = whole[:-width], 2 if self.indian else 3
        return ("-" if value < 0 else "") + self.grouping.join(groups) + (self.decimal + rest if rest else "")


COUNTRIES = {
    "German": Convention(";", ",", ".", "%d.%m.%Y", "{} €"),
    "American": Convention(",", ".", ",", "%m/%d/%Y", "${}"),
    "Swiss": Convention(";", ".", "'", "%d.%m.%Y", "CHF {}"),
    "French": Convention(";", ",", "\u202f", "%d/%m/%Y", "{} €"),
    "Indian": Convention(",", ".", ",", "%d-%m-%Y", "₹{}", indian=True),
}
PLANTED = {"amount": 3, "quantity": 11, "vat": 22, "customer": 33, "due": 44}


def invoices(country: Convention, n: int, seed: int, *, planted: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    quantity = rng.lognormal(6.5, 0.8, n).astype(int) + 1
    amount = quantity * rng.normal(12.5, 0.4, n)
    vat = rng.choice([7, 19], n, p=[0.3, 0.7])
    due = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.permutation(n) % 365, "D")
    customer = rng.choice([f"customer {number}" for number in range(12)], n)
    if planted:
        amount[PLANTED["amount"]] *= 1_000
        quantity[PLANTED["quantity"]] = 900_000
        vat[PLANTED["vat"]] = 91
        customer[PLANTED["customer"]] = "nobody"
        due = due.where(np.arange(n) != PLANTED["due"], pd.Timestamp("2042-01-01"))
    return pd.DataFrame(
        {
            "invoice": [f"R-{seed}-{number:04}" for number in range(n)],
            "due": due.strftime(country.day),
            "customer": customer,
            "quantity": [country.number(one) for one in quantity],
            "amount": [country.money.format(country.number(one, 2)) for one in amount],
            "vat": [f"{one} %" for one in vat],
            "currency": "same",
        }
    )


@pytest.mark.parametrize("in_memory", [False, True], ids=["file", "frame"])
@pytest.mark.parametrize("name", COUNTRIES)
def test_no_column_is_lost_and_every_planted_error_is_found(name: str, in_memory: bool, tmp_path: Path) -> None:
    country = COUNTRIES[name]
    reference, new = invoices(country, N_REFERENCE, 0), invoices(country, N_NEW, 1, planted=True)
    given: list[Any] = [reference, new]
    if not in_memory:
        given = [tmp_path / "reference.csv", tmp_path / "new.csv"]
        for table, path in zip((reference, new), given, strict=True):
            table.to_csv(path, sep=country.delimiter, index=False)
    model = dn2.fit(given[0], id_column="invoice")
    assert [column.name for column in model.columns if column.is_compared] == list(reference.columns[1:])
    model.save(tmp_path / "m.dn2")
    rows = dn2.load(tmp_path / "m.dn2").score(given[1]).rows
    assert [row.error for row in rows if row.error] == []
    for column, place in PLANTED.items():
        assert rows[place].is_anomaly, (column, rows[place])
        assert column in [one.column for one in rows[place].columns[:2]]
    assert sum(bool(row.is_anomaly) for row in rows) <= len(PLANTED) + 4


def test_numbers_that_no_other_column_decides_are_asked_about_and_the_answer_is_kept(tmp_path: Path) -> None:
    quantities = np.random.default_rng(0).integers(1, 900, 200) * 1_000
    table = io.StringIO()
    for one in ["menge;art", *(f"{number:,};a".replace(",", ".") for number in quantities)]:
        table.write(one + "\n")
    (tmp_path / "a.csv").write_text(table.getvalue())
    with pytest.raises(InputError, match="the column 'menge' holds numbers that can be read in two ways, such as"):
        dn2.fit(tmp_path / "a.csv")
    model = dn2.fit(tmp_path / "a.csv", decimal=",")
    assert model.columns[0].words == "numbers written 1.234,56"
    (tmp_path / "b.csv").write_text("menge;art\n900.000.000;a\n1.5;a\n")
    rows = model.score(tmp_path / "b.csv").rows
    assert (rows[0].is_anomaly, rows[0].columns[0].value) == (True, 900_000_000)
    assert rows[1].error == "menge holds numbers, got '1.5'"


def test_what_a_person_says_of_a_column_overrules_what_it_looks_like() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "site": rng.choice([7, 12, 31], 100),
            "plz": [f"{number:05}" for number in rng.integers(1_000, 99_999, 100)],
            "day": [f"2024{1 + number % 12:02}{1 + number % 28:02}" for number in range(100)],
        }
    )
    plain = {column.name: column.words for column in dn2.fit(table).columns}
    assert plain["site"] == "numbers"
    assert plain["plz"].startswith("an identifier or free text")
    said = dn2.fit(table, categorical="site", numeric="plz", date="day")
    assert [column.words for column in said.columns] == ["3 categories", "numbers", "dates"]
    declared = dn2.fit(table.astype({"site": "category"}))
    assert declared.columns[0].words == "3 categories"
    with pytest.raises(InputError, match="the column 'site' does not hold dates"):
        dn2.fit(table, date="site")
    with pytest.raises(InputError, match="there is no column 'sites'"):
        dn2.fit(table, categorical=["sites"])
