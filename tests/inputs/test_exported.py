"""Files as programs export them: packed, in other encodings, as records of JSON."""

from __future__ import annotations

import contextlib
import csv
import gzip
import json
import logging
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dn2
from dn2.errors import InputError
from dn2.inputs import json_files, packed
from dn2.inputs.encodings import find_encoding
from dn2.inputs.json_files import read_records
from dn2.inputs.tables import read_table
from dn2.kinds.text.reading import read_texts
from dn2.system import bounds
from dn2.system.interface import use_command_line

ROWS = "Größe;Ort\n1,5;Köln\n2,5;Füssen\n"


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def columns(path: Path, **options: Any) -> dict[str, list[Any]]:
    read = read_table(path, **options)
    return {name: column.tolist() for name, column in read.columns.items()}


# Packed files


@pytest.mark.parametrize("name", ["rows.csv.gz", "rows.csv"])
def test_a_packed_table_is_read_as_the_table_in_it_whatever_its_name(tmp_path: Path, name: str) -> None:
    plain = write(tmp_path / "plain.csv", ROWS)
    assert columns(write(tmp_path / name, gzip.compress(ROWS.encode()))) == columns(plain)
    assert columns(write(tmp_path / "not_packed.csv.gz", ROWS)) == columns(plain)
    tabs = "a\tb, c, d\n1\tx\n"
    assert columns(write(tmp_path / "rows.tsv.gz", gzip.compress(tabs.encode()))) == {"a": [1.0], "b, c, d": ["x"]}


def test_a_folder_is_searched_for_packed_tables(tmp_path: Path) -> None:
    write(tmp_path / "a.csv.gz", gzip.compress(b"a\n1\n"))
    write(tmp_path / "b.csv", "a\n2\n")
    assert columns(tmp_path) == {"a": [1, 2]}


def test_a_packed_table_that_is_cut_off_or_damaged_says_so(tmp_path: Path) -> None:
    whole = gzip.compress("".join(f"{number},{number**3 % 97}\n" for number in range(9_999)).encode())
    with pytest.raises(InputError, match=r"cut\.csv\.gz is cut off: its packed content does not end"):
        read_table(write(tmp_path / "cut.csv.gz", whole[:-9]))
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    with pytest.raises(InputError, match=r"bad\.csv\.gz is (damaged: it cannot be unpacked|cut off)"):
        read_table(write(tmp_path / "bad.csv.gz", bytes(damaged)))


def test_a_bomb_is_refused_before_it_has_filled_memory_or_taken_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "MOST_UNPACKED", 1 << 20)
    bomb = write(tmp_path / "rows.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * (1 << 20)))
    with pytest.raises(InputError, match="unpacks to more than 1,048,576 bytes, 100 times its size and more"):
        read_table(bomb)
    texts = write(tmp_path / "a.log.gz", gzip.compress(b"\n" * (1 << 22)))
    with pytest.raises(InputError, match="unpacks to more than"):
        read_texts(texts)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_damage_to_a_packed_file_is_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = gzip.compress(ROWS.encode() * 20)
    place = data.draw(st.integers(2, len(whole) - 1))
    changed = whole[:place] + data.draw(st.binary(max_size=3)) + whole[place + data.draw(st.integers(0, 3)) :]
    path = write(tmp_path_factory.mktemp("packed") / "rows.csv.gz", changed)
    with contextlib.suppress(InputError):
        read_table(path)


# Encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
def test_what_the_bytes_show_is_read_in_silence(
    tmp_path: Path, encoding: str, caplog: pytest.LogCaptureFixture
) -> None:
    for content in (ROWS, "地点;値\n東京;1\n大阪;2\n"):
        assert columns(write(tmp_path / "rows.csv", content.encode(encoding))) == columns(
            write(tmp_path / "as_utf_8.csv", content)
        )
    assert caplog.records == []


def test_windows_1252_is_read_and_said_once_with_a_word_to_judge_by(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.csv", "b.csv", "c.csv"):
        write(tmp_path / name, f"Betrag;Ort\n1,5;Bonn\n2,5;{name} Köln\n3;Füssen \u2013 5 €\n".encode("cp1252"))
    with caplog.at_level(logging.INFO):
        read = read_table(tmp_path)
    assert read.columns["Ort"].tolist()[:3] == ["Bonn", "a.csv Köln", "Füssen \u2013 5 €"]
    (said,) = caplog.messages
    assert said.endswith("a.csv is read as Windows-1252: line 3 is no UTF-8, 'Köln'; so are 2 more files")


@pytest.mark.parametrize(
    "text",
    [
        "Größe, Maß, süß, Äußerung, Straße, ÜBER, weiß, „Anführung“",
        "été, œuvre, créée, ça, naïf, à l\u2019hôtel, CAFÉ, « déjà »",
        "¿Qué? año, señor, ¡Olé!, corazón, pingüino",
        "São João, ação, coração, peça, informações, ÔNIBUS",
        "Malmö, Århus, Tromsø, smørrebrød, Tänään, Töölö",
        "25 °C, 3 m³, 90 kWh/m²a, 7 µm, 5 €, 10 ± 2, 1½, §5, 100 £, ™",
        "N°Client; N°A12; RésuméÉtat; Temp°C; m³h",
        "Maßänderung, Schweißüberhöhung, Fußödem, AußenÖffnung, TemperaturÖl",
        "käyttöä säästöä ympäristöä",
        "ráð, góð, svæði",
        "blåøjet; överåaring; blåögd; tööõpe õõnes",
        "Acme®Plus; Foo™bar; »Spaß« …",
        "Café",
    ],
)
def test_texts_of_western_europe_are_read_as_windows_1252(tmp_path: Path, text: str) -> None:
    for ending in (b"", b"\n"):
        encoding = find_encoding(write(tmp_path / "rows.csv", text.encode("cp1252") + ending))
        assert encoding.name == "cp1252", encoding.first_bad


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Größe und Köln", "cp850"),
        ("München und Größe", "mac_roman"),
        ("Zażółć gęślą jaźń", "cp1250"),
        ("Příliš žluťoučký kůň", "cp1250"),
        ("Добрый день", "cp1251"),
        ("Добрый день", "koi8_r"),
        ("Καλημέρα", "cp1253"),
        ("東京都の天気", "shift_jis"),
        ("今天的天气", "gbk"),
        ("오늘의 날씨", "euc_kr"),
        ("Größe", "utf-8"),
        ("5 € \u2013 ja", "utf-8"),
        ("\u2192 start \u2713 done \u26a0 slow", "utf-8"),
        ("\u4e2d\u6587 \u5b57", "utf-8"),
    ],
)
def test_other_encodings_are_refused_with_line_and_byte(tmp_path: Path, text: str, encoding: str) -> None:
    bad = b"\xe2\x86" if encoding == "utf-8" else b""  # a character that was cut off
    path = write(tmp_path / "rows.csv", b"id,text\n1,a\n2," + text.encode(encoding) + bad + b"\n")
    with pytest.raises(
        InputError,
        match=r"rows\.csv, line 3: byte \d+ \(0x..\) is no UTF-8, and .* as Windows-1252; save the file as UTF-8",
    ):
        read_table(path)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60))
