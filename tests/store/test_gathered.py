"""Byte strings that stay in the files that they came from."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dn2.store.gathered import Gathered
from dn2.store.packed import PackedBytes

STRINGS = st.lists(st.binary(max_size=4), max_size=6)


@given(files=st.lists(STRINGS, min_size=1, max_size=4), more=STRINGS, seed=st.integers(0, 99))
def test_strings_of_several_files_are_chosen_and_joined_as_lists_are(
    files: list[list[bytes]], more: list[bytes], seed: int
) -> None:
    expected = [string for file in files for string in file]
    gathered = Gathered.all([PackedBytes.of(file) for file in files])
    assert list(map(bytes, gathered)) == expected
    for _ in range(2):
        chosen = np.flatnonzero(np.random.default_rng(seed).random(len(expected)) < 0.6)
        gathered = gathered.only(chosen).joined(PackedBytes.of(more))
        expected = [expected[place] for place in chosen] + more
        for one in (gathered, gathered.compact()):
            assert list(map(bytes, one)) == expected
        assert len(gathered) == len(expected)
        assert list(map(bytes, gathered)) == expected
        assert [bytes(gathered[place]) for place in range(len(expected))] == expected


def test_what_is_gathered_is_taken_as_it_is() -> None:
    packed = PackedBytes.of([b"ab", b"", b"c"])
    gathered = Gathered.of(packed)
    assert Gathered.of(gathered) is gathered
    assert gathered.only(slice(1, 3)).parts == (packed,)  # nothing is copied


def test_strings_that_come_and_go_leave_no_more_than_those_that_stay() -> None:
    large = PackedBytes.of([b"%04d" % number for number in range(2_000)])
    gathered = Gathered.all([large])
    for number in range(100):
        gathered = gathered.joined(PackedBytes.of([b"%d" % number])).compact().only(slice(1, None)).compact()
    assert gathered.parts[0] is large  # most of which stays: a file is not read for little
    assert len(gathered.parts) == 2
    assert (bytes(gathered[0]), bytes(gathered[-1])) == (b"0100", b"99")
    few = gathered.only([0, 1, 1_999]).compact()
    assert [list(map(bytes, part)) for part in few.parts] == [[b"0100", b"0101", b"99"]]
    nothing = np.empty(0, np.int64)
    assert list(map(bytes, gathered.only(nothing).compact().joined(PackedBytes.of([b"a"])).compact())) == [b"a"]
