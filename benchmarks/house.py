"""What the house is like, in numbers: run on this checkout, or on another one: `python benchmarks/house.py FOLDER`."""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

HERE = Path(__file__).parents[1]
MOST_PARAMETERS = 6
RUN = 6  # lines

LOADED = "import dn2, sys; dn2.Model; print(sum(name.split('.')[0] == 'dn2' for name in sys.modules))"

# Fits on some pictures, scores one of them, and counts the calls from one module of dn2 into another meanwhile.
CROSSINGS = """
import sys, numpy as np
from pathlib import Path
from PIL import Image
import dn2
folder = Path(sys.argv[1])
for number in range(12):
    pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(folder / f"{number}.png")
model = dn2.fit(folder, backbone="lite0@64", cache=None)
model.score(folder / "3.png")
count, rooms = 0, set()
def watch(frame, event, argument):
    global count
    if event == "call" and frame.f_back is not None:
        names = [one.f_globals.get("__name__", "") for one in (frame.f_back, frame)]
        if all(name.split(".")[0] == "dn2" for name in names) and names[0] != names[1]:
            count += 1
            rooms.update(names)
sys.setprofile(watch)
model.score(folder / "3.png")
sys.setprofile(None)
print(count)
"""


def trees(folder: Path) -> dict[str, ast.Module]:
    """Parse the modules below a folder, by their dotted names."""
    return {
        ".".join(path.relative_to(folder).with_suffix("").parts): ast.parse(path.read_text())
        for path in sorted(folder.rglob("*.py"))
    }


def imported(tree: ast.Module) -> Iterator[str]:
    """Give what a module imports of dn2, without that prefix."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("dn2."):
            yield from (f"{node.module[4:]}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "dn2":
            yield from (alias.name for alias in node.names)


def count_circles(modules: dict[str, ast.Module]) -> int:
    """Count circles of imports: found, and cut at one arrow, until none is left."""
    graph: dict[str, set[str]] = {}
    for name, tree in modules.items():
        found = {one if one in modules else one.rpartition(".")[0] for one in imported(tree)}
        graph[name] = (found & modules.keys()) - {name}
    circles = 0
    while True:
        try:
            list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            circles += 1
            first, second = error.args[1][:2]
            graph[second].discard(first)
        else:
            return circles


def count_long_signatures(modules: dict[str, ast.Module]) -> int:
    """Count functions with more than six parameters, `self` and `cls` not counted."""
    functions = [node for tree in modules.values() for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    counts = [
        sum(one.arg not in ("self", "cls") for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs))
        for node in functions
    ]
    return sum(count > MOST_PARAMETERS for count in counts)


def count_twice(folder: Path) -> int:
    """Count runs of six lines that stand in two places, imports and docstrings aside."""
    runs: Counter[tuple[str, ...]] = Counter()
    for path in folder.rglob("*.py"):
        lines = [line.strip() for line in path.read_text().splitlines()]
        code = [line for line in lines if line and not line.startswith(("from ", "import ", "#", '"""'))]
        runs.update(tuple(code[start : start + RUN]) for start in range(len(code) - RUN + 1))
    return sum(count > 1 for count in runs.values())


def count_lines(folder: Path, ending: str) -> int:
    """Count the lines of all files below a folder."""
    return sum(len(path.read_text().splitlines()) for path in folder.rglob(f"*{ending}"))


def run(root: Path, code: str, *arguments: str) -> int:
    """Run code with the dn2 of a checkout, and return the number that it prints."""
    path = f"import sys; sys.path.insert(0, {str(root / 'src')!r})\n"
    done = subprocess.run([sys.executable, "-c", path + code, *arguments], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one figure a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=HERE)
    parser.add_argument("--smallest", action="store_true", help="this is as small as it is")
    root: Path = parser.parse_args(arguments).folder
    source = root / "src" / "dn2"
    modules = trees(source)
    with tempfile.TemporaryDirectory() as folder:
        crossings = run(root, CROSSINGS, folder)
    figures = {
        "modules in the root": sum("." not in name for name in modules),
        "modules": len(modules),
        "circles of imports": count_circles(modules),
        f"functions with more than {MOST_PARAMETERS} parameters": count_long_signatures(modules),
        "modules of dn2 that `import dn2; dn2.Model` loads": run(root, LOADED),
        "lines of Python in src": count_lines(source, ".py"),
        "lines of JavaScript in src": count_lines(source, ".js"),
        "lines of Python in tests": count_lines(root / "tests", ".py"),
        "calls from module to module in scoring one picture": crossings,
        f"runs of {RUN} lines that stand twice in src": count_twice(source),
    }
    for name, figure in figures.items():
        print(f"{name:<60} {figure:>7,}")


if __name__ == "__main__":
    main()
