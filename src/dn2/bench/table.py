"""Results as CSV and Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from dn2.bench.result import Mean, Reported, Result

AVERAGE = "average"
UNCONFIRMED = "†"


def to_csv(result: Result) -> str:
    """Write every single measurement, one a line, and the figures reported elsewhere; ROC AUC in [0, 1]."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", result.setting, "normal", "seed", "n_reference", "roc_auc", "source", *result.others])
    for one in result.measurements:
        seed = "" if one.seed is None else one.seed
        others = [f"{one.others[name]:.6g}" if name in one.others else "" for name in result.others]
        line = [one.method, one.setting, one.normal, seed, one.n_reference, f"{one.roc_auc:.6f}", "measured", *others]
        writer.writerow(line)
    for known in result.reported:
        for setting, value in known.values.items():
            source = known.source + (", unconfirmed" if setting in known.unconfirmed else "")
            writer.writerow([known.method, setting, "", "", "", f"{value:.4f}", source, *[""] * len(result.others)])
    return text.getvalue()


def to_markdown(result: Result) -> str:
    """Write the means as a table, ROC AUC in per cent, with notes on what the figures are."""
    header, *rows = grid(result)
    lines = [_line(header), _line(["---"] + ["---:"] * (len(header) - 1))]
    lines += [_line([f"**{name}**" if name == AVERAGE else name, *cells]) for name, *cells in rows]
    words = "\n".join(f"- {note}" for note in notes(result))
    return f"### {result.title}\n\n" + "\n".join(lines) + f"\n\n{words}\n"


def grid(result: Result) -> list[list[str]]:
    """Lay the means out as a table, ROC AUC in per cent, with what is reported elsewhere: a header, then rows."""
    shown = _shown(result)
    beside = () if result.others_below else result.others
    columns = [(method, other) for method in result.methods for other in (None, *beside)]
    columns = [(method, other) for method, other in columns if result.mean(method, None, other)]
    header = [result.setting, *(method if other is None else other for method, other in columns)]
    rows = [[*header, *(known.method for known in shown)]]
    for setting in result.settings:
        cells = [_cell(result.mean(method, setting, other)) for method, other in columns]
        rows.append([setting, *cells, *(_reported(known, setting) for known in shown)])
    if result.has_average:
        cells = [_cell(result.mean(method, None, other)) for method, other in columns]
        rows.append([AVERAGE, *cells, *(_reported(known, AVERAGE) for known in shown)])
    for name in result.others if result.others_below else ():
        for setting in result.settings if result.others_by_setting else ():
            of_one = [_cell(result.mean(method, setting, name)) for method, _ in columns]
            rows.append([f"{name}, {setting}", *of_one, *[""] * len(shown)])
        cells = [_cell(result.mean(method, None, name)) for method, _ in columns]
        rows.append([f"{name}, all rows", *cells, *[""] * len(shown)])
    if result.seconds:
        seconds = [result.seconds.get(method) if other is None else None for method, other in columns]
        times = ["" if one is None else f"{one:.1f} s" for one in seconds]
        rows.append(["fit and search, all rows", *times, *[""] * len(shown)])
    return rows


def notes(result: Result) -> list[str]:
    """Say what the figures of a table are."""
    return [*_explanations(result, _shown(result)), *result.notes]


def _shown(result: Result) -> list[Reported]:
    return [known for known in result.reported if set(known.values) & {*result.settings, AVERAGE}]


def _explanations(result: Result, shown: Sequence[Reported]) -> list[str]:
    words = ["ROC AUC in %"]
    seeds = {one.seed for one in result.measurements}
    drawn = seeds - {None}
    if len(drawn) > 1:
        words[0] += f"; ± is the standard error over {len(drawn)} seeds"
    if None in seeds:
        words[0] += "; a figure without ± comes from one run" + ", in which nothing is random" * (len(drawn) != 1)
    elif len(drawn) == 1:
        words[0] += "; one random draw, so without a standard error (--seeds gives more)"
    if any(known.unconfirmed for known in shown):
        words.append(f"{UNCONFIRMED} as reported, unconfirmed")
    return [f"{one}." for one in words]


def _cell(mean: Mean | None) -> str:
    if mean is None:
        return ""
    error = "" if mean.error is None else f" ± {100 * mean.error:.2f}"
    return f"{100 * mean.value:.2f}{error}"


def _reported(known: Reported, setting: str) -> str:
    if setting not in known.values:
        return ""
    digits = f"{100 * known.values[setting]:.2f}".removesuffix("0")  # 92.5 was reported, not 92.50
    return digits + UNCONFIRMED * (setting in known.unconfirmed)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
