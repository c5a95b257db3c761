"""The message of an interrupted command."""

from __future__ import annotations

from pathlib import Path


class Work:
    """The lasting work of the running command.

    is_kept : whether its embeddings are in the cache, so that the same command goes on from there.
    written : the files that it wrote."""

    def __init__(self) -> None:
        self.is_kept = False
        self.written: list[Path] = []

    def words(self) -> str:
        """Say what an interrupted command leaves behind."""
        if self.written:
            written = f"written before: {', '.join(map(str, self.written))}"
            return f"stopped; the same command goes on; {written}" if self.is_kept else f"stopped; {written}"
        return "stopped; the same command goes on" if self.is_kept else "stopped; nothing was written"


work = Work()


def begin() -> None:
    """Forget the work of an earlier command in this process."""
    work.is_kept, work.written = False, []


def keeps(is_kept: bool) -> None:
    """Note whether embeddings are kept in the cache from now on."""
    work.is_kept = is_kept


def wrote(path: Path) -> None:
    """Note a written file."""
    work.written.append(path)
