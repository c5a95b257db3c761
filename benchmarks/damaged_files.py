"""Damaged files of tables, messages, vectors and results, repeatable by their dice."""

from __future__ import annotations

import io
import json
import random
import struct
import tempfile
import warnings
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save

import dn2

ROWS = 40
FORGED = (
    *("1e999", "-inf", "nan(7)", "0x10", "1_000", "١٢٣", " infinity", "1e-999", "9" * 400, "-0", "1,5", "1.234,56"),
    *("300000-01-01", "0001-01-01T00:00:00+14:00", "2024-13-45", "TRUE", "=1+1", "", " ", "\0", '"', "'", "\ud800"),
    *("\n", "\r", "\n" * 300, "x" * 100_000, "[" * 5_000, "{}", "null", "NaN", "\ufeff", "\u202e", ";", "\t", ","),
)
JSON_FORGED = (None, True, [], {}, [[]], {"a": 1}, 10**400, -1, 0, 1e308, float("nan"), float("inf"), "\ud800", "x")
NUMBERS = (0, 1, -1, 255, 2**15, 2**31 - 1, -(2**31), 2**32 - 1, 2**62, 2**63 - 1, -(2**63))

Dice = random.Random


def table() -> dict[str, Any]:
    """Return a small table, as lists."""
    rng = np.random.default_rng(0)
    return {
        "id": [f"r{row}" for row in range(ROWS)],
        "a": rng.normal(size=ROWS).tolist(),
        "b": rng.integers(0, 9, ROWS).tolist(),
        "c": rng.choice(["x", "y", "z"], ROWS).tolist(),
        "t": [f"2024-01-{day % 28 + 1:02d} {day % 24:02d}:00" for day in rng.integers(0, 999, ROWS).tolist()],
    }


def of_text(text: str, dice: Dice) -> bytes:
    """Put forged cells into the lines of a text, and damage its bytes in one of two files."""
    lines = [line.split(",") for line in text.split("\n")]
    for _ in range(dice.choice([1, 2, 8])):
        line = dice.choice(lines)
        what = dice.randrange(5)
        if what == 0:
            line[dice.randrange(len(line))] = dice.choice(FORGED)
        elif what == 1:
            line.insert(dice.randrange(len(line) + 1), dice.choice(FORGED))
        elif what == 2 and len(line) > 1:
            del line[dice.randrange(len(line))]
        elif what == 3:
            lines[dice.randrange(len(lines))] = list(dice.choice(lines))
        else:
            cell = dice.choice(FORGED)
            lines.insert(dice.randrange(len(lines)), [cell] * dice.choice([1, 1, 3, 3_000 if len(cell) < 100 else 9]))
    ending = dice.choice(["\n", "\n", "\r\n", "\r"])
    written = ending.join(",".join(line) for line in lines)
    data = written.encode(
        dice.choice(["utf-8", "utf-8", "utf-8", "utf-16", "latin-1"]), dice.choice(["replace", "ignore"])
    )
    return of_bytes(data, dice) if dice.random() < 0.5 else data