def test_utf_8_is_never_taken_for_anything_else(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = write(tmp_path_factory.getbasetemp() / "any.csv", text)
    assert find_encoding(path).name == "utf-8-sig"


def test_a_model_of_windows_1252_scores_a_file_in_any_encoding_alike(tmp_path: Path) -> None:
    rows = "".join(f"{number * 7 % 50},5;{('Köln', 'Füssen')[number % 2]}\n" for number in range(60))
    model = dn2.fit(write(tmp_path / "rows.csv", ("Größe;Ort\n" + rows).encode("cp1252")))
    scores = [
        [row.anomaly_score for row in model.score(write(tmp_path / "new.csv", ("Größe;Ort\n" + rows).encode(encoding)))]
        for encoding in ("cp1252", "utf-8", "utf-16-le")
    ]
    assert scores[0] == scores[1] == scores[2]


def test_messages_in_windows_1252_are_read_and_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "mails").mkdir()
    for number in range(3):
        write(tmp_path / "mails" / f"{number}.txt", "schöne Grüße".encode("cp1252"))
    assert read_texts(tmp_path / "mails").texts == ["schöne Grüße"] * 3
    assert len(caplog.messages) == 1
    assert "0.txt is read as Windows-1252: line 1 is no UTF-8, 'schöne'; so are 2 more files" in caplog.text


# Records of JSON


RECORDS = [{"a": 1, "b": "x"}, {"a": 2.5, "c": True}, {"a": None, "b": "y", "c": False}]
AS_COLUMNS = {"a": [1, 2.5, None], "b": ["x", None, "y"], "c": [None, "true", "false"]}


