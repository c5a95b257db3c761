"""The false-alarm rate asked for and got, in every setting: 200 random draws of reference set and new normal items.

Run: python benchmarks/guarantee.py [--only pictures parts messages cleaning tables]

A row has the setting, the number m that calibrates (of the last draw), and for each rate asked the share of new normal
items flagged, its standard error over draws, and in brackets the rate that can be reached, `Calibration.reachable`,
where it differs by more than 2 %, of several products the least; then what dn2 says of the setting.  Above by three
standard errors is marked with ^, and below 0.8 of what can be reached with v, and a reason.  Among so many figures
chance alone marks some: a guarantee that is marked ^, and a row marked v without a reason, are drawn again, with other
seeds and three times as often.  By part, rates average within parts first.
"""

from __future__ import annotations

import logging
import math
import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from common import Report, begin
from dn2.kinds.guarantee import assumptions
from dn2.system.processes import cpu_count
from guarantee_draws import Got, Setting
from guarantee_settings import SECTIONS, SMALLEST, Sizes

RATES = (0.01, 0.05, 0.1, 0.2)
MARKS = {1: "^", -1: "v", 0: " "}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the rates asked for and got."""
    flags = {
        "--only": {"nargs": "*", "default": list(SECTIONS), "choices": SECTIONS},
        "--processes": {"type": int, "default": cpu_count()},
    }
    run = begin(__doc__, arguments, Sizes(), SMALLEST, flags)
    logging.getLogger("dn2").setLevel(logging.ERROR)
    report, draws, processes = run.report("guarantee"), run.sizes.draws, 1 if run.smallest else run.options.processes
    report.say(f"{draws} draws of reference set and new normal items: got +- standard error (reachable)")
    report.say("^ above what is asked by three standard errors; v below 0.8 of what can be reached")
    heads = "".join(f"{f'asked {rate:g}':<27}" for rate in RATES)
    report.say(f"  {'setting':<45}{'m':<6}{heads}what dn2 says of it")
    rows: list[Row] = []
    with threadpool_limits(1):  # so little work at a time that threads would wait for each other
        for section in run.options.only:
            report.say(f"\n{section}")
            rows += [measure(report, setting, draws, processes) for setting in SECTIONS[section](run)]
    summed_up(report, rows)
    report.save()
    report.claim(not any(row.broken for row in rows), "more false alarms than asked for")
    report.claim(not any(row.unexplained for row in rows), "far fewer than can be reached, without a reason")


def measure(report: Report, setting: Setting, draws: int, processes: int) -> Row:
    """Print a row, and again with other draws if a guarantee seems to be broken, or too few to be flagged."""
    row = Row.of(setting, drawn(setting, range(draws), processes))
    report.say(f"  {setting.name:<45}{row.line}")
    if row.broken or row.unexplained:
        row = Row.of(setting, drawn(setting, range(draws, 4 * draws), processes))
        report.say(f"  {f'    {3 * draws} other draws of it':<45}{row.line}")
    if row.below:
        report.say(f"      v: {setting.below or 'no reason known'}")
    return row


def drawn(setting: Setting, seeds: range, processes: int) -> list[Got]:
    """Make a draw of each seed, in so many processes."""
    if processes == 1:
        return [one_draw(setting, seed) for seed in seeds]
    with multiprocessing.get_context("fork").Pool(processes, KEPT.append, (setting,)) as pool:
        return pool.map(one_draw_of_kept, seeds, chunksize=4)


KEPT: list[Setting] = []  # a process's own: what is in memory goes to it by the fork alone


def one_draw_of_kept(seed: int) -> Got:
    """Make a draw in a process of its own."""
    return one_draw(KEPT[-1], seed)


def one_draw(setting: Setting, seed: int) -> Got:
    """Make the draw of a seed: another one for each setting."""
    return setting.draw(np.random.default_rng([seed, *setting.name.encode()]))


@dataclass(frozen=True)
class Row:
    """A row of the table.

    line : all but its name; guaranteed : whether dn2 prints a guarantee; above, below : what is marked; unexplained :
    whether it is below without a reason."""

    line: str
    guaranteed: bool
    above: bool
    below: bool
    unexplained: bool

    @classmethod
    def of(cls, setting: Setting, got: Sequence[Got]) -> Row:
        """Sum up draws."""
        smallest = max(one.calibration.smallest_rate for one in got)
        words, marked = [], set()
        for rate in RATES:
            if rate < smallest:
                words.append("-")
                continue
            flagged = np.array([one.flagged(rate) for one in got])
            error = flagged.std(ddof=1) / math.sqrt(len(got))
            reachable = float(np.mean([one.calibration.reachable(rate) for one in got]))
            mark = int(flagged.mean() > rate + 3 * error) - int(flagged.mean() < 0.8 * reachable)
            marked.add(mark)
            most = "" if abs(reachable / rate - 1) <= 0.02 else f" ({reachable:.4f})"
            words.append(f"{flagged.mean():.4f} +- {error:.4f}{MARKS[mark]}{most}")
        said = says(setting, got)
        line = f"{got[-1].calibration.sample_size:<6}{''.join(f'{word:<27}' for word in words)}{said}"
        below = -1 in marked
        return cls(line, said.startswith("guarantee"), 1 in marked, below, below and not setting.below)

    @property
    def broken(self) -> bool:
        """Whether a guarantee is not kept."""
        return self.guaranteed and self.above


def summed_up(report: Report, rows: Sequence[Row]) -> None:
    """Say how many rows are marked."""
    guaranteed = sum(row.guaranteed for row in rows)
    report.say(
        f"\nOf {guaranteed} guarantees {sum(row.broken for row in rows)} are above what is asked, of"
        f" {len(rows) - guaranteed} settings without one {sum(row.above for row in rows if not row.guaranteed)}."
    )
    report.say(
        f"{sum(row.below for row in rows)} are below 0.8 of what can be reached, "
        f"{sum(row.unexplained for row in rows)} without a reason."
    )


def says(setting: Setting, got: Sequence[Got]) -> str:
    """Say what dn2 prints of a setting, and how many of the anomalies are found, where there are any."""
    calibration = got[-1].calibration
    if setting.broken:
        looked = [one.warned for one in got if one.warned is not None]
        warned = f"; warned of in {sum(looked)} draws" if looked else ""
        return f"no guarantee: {setting.broken}{warned}"
    proven = any("this is proven" in words for words in assumptions(calibration))
    said = "guarantee" if proven else "no guarantee: cleaned"
    if calibration.confidence is not None:
        said += f", confidence {calibration.confidence:g}"
    if calibration.n_parts:
        said += ", of a new part"
    found = [one.found for one in got if one.found is not None]
    if found:
        said += "; found " + ", ".join(f"{np.mean(np.concatenate(found) <= rate):.2f}" for rate in RATES)
    return said


if __name__ == "__main__":
    main()
