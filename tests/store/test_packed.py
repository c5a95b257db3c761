"""Byte strings packed into arrays, which stay in the files that they came from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dn2.store.packed import Chunk, PackedBytes

STRINGS = st.lists(st.binary(max_size=4), max_size=6)


@given(st.lists(st.binary(max_size=20)))
def test_byte_strings_come_back_as_they_were(strings: list[bytes]) -> None:
    packed = PackedBytes.of(strings)
    assert len(packed) == len(strings)
    assert list(packed) == strings
    assert [packed[place] for place in range(len(strings))] == strings
    assert list(PackedBytes.of(packed)) == strings
    arrays = packed.as_arrays()
    assert arrays["data"].tobytes() == b"".join(strings)
    assert list(PackedBytes.of_arrays(**arrays)) == strings


def test_reading_one_string_copies_nothing() -> None:
    chunk = Chunk.of([b"ab", b"cde"])
    assert np.shares_memory(np.asarray(PackedBytes.of_chunks(chunk)[1]), chunk.data)


@pytest.mark.parametrize(
    ("data", "ends"),
    [
        (np.zeros(3, np.uint8), np.array([2])),
        (np.zeros(3, np.uint8), np.array([4])),
        (np.zeros(3, np.uint8), np.array([-1, 3])),
        (np.zeros(3, np.uint8), np.array([2, 1, 3])),
        (np.zeros(3, np.uint8), np.array([[1], [3]])),
        (np.zeros(3, np.uint8), np.array([1.0, 3.0])),
        (np.zeros(3, np.uint8), np.array([], np.int64)),
        (np.zeros(0, np.uint8), np.array([1])),
        (np.zeros(3, np.int8), np.array([3])),
        (np.zeros((3, 1), np.uint8), np.array([3])),
    ],
    ids=str,
)
def test_arrays_that_do_not_fit_together_are_refused(data: Any, ends: Any) -> None:
    with pytest.raises(ValueError, match="do not fit together"):
        PackedBytes.of_arrays(data, ends)


@given(files=st.lists(STRINGS, min_size=1, max_size=4), more=STRINGS, seed=st.integers(0, 99))
def test_strings_of_several_files_are_chosen_and_joined_as_lists_are(
    files: list[list[bytes]], more: list[bytes], seed: int
) -> None:
    expected = [string for file in files for string in file]
    packed = PackedBytes.of_chunks(*map(Chunk.of, files))
    assert list(map(bytes, packed)) == expected
    for _ in range(2):
        chosen = np.flatnonzero(np.random.default_rng(seed).random(len(expected)) < 0.6)
        packed = packed.only(chosen).with_more(more)
        expected = [expected[place] for place in chosen] + more
        for strings in (packed, packed.compact()):
            assert list(map(bytes, strings)) == expected
        assert len(packed) == len(expected)
        assert [bytes(packed[place]) for place in range(len(expected))] == expected


def test_choosing_strings_copies_nothing() -> None:
    chunk = Chunk.of([b"ab", b"", b"c"])
    assert PackedBytes.of_chunks(chunk).only(slice(1, 3)).chunks == (chunk,)


def test_strings_that_come_and_go_leave_no_more_than_those_that_stay() -> None:
    large = Chunk.of([b"%04d" % number for number in range(2_000)])
    packed = PackedBytes.of_chunks(large)
    for number in range(100):
        packed = packed.with_more([b"%d" % number]).only(slice(1, None)).compact()
    assert packed.chunks[0] is large  # most of which stays: a file is not read for little
    assert len(packed.chunks) == 2
    assert (bytes(packed[0]), bytes(packed[-1])) == (b"0100", b"99")
    few = packed.only([0, 1, 1_999]).compact()
    assert [list(map(bytes, chunk)) for chunk in few.chunks] == [[b"0100", b"0101", b"99"]]
    nothing = np.empty(0, np.int64)
    assert list(map(bytes, packed.only(nothing).compact().with_more([b"a"]))) == [b"a"]