def of_bytes(data: bytes, dice: Dice) -> bytes:
    """Damage bytes: single ones, numbers of four or eight, slices cut out, doubled or blanked, the end."""
    damaged = bytearray(data)
    for _ in range(dice.choice([1, 1, 2, 6])):
        place = dice.randrange(max(1, len(damaged)))
        what, length = dice.randrange(7), dice.choice([1, 4, 30, 1_000])
        if what <= 1 and damaged:
            damaged[place] = dice.randrange(256)
        elif what == 2:
            size, form = dice.choice([(4, "<I"), (8, "<Q")])
            damaged[place : place + size] = struct.pack(form, dice.choice(NUMBERS) % 2 ** (8 * size))
        elif what == 3:
            del damaged[place : place + length]
        elif what == 4:
            damaged[place:place] = damaged[place : place + length]
        elif what == 5:
            damaged[place : place + length] = bytes([dice.choice([0, 10, 34, 255])]) * length
        else:
            del damaged[dice.randrange(len(damaged) // 2, len(damaged) + 1) :]
    return bytes(damaged)


def csv_file(dice: Dice) -> bytes:
    """Make a CSV file."""
    columns = table()
    rows = [list(columns), *zip(*columns.values(), strict=True)]
    return of_text("\n".join(",".join(map(str, row)) for row in rows) + "\n", dice)


def jsonl_file(dice: Dice) -> bytes:
    """Make JSON Lines of messages."""
    records: list[Any] = [{"id": f"m{n}", "body": f"the pump {n} stopped at valve {n % 7}"} for n in range(ROWS)]
    for _ in range(dice.choice([0, 1, 4])):
        records[dice.randrange(ROWS)][dice.choice(["id", "body", "more"])] = dice.choice(JSON_FORGED)
    records[dice.randrange(ROWS)] = dice.choice([*JSON_FORGED, records[0]])
    lines = [json.dumps(record) for record in records]
    if dice.random() < 0.3:
        lines[dice.randrange(ROWS)] = dice.choice(["[" * 100_000, "9" * 100_000, "{" * 10_000, '"' * 999, "\0" * 9_999])
    data = "\n".join(lines).encode(errors="replace")
    return of_bytes(data, dice) if dice.random() < 0.6 else data


def parquet_file(dice: Dice) -> bytes:
    """Make a Parquet file of a table, with columns of other types in some."""
    columns = table()
    n = dice.choice([ROWS, ROWS, 1, 0])
    odd = {
        "a": pa.array([*range(n)], pa.int8()),
        "b": pa.array([2**52 + row for row in range(n)], pa.timestamp(dice.choice(["s", "ns"]))),
        "c": pa.array([[1.0] * (row % 3) for row in range(n)]),
        "t": pa.array([2**31 - 1 - row for row in range(n)], pa.date32()),
        "id": pa.array(["x" * 100_000] * n).dictionary_encode(),
    }
    made = pa.table({name: values[:n] for name, values in columns.items()})
    for name in dice.sample(sorted(odd), dice.choice([0, 0, 1, 2])):
        made = made.set_column(made.column_names.index(name), name, odd[name])
    return _damaged_parquet(made, dice)


def vectors_parquet(dice: Dice) -> bytes:
    """Make a Parquet file of embeddings, with lists of other lengths, types or depths in some."""
    lists: list[Any] = np.random.default_rng(0).normal(size=(ROWS, 4)).tolist()
    for _ in range(dice.choice([0, 1, 3])):
        forged = [None, [], [None] * 4, [1.0] * 9, [float("inf")] * 4, [1e308] * 4, [1.0] * 50_000]
        lists[dice.randrange(ROWS)] = dice.choice(forged)
    kind = dice.choice([pa.float32(), pa.float64(), pa.float64(), pa.float16()])
    values = pa.array(lists, pa.list_(kind))
    if dice.random() < 0.1:
        values = pa.array([[one] for one in lists])
    items = dice.choice([[f"v{row}" for row in range(ROWS)], [None] * ROWS, [1] * ROWS, ["\0"] * ROWS])
    return _damaged_parquet(pa.table({"item": items, "embedding": values}), dice)


def _damaged_parquet(made: pa.Table, dice: Dice) -> bytes:
    file = io.BytesIO()
    packed = dice.choice(["none", "snappy", "gzip", "zstd"])
    pq.write_table(
        made, file, compression=packed, row_group_size=dice.choice([7, 1_000]), store_schema=dice.random() < 0.5
    )
    data = file.getvalue()
    if dice.random() < 0.1:
        return data
    (length,) = struct.unpack("<I", data[-8:-4])
    if dice.random() < 0.6:  # the footer alone, whose own length stays right
        footer = bytearray(data[-8 - length : -8])
        for _ in range(dice.choice([1, 2, 6])):
            footer[dice.randrange(length)] = dice.randrange(256)
        return data[: -8 - length] + bytes(footer) + data[-8:]
    return of_bytes(data, dice)


def npy_bytes(dice: Dice) -> bytes:
    """Make an array whose header says something else in half of the cases."""
    array = np.random.default_rng(0).normal(size=(ROWS, 4)).astype(dice.choice(["f4", "f8", "f2", ">f4", "i2", "b1"]))
    file = io.BytesIO()
    np.save(file, np.asfortranarray(array) if dice.random() < 0.2 else array)
    if dice.random() < 0.5:
        return file.getvalue()
    shape = dice.choice(
        [
            "(-1, 4)",
            "(0, 4)",
            "(2**62, 4)",
            f"({2**62}, 4)",
            f"({2**31}, {2**33})",
            "(160,)",
            "()",
            "(4, 10, 4)",
            "(9, 9)",
        ]
    )
    kind = dice.choice(["'<f4'", "'|O'", "'<U1000000'", "[('a', '<f4')]", "('<f4', (2, 2))", "'<M8[s]'", "'|V0'", "7"])
    header = f"{{'descr': {kind}, 'fortran_order': {dice.choice(['True', 'False', '3'])}, 'shape': {shape}, }}"
    header = dice.choice(
        [header, header, header, "-" * 5_000 + "1", "(" * 9_000, "[" * 100 + "]" * 100, "{}", "\0" * 90]
    )
    length = dice.choice([len(header)] * 4 + [0, 65_535])
    return b"\x93NUMPY\x01\0" + struct.pack("<H", length) + header.encode() + array.tobytes()


def npy_file(dice: Dice) -> bytes:
    """Make a file of one array."""
    data = npy_bytes(dice)
    return of_bytes(data, dice) if dice.random() < 0.5 else data


def npz_file(dice: Dice) -> bytes:
    """Make an archive of arrays and other members."""
    file = io.BytesIO()
    names = [
        "embeddings.npy",
        "items.npy",
        "readme.txt",
        "x.npy",
        "a/b.npy",
        "embeddings.npy",
        "deep.npz",
        ".npy",
        "b/",
    ]
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as archive:
        warnings.simplefilter("ignore")
        for name in ["embeddings.npy", *dice.sample(names, dice.choice([0, 1, 3]))][dice.randrange(2) :]:
            packed = dice.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
            archive.writestr(name, npy_bytes(dice), packed)
    data = file.getvalue()
    return of_bytes(data, dice) if dice.random() < 0.6 else data


def safetensors_file(dice: Dice) -> bytes:
    """Make a file of tensors whose header lies in half of the cases."""
    data = save({"embeddings": np.random.default_rng(0).normal(size=(ROWS, 4)).astype(dice.choice(["f4", "f8", "i1"]))})
    if dice.random() < 0.5:
        return of_bytes(data, dice)
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    for _ in range(dice.choice([1, 2])):
        forged = dice.choice([*NUMBERS, [], [2**62, 4], [-1, 4], [0, 10**9], "F4", "BF16", "F8_E4M3", None, {}])
        header["embeddings"][dice.choice(["dtype", "shape", "data_offsets"])] = forged
    written = json.dumps(dice.choice([header, header, header, {"x": {}}, [[]] * 9, 3])).encode()
    return struct.pack("<Q", dice.choice([len(written)] * 4 + [2**63, 0])) + written + data[8 + length :]


@cache
def written(ending: str) -> bytes:
    """Return a results file of some ending."""
    columns = {name: cells for name, cells in table().items() if name != "id"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"results.{ending}")
        dn2.fit(columns).score(columns).save(path)
        return path.read_bytes()


def results_csv(dice: Dice) -> bytes:
    """Make a results file."""
    data = written("csv")
    return of_text(data.decode(), dice) if dice.random() < 0.5 else of_bytes(data, dice)


def results_jsonl(dice: Dice) -> bytes:
    """Make a results file, with forged values in half of them."""
    if dice.random() < 0.5:
        return of_bytes(written("jsonl"), dice)
    records = [json.loads(line) for line in written("jsonl").splitlines()]
    for _ in range(dice.choice([1, 3])):
        record = dice.choice(records)
        inside = dice.choice([record, *(record["neighbors"] or []), *(record["columns"] or [])])
        if isinstance(inside, dict):
            inside[dice.choice(sorted(inside))] = dice.choice(JSON_FORGED)
    return "\n".join(map(json.dumps, records)).encode()


def results_parquet(dice: Dice) -> bytes:
    """Make a results file."""
    return _damaged_parquet(pq.read_table(io.BytesIO(written("parquet"))), dice)
