"""Which files hold which rows, and which rows are gone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dn2.neighbors.blocks import Block
from dn2.store.bundle import StoredFile
from dn2.store.shards import Shard, StoredRows, removed_rows, shards_of

FILES = {"reference": StoredFile("reference-0123456789abcdef.safetensors", "0123456789abcdef")}
ROWS = np.arange(12, dtype=np.float32).reshape(6, 2)


def positions(*values: int) -> Any:
    return np.array(values, np.int64)


def test_a_block_is_found_by_its_rows_in_memory() -> None:
    shard = Shard(ROWS, None, FILES)
    assert shards_of([Block(ROWS)], [shard]) == [shard]
    assert shards_of([Block(ROWS, positions(1, 4))], [shard]) == [shard]
    assert shards_of([Block(ROWS.copy()), Block(ROWS)], [shard]) == [None, shard]
    assert shards_of([Block(ROWS)], []) == [None]


def test_rows_that_the_files_lack_make_a_block_a_new_one() -> None:
    shard = Shard(ROWS, positions(1, 2, 4), FILES)
    assert shards_of([Block(ROWS, positions(1, 4))], [shard]) == [shard]
    for kept in (positions(1, 3), positions(0, 1), positions(4, 5), None):
        assert shards_of([Block(ROWS, kept)], [shard]) == [None]


def test_removed_rows_count_through_all_files() -> None:
    blocks = [Block(ROWS, positions(0, 2, 3, 4)), Block(ROWS[:3].copy(), positions(0, 2)), Block(ROWS)]
    shards = [Shard(blocks[0].stored, positions(0, 1, 2, 3, 4), FILES), None, Shard(ROWS, None, FILES)]
    # Files of 5 rows, of 2 that are yet to be written, and of 6.
    assert removed_rows(blocks, shards).tolist() == [1]
    blocks[2] = Block(ROWS, positions(1, 2, 3, 5))
    assert removed_rows(blocks, shards).tolist() == [1, 7, 11]
    assert removed_rows([], []).tolist() == []


def test_what_is_kept_is_told_by_file_and_through_all() -> None:
    kept = StoredRows([3, 2, 4], positions(1, 5, 8))
    assert [None if rows is None else rows.tolist() for rows in kept.by_shard] == [[0, 2], None, [1, 2]]
    assert (len(kept), kept.stored) == (6, 9)
    assert np.arange(9)[kept.places].tolist() == [0, 2, 3, 4, 6, 7]
    assert kept.flags.tolist() == [row not in (1, 5, 8) for row in range(9)]


def test_without_a_list_everything_is_kept() -> None:
    kept = StoredRows([3, 2])
    assert (kept.by_shard, len(kept), np.arange(5)[kept.places].tolist()) == ([None, None], 5, [0, 1, 2, 3, 4])


DAMAGED = {
    "negative": positions(-1, 3),
    "too high": positions(3, 5),
    "descending": positions(3, 1),
    "twice the same": positions(1, 1),
    "a table": positions(0, 1).reshape(1, 2),
    "a number": np.array(1),
    "32 bits": np.array([1], np.int32),
    "unsigned": np.array([1], np.uint64),
    "fractions": np.array([1.0]),
    "a whole file": positions(3, 4),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_list_that_cannot_be_is_refused(what: str) -> None:
    with pytest.raises(ValueError, match="removed"):
        StoredRows([3, 2], DAMAGED[what])
