"""The page on the paper shows what the benchmark measured."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_tables_of_the_page_are_those_of_the_results() -> None:
    text = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
    tables = re.findall(r"<!-- table (\S+) -->\n(.*?)<!-- end -->", text, re.DOTALL)
    assert len(tables) >= 8
    for name, table in tables:
        result = (ROOT / "benchmarks" / "results" / "paper" / f"{name}.md").read_text(encoding="utf-8")
        assert table == result.split("\n", 2)[2], f"{name}: run benchmarks/paper.py"
        assert f"paper/{name}.png)" in text


def test_the_results_are_small() -> None:
    for path in (ROOT / "benchmarks" / "results" / "paper").rglob("*"):
        assert path.stat().st_size < 500_000, path.name
