"""The paper's settings and experiments on the data at hand: tables, figures, and the page docs/paper.md.

Run: python benchmarks/paper.py [NAME ...]

Each name is a run, such as `cifar10/one-class`; without any, all are run, which takes about two hours on 2 cores,
most of it for impurity and the rivals.  A run is one `dn2 bench` command; it leaves `.csv`, `.md` and `.png` under
`results/paper/`.  At the end the tables in docs/paper.md are replaced by those of the results.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from class_folders import WRITERS
from common import RESULTS, unpacked

FOLDER = RESULTS / "paper"
PAGE = Path(__file__).parents[1] / "docs" / "paper.md"

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


@contextlib.contextmanager
def class_folders(name: str) -> Iterator[Path]:
    """Lay a data set out as folders of classes, for a time."""
    if name == "cifar10":
        with unpacked("cifar10/cifar10_png_35k.zip") as folder:
            yield folder
    else:
        with tempfile.TemporaryDirectory() as folder:
            WRITERS[name](Path(folder))
            yield Path(folder)


def run(name: str, data: Path) -> None:
    """Run one `dn2 bench` command."""
    target, protocol = FOLDER / Path(name).parent, Path(name).name
    words = ["bench", protocol, str(data), *RUNS[name], "--output", str(target)]
    print(f"\n{name}: dn2 {' '.join(words)}", flush=True)
    subprocess.run([str(Path(sys.executable).with_name("dn2")), *words], check=True)


def data_of(name: str) -> str:
    """Return the data set of a run: `cifar10` of `cifar10-accurate/one-class`."""
    return re.split("[-/]", name)[0]


def update_page() -> None:
    """Replace the tables in docs/paper.md by those of the results, without their titles."""
    text = PAGE.read_text(encoding="utf-8")

    def table(match: re.Match[str]) -> str:
        result = FOLDER / f"{match.group(1)}.md"
        if not result.exists():
            return match.group()
        rows = result.read_text(encoding="utf-8").split("\n", 2)[2]
        return f"<!-- table {match.group(1)} -->\n{rows}<!-- end -->"

    PAGE.write_text(TABLE.sub(table, text), encoding="utf-8")


def main() -> None:
    """Run what is named, or everything."""
    names = sys.argv[1:] or list(RUNS)
    if unknown := [name for name in names if name not in RUNS]:
        sys.exit(f"{unknown[0]} is no run; choose from {', '.join(RUNS)}")
    for data in dict.fromkeys(map(data_of, names)):
        with class_folders(data) as folder:
            for name in names:
                if data_of(name) == data:
                    run(name, folder)
    update_page()


if __name__ == "__main__":
    main()
