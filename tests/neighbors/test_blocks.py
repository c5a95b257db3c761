import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dn2.errors import InputError
from dn2.neighbors import blocks as blocks_module
from dn2.neighbors.blocks import (
    BLOCK_ROWS,
    LEVELS,
    Block,
    appended,
    as_stored,
    decode,
    encode,
    first_positions,
    rows_at,
    to_blocks,
    without,
)
from dn2.neighbors.search.exact import ExactIndex
from dn2.neighbors.search.excluded import Excluded
from made_rows import FEW as DATA

STORAGES = ["float32", "float16", "uint8"]
FIT_FLOAT16 = ["random", "duplicated", "grid", "offset 1000", "tiny"]


def random(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def slowly_decoded(stored):
    """What stored rows stand for, number by number, each operation rounded to float32."""
    if stored.dtype != np.uint8:
        return stored.astype(np.float32)
    rows = []
    for row in stored:
        least, step = np.frombuffer(row[-8:].tobytes(), np.float32)
        rows.append([np.float32(np.float32(level) * step) + least for level in row[:-8]])
    return np.array(rows, np.float32)


def assert_same(found, expected):
    """Bit for bit."""
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_float32_is_not_rounded_and_a_set_has_rows_of_its_own():
    rows = random(5, 3)
    stored = encode(rows, "float32")
    np.testing.assert_array_equal(stored, rows)
    assert not np.may_share_memory(stored, rows)
    assert decode(rows) is rows
    assert as_stored(rows, "float32") is rows


@pytest.mark.parametrize("d", [1, 7, 8, 64, 77])
def test_float16_returns_all_that_it_holds(d):
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)]  # subnormal numbers and both zeros, too
    rows = np.resize(finite, (-(-len(finite) // d), d))
    found = decode(encode(rows.astype(np.float32), "float16"))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.view(np.uint32), rows.astype(np.float32).view(np.uint32))


def test_float16_rounds_to_half_precision():
    rows = random(40, 9)
    np.testing.assert_allclose(as_stored(rows, "float16"), rows, rtol=2.0**-11)


@pytest.mark.parametrize("value", [65_536, -70_000, 1e30])
def test_what_float16_cannot_hold_is_refused(value):
    with pytest.raises(InputError, match=r"float16 holds values up to 65504, got .*; scale them down"):
        encode(np.array([[1, value]], np.float32), "float16")


@pytest.mark.parametrize("kind", DATA)
def test_8_bits_are_off_by_half_a_step_at_most_and_by_nothing_at_the_ends(kind):
    rows = DATA[kind](60, 30)
    found = as_stored(rows, "uint8")
    least, most = rows.min(axis=1, keepdims=True), rows.max(axis=1, keepdims=True)
    rounding = 4 * np.spacing(np.maximum(np.abs(least), np.abs(most)))
    assert (np.abs(found.astype(np.float64) - rows) <= (most - least) / LEVELS / 2 + rounding).all()
    np.testing.assert_array_equal(found.min(axis=1, keepdims=True), least)
    assert (np.abs(found.max(axis=1, keepdims=True) - most) <= rounding).all()


@pytest.mark.parametrize("value", [0, -3.7, 1e30, 1e-40])
def test_8_bits_hold_a_constant_row_exactly(value):
    rows = np.full((2, 5), value, np.float32)
    np.testing.assert_array_equal(as_stored(rows, "uint8"), rows)


@pytest.mark.parametrize("storage", STORAGES)
def test_a_row_is_stored_alike_whatever_the_other_rows(storage):
    rows = random(30, 6)
    for some in ([3], [3, 3], list(range(30))[::-1]):
        np.testing.assert_array_equal(encode(rows[some], storage), encode(rows, storage)[some])


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("d", [1, 5, 8, 33])
def test_decoding_equals_number_by_number(storage, d, monkeypatch):
    stored = encode(random(50, d), storage)
    expected = slowly_decoded(stored)
    np.testing.assert_array_equal(decode(stored), expected)
    monkeypatch.setattr(blocks_module, "PIECE", 40)  # in pieces, and on several threads
    monkeypatch.setattr(blocks_module, "ON_ONE_THREAD", 0)
    np.testing.assert_array_equal(decode(stored), expected)
    np.testing.assert_array_equal(decode(stored[::2]), expected[::2])
    assert decode(stored[:0]).shape == (0, d)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("kept", [None, [0, 3, 4, 11]])
def test_rows_and_parts_of_a_block_equal_slicing(storage, kept, monkeypatch):
    monkeypatch.setattr(blocks_module, "DECODED_AT_ONCE", 15)
    stored = encode(random(12, 5), storage)
    block = Block(stored, None if kept is None else np.array(kept))
    rows = slowly_decoded(stored if kept is None else stored[kept])
    assert len(block) == len(rows)
    assert block.dimension == 5
    np.testing.assert_array_equal(np.asarray(block), rows)
    np.testing.assert_array_equal(block.rows(1, 3), rows[1:3])
    np.testing.assert_array_equal(block.take(np.array([3, 0, 3])), rows[[3, 0, 3]])
    starts, parts = zip(*block.parts(), strict=True)
    np.testing.assert_array_equal(np.concatenate(parts), rows)
    assert list(starts) == np.cumsum([0, *map(len, parts)])[:-1].tolist()
    assert (len(parts) == 1) == (block.in_place is not None) == (storage == "float32" and kept is None)


def test_keeping_all_rows_is_keeping_them_in_place():
    rows = random(4, 2)
    assert Block(rows, np.arange(4)).in_place is rows


@pytest.mark.parametrize("storage", STORAGES)
def test_draws_are_hashes_of_what_is_stored(storage):
    stored = encode(random(6, 3), storage)
    expected = [int.from_bytes(hashlib.blake2b(row.tobytes(), digest_size=8).digest(), "big") for row in stored]
    assert Block(stored).draws.tolist() == expected
    assert Block(stored).without(np.array([1, 4])).draws.tolist() == [expected[place] for place in (0, 2, 3, 5)]


def test_known_draws_are_not_computed_again():
    known = np.arange(10, 14, dtype=np.uint64)
    block = Block(random(4, 2), None, known)
    assert block.draws is known
    assert block.without(np.array([0])).draws.tolist() == [11, 12, 13]
    assert block.without(np.array([0])).compact().draws.tolist() == [11, 12, 13]
    assert block.without(np.array([3])).joined(block).draws.tolist() == [10, 11, 12, 10, 11, 12, 13]


@pytest.mark.parametrize("storage", STORAGES)
def test_compact_and_joined_blocks_hold_the_rows_that_were_kept(storage):
    stored = encode(random(9, 4), storage)
    thinned = Block(stored).without(np.array([0, 5])).without(np.array([6]))
    rows = slowly_decoded(stored[[1, 2, 3, 4, 6, 7]])
    compact = thinned.compact()
    assert compact.kept is None
    assert len(compact.stored) == 6
    np.testing.assert_array_equal(np.asarray(compact), rows)
    np.testing.assert_array_equal(
        np.asarray(thinned.joined(Block(stored[:2]))), slowly_decoded(stored[[1, 2, 3, 4, 6, 7, 0, 1]])
    )
    assert len(thinned.stored) == 9  # and nothing was changed


@st.composite
def thinned_sets(draw):
    """Draw a set in blocks, stored in any way, some without some rows, and all its rows as they are decoded."""
    storage, parts, rows = draw(st.sampled_from(STORAGES)), [], []
    for _ in range(draw(st.integers(1, 4))):
        stored = encode(draw(arrays(np.float32, (draw(st.integers(1, 6)), 3), elements=st.integers(-3, 3))), storage)
        gone = sorted(draw(st.sets(st.integers(0, len(stored) - 1), max_size=len(stored) - 1)))
        parts.append(Block(stored).without(np.array(gone, np.int64)) if gone else Block(stored))
        rows.append(np.delete(slowly_decoded(stored), gone, axis=0))
    return parts, np.concatenate(rows)


@given(drawn=thinned_sets(), data=st.data())
def test_leaving_out_rows_of_blocks_equals_deleting_them(drawn, data):
    blocks, rows = drawn
    gone = np.array(sorted(data.draw(st.sets(st.integers(0, len(rows) - 1), max_size=len(rows) - 1))), np.int64)
    left = without(blocks, gone)
    np.testing.assert_array_equal(np.concatenate([np.asarray(block) for block in left]), np.delete(rows, gone, axis=0))
    assert all(len(block) for block in left)
    draws = np.concatenate([block.draws for block in blocks])
    assert np.concatenate([block.draws for block in left]).tolist() == np.delete(draws, gone).tolist()


@given(drawn=thinned_sets(), data=st.data())
def test_rows_gathered_from_blocks_equal_rows_of_the_whole(drawn, data):
    blocks, rows = drawn
    places = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=30)), np.int64)
    for some in (places, np.sort(places)):
        np.testing.assert_array_equal(rows_at(blocks, some), rows[some])