def none_for_nan(read: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {name: [None if cell != cell else cell for cell in cells] for name, cells in read.items()}


@pytest.mark.parametrize("name", ["r.json", "r.jsonl", "r.ndjson", "lines.json", "r.json.gz", "r.jsonl.gz"])
def test_records_are_the_rows_of_a_table(tmp_path: Path, name: str) -> None:
    lines = "\n\n".join(map(json.dumps, RECORDS))
    content = (json.dumps(RECORDS, indent=1) if name.startswith("r.json") and "l" not in name else lines).encode()
    path = write(tmp_path / name, gzip.compress(content) if name.endswith(".gz") else content)
    assert none_for_nan(columns(path)) == AS_COLUMNS
    assert read_table(path).names == [f"{path}:{row}" for row in (1, 2, 3)]
    assert none_for_nan(columns(path, text=["a"]))["a"] == ["1", "2.5", None]


def test_a_single_flat_record_is_one_row(tmp_path: Path) -> None:
    assert columns(write(tmp_path / "r.json", '{"a": 1, "b": "x"}')) == {"a": [1], "b": ["x"]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            '{"page": 1, "data": [{"a": 1}, {"a": 2}]}',
            "whose 'data' is a list of 2 records; give that list alone, json",
        ),
        ('{"a": {"0": 1}, "b": {"0": 2}}', r"one object of lists or objects.*to_json\(orient='records'\)"),
        ("[1, 2]", r"holds no record such as \{\.\.\.\}, whose names are those of columns"),
        ("[]", "holds no record"),
        ("3", r"holds int; a \.json holds a list of records"),
        ('[{"a": 1},\n{"a": ]', r"r\.json, line 2: it is no JSON: Expecting value"),
        ("[" * 100_000, r"r\.json is no JSON that is read"),
        ('[{"a": [1]}, {"a": [2]}]', r"r\.json: the column 'a' holds list, .*; leave it out with drop_columns='a'"),
        ('[{"a": ' + "1" * 9_999 + "}]", r"r\.json is no JSON that is read"),
    ],
)
def test_json_that_is_no_list_of_records_is_refused_with_the_way_out(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_table(write(tmp_path / "r.json", content))


def test_on_the_command_line_the_way_out_of_an_object_is_a_command(tmp_path: Path) -> None:
    with use_command_line(), pytest.raises(InputError, match=r"which jq \.data makes of it"):
        read_table(write(tmp_path / "r.json", '{"data": [{"a": 1}]}'))


def test_a_record_that_cannot_be_read_is_an_error_of_its_row_and_missing_everywhere(tmp_path: Path) -> None:
    read = read_table(write(tmp_path / "r.jsonl", '{"a": 1}\n{"a": \n[2]\n{"a": 4}\n'))
    assert read.errors[1].startswith("it is no JSON: Expecting value")
    assert read.errors[2] == "a row is a record such as {...}, got list"
    assert none_for_nan({"a": read.columns["a"].tolist()}) == {"a": [1, None, None, 4]}
    with pytest.raises(InputError, match=r"r\.jsonl holds no record such as"):
        read_table(write(tmp_path / "r.jsonl", "1\n2\n"))


def test_a_list_beyond_what_is_parsed_as_a_whole_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_files, "LONGEST_LIST", 20)
    with pytest.raises(InputError, match=r"has more than 20 characters, and a list .*; give JSON Lines"):
        read_table(write(tmp_path / "r.json", json.dumps(RECORDS)))


@pytest.mark.parametrize(
    "value", ["{}", "[0]", "[{}]", '{"":0}', '"\u0100"', "[" * 300 + "]" * 300, '{"":' * 150 + "0" + "}" * 150]
)
def test_a_list_that_takes_more_memory_than_is_free_is_refused(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"[{','.join([value] * (60_000 // len(value)))}]"
    path = write(tmp_path / "r.json", text)
    tracemalloc.start()
    parsed = json.loads(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert parsed
    monkeypatch.setattr(bounds, "free_memory", lambda: peak - 1)
    with pytest.raises(InputError, match=r"r\.json, parsed, takes about .* GB of memory"):
        next(read_records(path))


def test_json_beside_the_items_of_a_folder_is_none_of_them(tmp_path: Path) -> None:
    write(tmp_path / "rows.csv", "a\n1\n2\n")
    write(tmp_path / "settings.json", '{"a": 1}')
    assert columns(tmp_path) == {"a": [1, 2]}
    (tmp_path / "rows.csv").unlink()
    with pytest.raises(
        InputError, match=r"it holds 1 \.json; files .*, or \.json \.json\.gz if named itself, are searched"
    ):
        read_table(tmp_path)


def test_records_are_a_table_where_a_json_is_named_and_messages_where_that_is_said(tmp_path: Path) -> None:
    records = [{"flow": number * 7 % 50 / 10, "note": f"pump {number % 3} runs"} for number in range(60)]
    listed = write(tmp_path / "r.json", json.dumps(records))
    lines = write(tmp_path / "r.jsonl", "\n".join(map(json.dumps, records)))
    assert dn2.fit(listed).kind.name == "table"
    assert dn2.fit(lines, backbone="characters").kind.name == "text"
    assert dn2.fit(listed, kind="text", backbone="characters").kind.name == "text"
    model = dn2.fit(lines, kind="table")
    assert [row.anomaly_score for row in model.score(listed)] == [row.anomaly_score for row in model.score(lines)]


def test_the_limit_of_the_csv_module_is_that_of_before_and_of_no_other_thread(tmp_path: Path) -> None:
    long = write(tmp_path / "long.csv", "a,b\n" + f"1,{'x' * 200_000}\n" * 3)
    short = write(tmp_path / "short.csv", "a,b\n" + "1,x\n" * 300)
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(read_table, [long, short, short, long] * 12))
    assert all(not table.errors for table in read)
    assert csv.field_size_limit() == 131_072
