"""Arrays that lie in files while a work lasts."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest

import dn2
from dn2.errors import ClusterError, InputError
from dn2.neighbors import blocks, choice
from dn2.neighbors.blocks import BlocksInFile, to_blocks
from dn2.neighbors.search.exact import ExactIndex
from dn2.system import workers
from dn2.system.large_arrays import arrays_in_files, empty, in_files


def test_an_array_outlives_its_file(tmp_path):
    with arrays_in_files(tmp_path / "made", 1):
        array = empty((3, 2))
        array[:] = 7
        assert len(list((tmp_path / "made").glob("*/*"))) == 1
    assert not list((tmp_path / "made").iterdir())
    assert array.tolist() == [[7, 7]] * 3
    assert in_files() is None
    assert not isinstance(empty((3, 2)), np.memmap)


@pytest.mark.parametrize("storage", ["float32", "float16", "uint8"])
def test_blocks_in_a_file_are_those_in_memory_and_opened_by_name(monkeypatch, tmp_path, storage):
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 4)
    rows = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
    here = to_blocks(rows, storage)
    assert BlocksInFile.of(here) is None
    with arrays_in_files(tmp_path, 1):
        there = to_blocks(rows, storage)
        named = BlocksInFile.of(there)
        assert named is not None
        for made in (there, named.blocks):
            assert [np.asarray(block.stored).tolist() for block in made] == [block.stored.tolist() for block in here]
    with pytest.raises(ClusterError, match=r"a worker does not see .*DN2_CACHE"):
        _ = named.blocks


class OneWorker:
    """A cluster of this process alone, which notes into how many partitions sets were cut."""

    is_remote, cpus = False, 1

    def __init__(self) -> None:
        self.counts: list[int] = []

    @contextmanager
    def partitioned(self, reference, count):
        """See `Workers`."""
        self.counts.append(count)
        yield ExactIndex(reference.blocks)


def test_a_set_larger_than_the_memory_is_fitted_in_partitions_where_there_are_workers(monkeypatch):
    monkeypatch.setattr(choice, "FIXED_BYTES", 0)
    monkeypatch.setattr(choice, "BYTES_A_ROW", 1)
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 16)
    rows = np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32)
    crew = OneWorker()
    whole = dn2.fit(rows, index="exact")
    with pytest.raises(InputError, match="GB of memory"):
        dn2.fit(rows, index="exact", memory=1_000)
    token = workers._now.set(crew)
    try:
        for memory, count in ((1_000, 3), (400, 6), (1_000_000, None)):
            model = dn2.fit(rows, index="exact", memory=memory)
            assert crew.counts == [count] * (count is not None)
            crew.counts.clear()
            known, found = (one.detector.leave_one_out for one in (whole, model))
            assert np.array_equal(known.distances, found.distances)
            assert np.array_equal(known.neighbors, found.neighbors)
            assert [block.dimension for block in model.detector.blocks] == [6] * 7
    finally:
        workers._now.reset(token)