@pytest.mark.parametrize("storage", STORAGES)
def test_rows_gathered_from_a_memory_map_that_is_not_aligned(storage, tmp_path):
    stored = encode(random(20, 5), storage)
    (tmp_path / "rows").write_bytes(b"123" + stored.tobytes())
    mapped = np.memmap(tmp_path / "rows", stored.dtype, "r", offset=3, shape=stored.shape)
    places = np.array([19, 0, 7, 7])
    np.testing.assert_array_equal(rows_at([Block(mapped)], places), slowly_decoded(stored[places]))
    np.testing.assert_array_equal(Block(mapped).rows(2, 9), slowly_decoded(stored[2:9]))


def test_a_set_is_cut_into_blocks_and_grows_at_the_end(monkeypatch):
    monkeypatch.setattr(blocks_module, "BLOCK_ROWS", 4)
    rows = random(10, 2)
    blocks = to_blocks(rows)
    assert first_positions(blocks).tolist() == [0, 4, 8, 10]
    grown = appended(blocks, to_blocks(rows[:2]))
    assert first_positions(grown).tolist() == [0, 4, 8, 12]
    more = appended(grown, to_blocks(rows[:1]))
    assert first_positions(more).tolist() == [0, 4, 8, 12, 13]
    np.testing.assert_array_equal(np.concatenate([np.asarray(block) for block in more]), rows[[*range(10), 0, 1, 0]])
    assert len(to_blocks(np.zeros((BLOCK_ROWS, 1), np.float32))) == BLOCK_ROWS // 4


