"""Files that arrive in a folder: which of them are finished, and which are still being written."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Collection, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from dn2.inputs.files import NAMED_ONLY
from dn2.inputs.folders import walk_files
from dn2.inputs.leaving_out import leaving_out
from dn2.system.naming import ending_of, path_of_text, path_to_text

SETTLE = 2.0  # seconds without a change, after which a file is finished
PATIENCE = 30.0  # the same, of a file that cannot be read: what writes it may only have paused


class Arrived(NamedTuple):
    """A file as it is at some time: another content is another arrival.

    name : its path in the folder, as items are named; size : bytes; changed : nanoseconds since 1970."""

    name: str
    size: int
    changed: int


class Arrivals:
    """The files of a folder, looked at again and again: nothing tells of changes on every network drive.

    Parameters
    ----------
    folder : Path
        Searched recursively, hidden files and folders left out.
    suffixes : collection of str
        Endings of the files that are items.
    exclude : sequence of str
        Globs of what is left out, see `leaving_out`.
    beside : collection of Path
        Folders inside that hold something else.
    settle, patience : float
        Seconds without a change, after which a file is finished, and after which one that cannot be read is given up.

    Attributes
    ----------
    present : set of Arrived
        The files at the last look.
    waiting : set of Arrived
        Those of them that are not done."""

    def __init__(
        self,
        folder: Path,
        suffixes: Collection[str],
        exclude: Sequence[str] = (),
        beside: Collection[Path] = (),
        settle: float = SETTLE,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self.settle, self.patience = settle, patience
        self.present: set[Arrived] = set()
        self.waiting: set[Arrived] = set()
        self._suffixes = frozenset(suffixes) - NAMED_ONLY
        self._exclude, self._clock = list(exclude), clock
        self._beside = [os.path.realpath(path) for path in beside]
        self._since: dict[Arrived, float] = {}
        self._unreadable: set[Arrived] = set()
        self._lost: set[Path] = set()

    def look(self, is_done: Callable[[Arrived], bool]) -> list[Arrived]:
        """Return the files that are finished and not done, the oldest first."""
        now = self._clock()
        self.present = self._scan()
        self.waiting = {file for file in self.present if not is_done(file)}
        self._since = {file: self._since.get(file, now) for file in self.waiting}
        self._unreadable &= self.waiting
        finished = [file for file, since in self._since.items() if now - since >= self._pause(file)]
        return sorted(finished, key=lambda file: (file.changed, file.name))

    def put_back(self, file: Arrived) -> bool:
        """Let a file that cannot be read wait; return whether it has not waited for long enough."""
        self._unreadable.add(file)
        return self._clock() - self._since[file] < self.patience

    def path(self, file: Arrived) -> Path:
        """Return where a file is."""
        return self.folder / path_of_text(file.name)

    def state(self, file: Arrived) -> Arrived | None:
        """Return a file as it is by now; None where it has gone."""
        return arrived(self.path(file), file.name)

    def _pause(self, file: Arrived) -> float:
        return max(self.patience, self.settle) if file in self._unreadable else self.settle

    def _scan(self) -> set[Arrived]:
        with leaving_out(self._exclude, is_told=False):
            paths = [path for path in walk_files(self.folder, lost=self._lost) if ending_of(path) in self._suffixes]
        is_beside = cache(self._is_beside)  # few folders hold many files
        outside = [path for path in paths if not is_beside(path.parent)]
        named = ((path, path_to_text(path.relative_to(self.folder).as_posix())) for path in outside)
        return {file for path, name in named if (file := arrived(path, name)) is not None}

    def _is_beside(self, parent: Path) -> bool:
        real = os.path.join(os.path.realpath(parent), "")
        return any(real.startswith(os.path.join(folder, "")) for folder in self._beside)


def arrived(path: Path, name: str) -> Arrived | None:
    """Return a file as it is now; None for what is no regular file, and where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return Arrived(name, status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None
