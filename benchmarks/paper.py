"""The paper's settings and experiments on the data at hand: tables, figures, and the page docs/paper.md.

Run: python benchmarks/paper.py [NAME ...]

Each name is a run, such as `cifar10/one-class`; without any, all are run, which takes about two hours on 2 cores,
most of it for impurity and the rivals.  A run is one `dn2 bench` command; it leaves `.csv`, `.md` and `.png` under
`results/paper/`.  At the end the tables in docs/paper.md are replaced by those of the results.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from class_folders import class_folders
from common import RESULTS, ROOT, begin, run_dn2

PAGE = ROOT / "docs" / "paper.md"

WBC = ("1-neutrophil", "2-lymphocyte", "3-monocyte", "4-eosinophil")
WBC_CLASSES = [word for name in WBC for word in ("--classes", name)]
BACKBONES = [word for name in ("lite0", "lite2", "lite0+lite2") for word in ("--backbone", name)]
THREE_CLASSES = [word for name in ("cat", "ship", "truck") for word in ("--classes", name)]
FAST, ACCURATE = ["--preset", "fast"], ["--preset", "accurate"]

# By data set and protocol: the options of the command.  Results of a preset other than the default go elsewhere.
RUNS: dict[str, list[str]] = {
    "cifar10/one-class": ["--rivals", "--seeds", "3"],
    "cifar10/multimodal": [],
    "cifar10/few-shot": [],
    "cifar10/neighbors": [],
    "cifar10/centroids": [],
    "cifar10/backbones": [*BACKBONES, *THREE_CLASSES],
    "cifar10/impurity": [],
    "cifar10-fast/one-class": FAST,
    "cifar10-accurate/one-class": ACCURATE,
    "cifar10-accurate/multimodal": ACCURATE,
    "cifar10-accurate/few-shot": ACCURATE,
    "wbc/one-class": [*WBC_CLASSES, "--seeds", "10", "--rivals"],
    "wbc-accurate/one-class": [*WBC_CLASSES, "--seeds", "10", *ACCURATE],
    "mnist/one-class": [],
    "mnist/groups": [],
}

TABLE = re.compile(r"<!-- table (\S+) -->\n.*?<!-- end -->", re.DOTALL)


def bench(name: str, data: Path, output: Path, *, smallest: bool) -> None:
    """Run one `dn2 bench` command."""
    target, protocol = output / Path(name).parent, Path(name).name
    words = ["bench", protocol, str(data), *RUNS[name], "--output", str(target)]
    if smallest:
        words += ["--backbone", "lite0@32"]
    print(f"\n{name}: dn2 {' '.join(words)}", flush=True)
    run_dn2(words, here=smallest)


def data_of(name: str) -> str:
    """Return the data set of a run: `cifar10` of `cifar10-accurate/one-class`."""
    return re.split("[-/]", name)[0]


def with_tables(text: str, folder: Path) -> str:
    """Replace the tables in a page by those of the results, without their titles."""

    def table(match: re.Match[str]) -> str:
        result = folder / f"{match.group(1)}.md"
        if not result.exists():
            return match.group()
        rows = result.read_text(encoding="utf-8").split("\n", 2)[2]
        return f"<!-- table {match.group(1)} -->\n{rows}<!-- end -->"

    return TABLE.sub(table, text)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is named, or everything, and keep the tables in docs/paper.md; the smallest run prints its table."""
    import matplotlib  # noqa: F401  without which no run ends

    run = begin(__doc__, arguments, flags={"names": {"nargs": "*", "metavar": "NAME"}})
    names = run.options.names or (["mnist/one-class"] if run.smallest else list(RUNS))
    if unknown := [name for name in names if name not in RUNS]:
        sys.exit(f"{unknown[0]} is no run; choose from {', '.join(RUNS)}")
    with tempfile.TemporaryDirectory() as nowhere:
        output = (run.output or Path(nowhere)) / "paper"
        for data in dict.fromkeys(map(data_of, names)):
            with class_folders(run, data) as folder:
                for name in names:
                    if data_of(name) == data:
                        bench(name, folder, output, smallest=run.smallest)
        page = PAGE.read_text(encoding="utf-8")
        if run.output == RESULTS:
            PAGE.write_text(with_tables(page, output), encoding="utf-8")
        else:
            print(*(match.group() for match in TABLE.finditer(with_tables(page, output)) if match.group(1) in names))


if __name__ == "__main__":
    main()