@pytest.mark.parametrize("few", [True, False])
@pytest.mark.parametrize(
    ("storage", "kind"),
    [("float16", kind) for kind in FIT_FLOAT16] + [(name, kind) for name in ("float32", "uint8") for kind in DATA],
)
def test_searching_compact_and_thinned_blocks_equals_searching_their_rows(storage, kind, few, monkeypatch):
    monkeypatch.setattr(blocks_module, "DECODED_AT_ONCE", 500)
    monkeypatch.setattr("dn2.neighbors.search.exact.ONE_BY_ONE", 10**9 if few else 0)
    monkeypatch.setattr("dn2.neighbors.search.exact.GATHERED_AT_ONCE", 700)
    rows, queries = DATA[kind](310, 20), DATA[kind](315, 20)[-5:]
    parts = [Block(encode(part, storage)) for part in np.split(rows, [1, 90, 100, 101, 250])]
    parts[1], parts[4] = parts[1].without(np.arange(0, 80, 3)), parts[4].without(np.array([148]))
    whole = np.concatenate([np.asarray(part) for part in parts])
    assert_same(ExactIndex(parts).search(queries, 3), ExactIndex([whole]).search(queries, 3))
    places = np.random.default_rng(0).integers(-1, len(whole), (5, 40))
    np.testing.assert_array_equal(
        ExactIndex(parts).distances(queries, places), ExactIndex([whole]).distances(queries, places)
    )
    own = Excluded.own(np.arange(len(whole)))
    assert_same(ExactIndex(parts).search(whole, 2, own), ExactIndex([whole]).search(whole, 2, own))
