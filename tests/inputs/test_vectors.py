"""From arrays in files to vectors: which array is taken, what its rows are called, and what is refused."""

import hashlib
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
from dn2.inputs import vectors as module
from dn2.inputs.vectors import has_vectors, read_vectors
from dn2.store.vectors import writer_for

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
