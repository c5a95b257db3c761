"""Messages of pumps, among which an advertisement is strange."""

from __future__ import annotations

from pathlib import Path

from kinds.samples import Sample


def _messages(first: int, count: int) -> list[str]:
    return [f"pump {n % 7} reports {n % 5}.{n % 10} bar and all is well" for n in range(first, first + count)]


def _write(path: Path, lines: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def make(folder: Path) -> Sample:
    """See `kinds.samples`."""
    normal, more = _write(folder / "normal.txt", _messages(0, 60)), _write(folder / "more.txt", _messages(60, 6))
    queries = folder / "queries.txt"
    _write(queries, [*_messages(70, 3), "WINNER!!! Claim your FREE prize now", *_messages(80, 2)])
    with open(queries, "ab") as file:
        file.write(b"caf\xe9\x81\n")
    return Sample(normal, more, queries, "queries.txt:4", "queries.txt:7", {"backbone": "characters"})
