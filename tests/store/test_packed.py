"""Byte strings joined into one array."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dn2.store.packed import PackedBytes


@given(st.lists(st.binary(max_size=20)))
def test_byte_strings_come_back_as_they_were(strings: list[bytes]) -> None:
    packed = PackedBytes.of(strings)
    assert len(packed) == len(strings)
    assert list(packed) == strings
    assert [packed[place] for place in range(len(strings))] == strings
    assert list(PackedBytes.of(packed)) == strings
    assert packed.data.tobytes() == b"".join(strings)


def test_reading_one_string_copies_nothing() -> None:
    packed = PackedBytes.of([b"ab", b"cde"])
    assert np.shares_memory(np.asarray(packed[1]), packed.data)


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
        PackedBytes(data, ends)
