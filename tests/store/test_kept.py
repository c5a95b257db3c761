"""Arrays that are kept while a run lasts: the same in memory and in a file."""

from __future__ import annotations

import numpy as np
import pytest

from dn2.store import kept
from dn2.store.kept import KeptArrays


def test_arrays_are_the_same_wherever_they_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST_IN_MEMORY", 100)
    monkeypatch.setattr(kept, "FILE_BYTES", 3 * 4096)
    rng, keeper = np.random.default_rng(0), KeptArrays()
    arrays = [rng.normal(size=(side, 5)).astype(np.float32) for side in (4, 2, 300, 7, 900, 500, 4)]
    found = [keeper.keep(array) for array in arrays]
    del keeper
    assert [one is array for one, array in zip(found, arrays, strict=True)] == [True, *[False] * 3, True, False, False]
    assert all(np.array_equal(one, array) for one, array in zip(found, arrays, strict=True))


def test_without_a_place_for_a_file_arrays_stay_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(kept, "MOST_IN_MEMORY", 0)
    monkeypatch.setattr(kept.tempfile, "TemporaryFile", full)
    array = np.ones(3)
    assert KeptArrays().keep(array) is array
