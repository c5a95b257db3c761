"""From arrays in files to vectors: which array is taken, what its rows are called, and what is refused."""

import hashlib
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from safetensors.numpy import save_file

from dn2.errors import InputError
from dn2.kinds.vector import reading as module
from dn2.kinds.vector.reading import has_vectors, read_vectors
from dn2.results.embeddings import writer_for
from dn2.system import bounds

ROWS = np.array([[1, 2, 3], [4, 5, 6]], np.float32)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Make an empty folder the working one."""
    monkeypatch.chdir(tmp_path)


def save(array, name="rows.npy"):
    np.save(name, array)
    return name


def listed(values, **columns):
    pq.write_table(pa.table({"embedding": values, **columns}), "rows.parquet")
    return read_vectors("rows.parquet")


# What is read


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, np.uint8, ">f4", bool])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_file_of_any_real_type_gives_its_rows(dtype, order):
    array = np.asarray(ROWS, dtype, order=order)
    read = read_vectors(save(array))
    assert read.vectors.dtype == np.float32
    np.testing.assert_array_equal(read.vectors, array.astype(np.float32))
    assert read.names == ["rows.npy:1", "rows.npy:2"]
    assert read.paths == ["rows.npy"] * 2
    assert read.digests == [hashlib.sha256(Path("rows.npy").read_bytes()).hexdigest()] * 2
    assert read.errors == {}


def test_an_array_in_memory_is_copied_and_named_by_number():
    read = read_vectors(ROWS)
    np.testing.assert_array_equal(read.vectors, ROWS)
    assert not np.shares_memory(read.vectors, ROWS)
    assert (read.names, read.paths, read.digests) == (["row 1", "row 2"], ["", ""], ["", ""])


@pytest.mark.parametrize("name", ["rows.npz", "rows.parquet"])
def test_what_embed_writes_comes_back(name):
    writer_for(name)(Path(name), ["good/a.png", "b"], ROWS)
    read = read_vectors(name)
    np.testing.assert_array_equal(read.vectors, ROWS)
    assert read.names == ["good/a.png", "b"]
    assert read.errors == {}


def test_the_only_array_with_rows_and_columns_is_taken_whatever_its_name():
    np.savez("rows.npz", x=ROWS, labels=np.zeros(2))
    save_file({"x": ROWS, "labels": np.zeros(2)}, "rows.safetensors")
    for name in ("rows.npz", "rows.safetensors"):
        read = read_vectors(name)
        np.testing.assert_array_equal(read.vectors, ROWS)
        assert read.names == [f"{name}:1", f"{name}:2"]


def test_embeddings_are_taken_before_any_other_array():
    np.savez("rows.npz", other=np.zeros((5, 5)), embeddings=ROWS)
    save_file({"other": np.zeros((5, 5)), "embeddings": ROWS}, "rows.safetensors")
    for name in ("rows.npz", "rows.safetensors"):
        np.testing.assert_array_equal(read_vectors(name).vectors, ROWS)


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float32()), pa.list_(pa.float64(), 3), pa.large_list(pa.float16()), pa.list_(pa.int32())]
)
def test_lists_of_parquet_are_vectors(kind):
    read = listed(pa.array(ROWS.astype(int).tolist() if "int" in str(kind) else [*ROWS.astype(np.float16)], kind))
    np.testing.assert_array_equal(read.vectors, ROWS)
    assert read.names == ["rows.parquet:1", "rows.parquet:2"]


def test_several_files_are_put_below_each_other():
    save(ROWS, "a.npy")
    save(np.array([[np.nan, 1, 2], [7, 8, 9]]), "b.npy")
    read = read_vectors(["a.npy", "b.npy"])
    np.testing.assert_array_equal(read.vectors, [[1, 2, 3], [4, 5, 6], [0, 0, 0], [7, 8, 9]])
    assert read.names == ["a.npy:1", "a.npy:2", "b.npy:1", "b.npy:2"]
    assert read.errors == {2: "it holds NaN or infinity"}
    assert read.paths == ["a.npy", "a.npy", "b.npy", "b.npy"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2), elements=st.floats(allow_nan=False, width=32)))
def test_an_array_comes_back_bit_for_bit_in_blocks_of_any_size(array):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", 3)
        read = read_vectors(save(array))
    infinite = [row for row, numbers in enumerate(array.tolist()) if any(abs(one) == np.inf for one in numbers)]
    assert list(read.errors) == infinite
    array[infinite] = 0
    assert read.vectors.tobytes() == array.tobytes()


# Rows that cannot be used


def test_a_row_that_is_not_finite_is_an_error_and_zeros():
    rows = np.array([[1, np.nan], [np.inf, 1], [1e39, 1], [-1e38, 1]])
    read = read_vectors(save(rows))
    assert read.errors == {
        0: "it holds NaN or infinity",
        1: "it holds NaN or infinity",
        2: "a number is beyond float32",
    }
    np.testing.assert_array_equal(read.vectors, np.array([[0, 0], [0, 0], [0, 0], [-1e38, 1]], np.float32))


def test_a_list_that_is_missing_or_of_another_length_is_an_error():
    read = listed([[1.0, 2.0], None, [3.0], [4.0, None], [5.0, 6.0]])
    assert list(read.errors) == [1, 2, 3]
    np.testing.assert_array_equal(read.vectors, [[1, 2], [0, 0], [0, 0], [0, 0], [5, 6]])


def test_a_fixed_size_list_may_be_missing():
    read = listed(pa.array([None, [1, 2], None, [3, 4]], pa.list_(pa.float32(), 2)))
    assert list(read.errors) == [0, 2]
    np.testing.assert_array_equal(read.vectors, [[0, 0], [1, 2], [0, 0], [3, 4]])


def test_a_name_that_is_missing_or_taken_is_an_error():
    read = listed([[1.0], [2.0], [3.0]], item=["x", None, "x"])
    assert read.names == ["x", "rows.parquet:2", "rows.parquet:3"]
    assert read.errors == {1: "its id is missing", 2: "the id 'x' is taken by rows.parquet:1"}
    assert read.vectors.tolist() == [[1], [0], [0]]


# What is refused


@pytest.mark.parametrize("array", [np.zeros(3), np.zeros((2, 2, 2)), np.zeros((0, 3)), np.zeros((3, 0)), np.float32(1)])
def test_what_has_no_rows_and_columns_is_refused(array):
    with pytest.raises(InputError, match=r"rows\.npy must be a table of numbers, .* got the shape"):
        read_vectors(save(array))


@pytest.mark.parametrize("array", [np.zeros((2, 2), complex), np.array([["x"]]), np.zeros((1, 1), "datetime64[s]")])
def test_what_is_no_real_number_is_refused(array):
    with pytest.raises(InputError, match="must hold real numbers, got"):
        read_vectors(save(array))
    with pytest.raises(InputError, match="the array must hold real numbers, got"):
        read_vectors(array)


def test_objects_are_never_unpickled():
    bad = np.array([[{}, {}]], dtype=object)
    np.save("rows.npy", bad)
    np.savez("rows.npz", embeddings=bad)
    np.savez("names.npz", embeddings=ROWS, items=np.array(["x", None], dtype=object))
    for name in ("rows.npy", "rows.npz", "names.npz"):
        with pytest.raises(InputError, match=f"{name} is no file of vectors"):
            read_vectors(name)


@pytest.mark.parametrize("content", [b"", b"x", b"\x93NUMPY\x01\x00v", b"PK\x03\x04 not at all", b"\x80\x04N."])
@pytest.mark.parametrize("suffix", ["npy", "npz", "safetensors", "parquet"])
def test_a_damaged_file_is_refused(suffix, content):
    Path(f"rows.{suffix}").write_bytes(content)
    with pytest.raises(InputError, match=rf"rows\.{suffix} (is no file of vectors|cannot be read)"):
        read_vectors(f"rows.{suffix}")


def test_a_file_that_was_cut_short_is_refused():
    save(np.ones((100, 100)))
    np.savez_compressed("rows.npz", x=np.random.default_rng(0).normal(size=(100, 100)))
    save_file({"x": np.ones((100, 100))}, "rows.safetensors")
    for name in ("rows.npy", "rows.npz", "rows.safetensors"):
        path = Path(name)
        path.write_bytes(path.read_bytes()[:-300])
        with pytest.raises(InputError, match=f"{name} is no file of vectors"):
            read_vectors(name)


def test_bytes_that_were_altered_in_an_archive_are_refused():
    np.savez("rows.npz", x=np.ones((100, 100)))
    content = bytearray(Path("rows.npz").read_bytes())
    content[1000] ^= 1
    Path("rows.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"rows\.npz is no file of vectors"):
        read_vectors("rows.npz")


def test_several_arrays_to_choose_from_are_refused_by_their_names():
    np.savez("rows.npz", a=ROWS, b=ROWS)
    with pytest.raises(InputError, match=r"'embeddings' or a single 2-d one, has 'a' of shape \(2, 3\), 'b'"):
        read_vectors("rows.npz")
    save_file({"a": np.zeros(3)}, "rows.safetensors")
    with pytest.raises(InputError, match=r"has 'a' of shape \(3,\)"):
        read_vectors("rows.safetensors")
    np.savez("none.npz")
    with pytest.raises(InputError, match="has none"):
        read_vectors("none.npz")


def test_numbers_that_numpy_lacks_are_refused():
    save_file({"x": np.zeros((2, 3), ml_dtypes.bfloat16)}, "rows.safetensors")
    with pytest.raises(InputError, match="numpy has no BF16; save it as float32"):
        read_vectors("rows.safetensors")


def test_names_that_do_not_fit_the_vectors_are_refused():
    np.savez("rows.npz", embeddings=ROWS, items=np.array(["x"]))
    with pytest.raises(InputError, match="has 2 vectors and 1 names for them"):
        read_vectors("rows.npz")


def test_vectors_of_different_lengths_are_refused():
    save(ROWS, "a.npy")
    save(np.zeros((2, 4)), "b.npy")
    with pytest.raises(InputError, match=r"must be of one length: b\.npy has 4 columns, a\.npy has 3"):
        read_vectors(["a.npy", "b.npy"])


def test_parquet_without_a_column_of_embeddings_is_refused():
    with pytest.raises(InputError, match="it has no column 'embedding' of lists"):
        listed([1.0, 2.0])
    with pytest.raises(InputError, match="must hold lists of numbers, got list<"):
        listed([["x"], ["y"]])
    with pytest.raises(InputError, match="it has no rows"):
        listed(pa.array([], pa.list_(pa.float32())))
    for values in ([None, None], [[], []]):
        with pytest.raises(InputError, match="must be a table of numbers"):
            listed(pa.array(values, pa.list_(pa.float32())))


def test_what_is_no_file_of_vectors_is_refused_by_its_ending():
    Path("rows.csv").write_text("a\n1\n")
    with pytest.raises(InputError, match=r"rows\.csv is no file of vectors; files ending in \.npy, \.npz,"):
        read_vectors("rows.csv")


def test_whether_a_file_holds_vectors_is_known_by_its_ending_and_columns():
    assert all(map(has_vectors, ["a.npy", "a.NPZ", "a.safetensors"]))
    assert not any(map(has_vectors, ["a.csv", "a.png", "a"]))
    writer_for("rows.parquet")(Path("rows.parquet"), ["a", "b"], ROWS)
    assert has_vectors("rows.parquet")
    for columns in ({"embedding": [1.0]}, {"a": [[1.0]]}):
        pq.write_table(pa.table(columns), "rows.parquet")
        assert not has_vectors("rows.parquet")
    Path("rows.parquet").write_text("x")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        has_vectors("rows.parquet")


# Files that say more than they hold


def npy(shape="(2, 3)", kind="'<f4'", data=None, header=None, length=None):
    """Write the rows as an array whose header says what it likes."""
    data = ROWS.tobytes() if data is None else data
    header = header or f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header) if length is None else length) + header + data


def archive(name="rows.npz", packed=zipfile.ZIP_DEFLATED, **members):
    with zipfile.ZipFile(name, "w", packed) as file:
        for member, content in members.items():
            file.writestr(member.replace("__", "."), content)
    return name


LIES = {
    "negative": npy("(-2, 3)"),
    "a shape larger than the file": npy("(200000000000, 3)"),
    "a shape that overflows": npy(f"({2**62}, {2**62})"),
    "a shape that overflows to nothing": npy(f"({2**63}, 0)"),
    "a fraction of a row": npy("(2.5, 3)"),
    "objects": npy(kind="'|O'"),
    "records": npy(kind="[('a', '<f4')]"),
    "arrays in an array": npy("(1, 1)", "('<f4', (2, 3))"),
    "long texts": npy("(1, 1)", "'<U1000000'"),
    "nothing wide": npy(kind="'|V0'"),
    "no type": npy(kind="7"),
    "a header deeper than it is parsed": npy(header=b"(" * 9_000),
    "a header of operators": npy(header=b"-" * 9_000 + b"1"),
    "no dictionary": npy(header=b"[" * 50 + b"]" * 50),
    "a header longer than the file": npy(length=65_535),
    "a header of 4 GB": b"\x93NUMPY\x02\0" + struct.pack("<I", 2**32 - 1) + b"{",
    "another version": b"\x93NUMPY\x09\0" + npy()[8:],
}


@pytest.mark.parametrize("content", LIES.values(), ids=LIES)
def test_a_header_that_lies_is_refused_in_one_line_before_memory_is_taken(content):
    Path("rows.npy").write_bytes(content)
    archive(embeddings__npy=content)
    for name in ("rows.npy", "rows.npz"):
        with pytest.raises(InputError, match=rf"{name} is no file of vectors: ") as caught:
            read_vectors(name)
        assert len(str(caught.value)) < 400
        assert "\n" not in str(caught.value)


def test_a_number_that_is_none_in_an_odd_way_is_an_error_of_its_row():
    Path("rows.npy").write_bytes(npy("(2, 1)", "'<f8'", struct.pack("<Qd", 0x7FF0000000000001, 1.0)))
    assert read_vectors("rows.npy").errors == {0: "it holds NaN or infinity"}


def test_a_zero_length_is_no_table_and_columns_first_is_read_as_it_lies():
    for shape in ("(0, 3)", "(3, 0)", "()"):
        Path("rows.npy").write_bytes(npy(shape, data=b"\0" * 4 if shape == "()" else b""))
        with pytest.raises(InputError, match="must be a table of numbers"):
            read_vectors("rows.npy")
    np.savez_compressed("rows.npz", embeddings=np.asfortranarray(ROWS))
    np.testing.assert_array_equal(read_vectors("rows.npz").vectors, ROWS)


def test_of_an_archive_only_the_headers_and_the_array_that_is_taken_are_read(monkeypatch):
    large = npy("(5000000,)", data=b"") + b"\0" * 20_000_000
    archive(rows__npy=npy(), other__npy=large)
    monkeypatch.setattr(bounds, "free_memory", lambda: 1_000_000.0)
    tracemalloc.start()
    np.testing.assert_array_equal(read_vectors("rows.npz").vectors, ROWS)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_an_array_that_takes_more_memory_than_is_free_is_refused_by_its_size(monkeypatch):
    np.savez_compressed("rows.npz", embeddings=np.zeros((1_000, 500)))
    monkeypatch.setattr(bounds, "free_memory", lambda: 3_000_000.0)
    with pytest.raises(InputError, match=r"rows\.npz, unpacked, takes about 0\.004 GB of memory, and 0\.003 GB"):
        read_vectors("rows.npz")


def test_members_that_are_no_arrays_are_passed_over_and_said(caplog):
    archive(
        readme__txt=b"read me", inner__npz=b"PK", rows__npy=npy(), broken__npy=b"hello", objects__npy=npy(kind="'|O'")
    )
    np.testing.assert_array_equal(read_vectors("rows.npz").vectors, ROWS)
    for words in (
        "passed over, as their names do not end in .npy: 'readme.txt', 'inner.npz'",
        "the array 'broken' is passed over: its header cannot be read: ",
        "the array 'objects' is passed over: it must hold numbers or texts, got object",
    ):
        assert words in caplog.text
    with pytest.raises(InputError, match=r"or a single 2-d one, has none"):
        read_vectors(archive(readme__txt=b"read me", broken__npy=b"hello"))


@pytest.mark.parametrize(("place", "value"), [(22, 1 << 40), (24, 10), (18, 1 << 30)], ids=["size", "less", "packed"])
def test_a_list_of_members_that_lies_is_refused(place, value):
    content = bytearray(Path(archive(embeddings__npy=npy())).read_bytes())
    listed_at = content.index(b"PK\x01\x02") + 2  # where the list has what the member itself has, two bytes later
    content[listed_at + place : listed_at + place + 4] = struct.pack("<I", value % 2**32)
    Path("rows.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"rows\.npz is no file of vectors: "):
        read_vectors("rows.npz")


@pytest.mark.parametrize(
    ("packed", "words"), [(zipfile.ZIP_LZMA, "packed in a way"), (zipfile.ZIP_STORED, "encrypted")]
)
def test_a_member_that_numpy_would_not_write_is_refused(packed, words):
    content = bytearray(Path(archive(packed=packed, embeddings__npy=npy())).read_bytes())
    if words == "encrypted":
        content[content.index(b"PK\x01\x02") + 8] |= 1
        Path("rows.npz").write_bytes(content)
    with pytest.raises(InputError, match=f"'embeddings' is {words}"):
        read_vectors("rows.npz")


def test_two_arrays_of_one_name_are_refused():
    content = Path(archive(x__npy=npy(), y__npy=npy())).read_bytes()
    Path("rows.npz").write_bytes(content.replace(b"y.npy", b"x.npy"))
    with pytest.raises(InputError, match="two of its arrays have one name"):
        read_vectors("rows.npz")


def test_lists_of_embeddings_that_take_more_memory_than_is_free_are_refused(monkeypatch):
    monkeypatch.setattr(bounds, "free_memory", lambda: 1_000_000.0)
    with pytest.raises(InputError, match=r"rows\.parquet, unpacked as far as row 1,000, takes about 0\.0"):
        listed(pa.array([[0.0] * 1_000] * 1_000, pa.list_(pa.float32())))
    with pytest.raises(InputError, match=r"rows\.parquet, unpacked, takes about 0\.0"):  # were all as long as the first
        listed([[0.0] * 9_000, *[[0.0]] * 300])


def test_names_of_vectors_may_be_any_type_that_names_rows():
    assert listed([[1.0], [2.0]], item=[0, 1]).names == ["0", "1"]
    assert listed([[1.0], [2.0]], item=pa.array(["x", "y"]).dictionary_encode()).names == ["x", "y"]
    with pytest.raises(InputError, match="'item' holds list"):
        listed([[1.0], [2.0]], item=[["x"], ["y"]])


@pytest.mark.parametrize("suffix", ["npy", "npz", "safetensors", "parquet"])
def test_what_is_no_regular_file_is_refused_and_not_waited_for(suffix):
    os.mkfifo(f"rows.{suffix}")
    with pytest.raises(InputError, match=rf"rows\.{suffix} cannot be read: it is a pipe and no regular file"):
        read_vectors(f"rows.{suffix}")
