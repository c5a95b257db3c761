"""The command line as people use it: pipes, wrong orders, folders that are not there yet, and what to do next."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from rich.cells import cell_len

import dn2
from dn2.cli import progress, stdin
from dn2.cli.progress import Pace, duration
from dn2.cli.stopping import Work
from dn2.cli.wrapping import share, wrap
from made_messages import write_messages
from made_series import write_series
from small_tables import frame, write


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DN2_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch):
    """Put bytes, or lines, on stdin."""

    def pipe(content: bytes | list) -> None:
        data = content if isinstance(content, bytes) else "".join(f"{line}\n" for line in content).encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return pipe


# Starting


def test_python_runs_dn2_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "dn2", "fit", "-h"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: dn2 fit ")


COMPLETING = """
import sys
import tempfile
from dn2.cli import main
try:
    main()
finally:
    print("numpy" in sys.modules, file=sys.stderr)
"""
SHELLS = {
    "bash": {"_DN2_COMPLETE": "complete_bash", "COMP_WORDS": "dn2 {line}", "COMP_CWORD": "{count}"},
    "zsh": {"_DN2_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "dn2 {line}"},
    "fish": {
        "_DN2_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_ARGS": "dn2 {line}",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    },
}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "found"),
    [("rea", {"readmit"}), ("fit --drop", {"--drop", "--drop-columns"}), ("fit --preset ac", {"accurate"})],
)
def test_shells_complete_commands_options_and_choices_without_numpy(shell: str, line: str, found: set[str]) -> None:
    count = str(len(line.split()))
    given = {name: words.format(line=line, count=count) for name, words in SHELLS[shell].items()}
    done = subprocess.run(
        [sys.executable, "-c", COMPLETING], capture_output=True, text=True, env={**os.environ, **given}
    )
    assert done.stderr == "False\n"
    names = set(re.findall(r"[\w-]*(?:readmit|drop(?:-columns)?|accurate)\b", done.stdout))
    assert found <= names


@pytest.mark.parametrize("shell", SHELLS)
def test_the_completion_of_a_shell_is_shown(shell: str) -> None:
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    command = [sys.executable, "-m", "dn2", "--show-completion", shell]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0
    assert f"_DN2_COMPLETE=complete_{shell}" in done.stdout


# stdin


def test_a_list_of_paths_comes_through_stdin(dn2_command, world: Path, here: Path, piped) -> None:
    paths = sorted((world / "normal").iterdir())
    (here / "list.txt").write_text("\n".join(map(str, [*paths[:9], world / "more"])))
    options = ["--backbone", world / "tiny.onnx"]
    assert dn2_command("fit", "@list.txt", "-o", "listed.dn2", *options).status == 0
    piped([*paths[:9], world / "more", ""])
    assert dn2_command("fit", "-", "-o", "piped.dn2", *options).status == 0
    assert dn2.load("piped.dn2").items == dn2.load("listed.dn2").items
    piped([world / "other"])
    assert len(dn2_command("score", "piped.dn2", "-", "--json").out.splitlines()) == 12
    piped(paths[9:12])
    assert dn2_command("add", "piped.dn2", "-").status == 0
    piped([world / "other"])
    done = dn2_command("evaluate", "piped.dn2", "--normal", world / "normal", "--anomalous", "-")
    assert re.search(r"anomalous items +12", done.out)
    piped(paths[:3])
    assert dn2_command("embed", "-", "-o", "v.npz", *options).err.startswith("3 embeddings of 192 features")


def test_bytes_on_stdin_that_are_no_list_are_shown_as_numbers(dn2_command, here: Path, piped) -> None:
    piped(b"\x89PNG\r\n\xff")
    assert r"its first line, '\x89PNG', names no file" in dn2_command("fit", "-", "-o", "m.dn2").err


def test_a_percentage_is_answered_with_the_share_to_write(dn2_command, here: Path, monkeypatch) -> None:
    for arguments in (["--false-alarm-rate", "1%"], ["--false-alarm-rate=1%"]):
        command = ["fit", "a.csv", "-o", "m.dn2", *arguments]
        monkeypatch.setattr(sys, "argv", ["dn2", *command])
        words = "dn2: --false-alarm-rate must be a number, got '1%'; write 0.01; see: dn2 fit --help"
        assert dn2_command(*command).err.splitlines() == [words]


def test_messages_come_through_stdin_one_a_line(dn2_command, here: Path, piped) -> None:
    write_messages(here)
    lines = Path("messages.txt").read_text().splitlines()
    piped(lines)
    done = dn2_command("fit", "-", "--kind", "text", "--backbone", "characters", "-o", "desk.dn2")
    assert done.status == 0, done.err
    assert [item[:2] for item in dn2.load("desk.dn2").items][:2] == [("stdin:1", ""), ("stdin:2", "")]
    dn2_command("fit", "messages.txt", "--backbone", "characters", "-o", "file.dn2")
    piped(["please cancel my order", "", "free money!!!"])
    rows = dn2_command("score", "desk.dn2", "-", "--json").out.splitlines()
    assert len(rows) == 2
    expected = dn2.load("file.dn2").score(np_texts(["please cancel my order", "free money!!!"]))
    assert f'"anomaly_score": {expected[1].anomaly_score}' in rows[1]


def np_texts(texts: list[str]):
    import numpy as np

    return np.array(texts, object)


def test_rows_and_series_come_through_stdin_as_csv(dn2_command, here: Path, piped) -> None:
    write(frame(120), here / "rows.csv")
    piped((here / "rows.csv").read_bytes())
    assert dn2_command("fit", "-", "--kind", "table", "-o", "rows.dn2").status == 0
    assert dn2.load("rows.dn2").items[0][:2] == ("stdin:1", "")
    write_series(here)
    piped(Path("new_pump.csv").read_bytes())
    done = dn2_command("score", "--self", "-", "--time", "time", "--window", "60", "-o", "r.csv")
    assert done.status == 0, done.err
    dn2_command("score", "--self", "new_pump.csv", "--time", "time", "--window", "60", "-o", "file.csv")
    assert Path("r.csv").read_text().replace("stdin:", "new_pump.csv:") == Path("file.csv").read_text()


def as_lines(records: list) -> bytes:
    return "\n".join(map(json.dumps, records)).encode()


@pytest.mark.parametrize(
    "write_records",
    [
        as_lines,
        lambda records: b"\n " + as_lines(records),
        lambda records: json.dumps(records).encode(),
        lambda records: json.dumps(records, indent=1).encode("utf-8-sig"),
        lambda records: json.dumps(records, indent=1).encode("utf-16"),
    ],
)
def test_rows_come_through_stdin_as_json(write_records, dn2_command, here: Path, piped) -> None:
    piped(write_records([{"flow": number * 7 % 50 / 10, "pump": f"p{number % 3}"} for number in range(60)]))
    done = dn2_command("fit", "-", "--kind", "table", "-o", "rows.dn2")
    assert done.status == 0, done.err
    assert [column.name for column in dn2.load("rows.dn2").columns] == ["flow", "pump"]
    assert len(dn2.load("rows.dn2").items) == 60


def test_a_header_that_begins_like_json_is_one(dn2_command, here: Path, piped) -> None:
    piped(["[kW];{b}", *(f"{number * 7 % 50};{number * 3 % 20}" for number in range(60))])
    assert dn2_command("fit", "-", "--kind", "table", "-o", "rows.dn2").status == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a,b\n", "stdin has a header and no rows below it"),
        (b"[]", "stdin holds no record"),
        (b'[{"a": 1}, {', "stdin, line 1: it is no JSON"),
        (b'{"data": [{"a": 1}]}', "stdin holds one object, whose 'data' is a list of 1 records; give that list alone"),
        (b"a,b\n\x81,2\n", "stdin, line 2: byte 1 (0x81) is no UTF-8"),
        (b"Gr\xf6\xdfe,b\n1,2\n", "stdin"),
        (b"PK\x03\x04", "stdin is no text but packed"),
    ],
)
def test_what_is_wrong_with_stdin_is_said_of_stdin(content, words, dn2_command, here: Path, piped) -> None:
    piped(content)
    done = dn2_command("fit", "-", "--kind", "table", "-o", "m.dn2")
    assert done.status == 2
    assert words in done.err
    assert tempfile.gettempdir() not in done.err.replace(str(here), "")
    assert "stdin." not in done.err


def test_what_stdin_cannot_be_is_refused_in_one_line(dn2_command, here: Path, piped, monkeypatch) -> None:
    for content, words in (
        (b"", "nothing came through stdin"),
        (
            ["amount,city", "3,Ulm"],
            "its first line, 'amount,city', names no file; if it holds the items themselves, say so",
        ),
        (b'[{"amount": 3}]', "its first line, '[{\"amount\": 3}]', names no file; if it holds the items"),
        (["@list.txt"], "its first line, '@list.txt', names no file"),
    ):
        piped(content)
        done = dn2_command("fit", "-", "-o", "m.dn2")
        assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
        assert words in done.err
    monkeypatch.setattr(stdin, "MOST_BYTES", 10)
    piped(b"x" * 11)
    assert "stdin has more than 10 bytes; write it to a file" in dn2_command("fit", "-", "-o", "m.dn2").err
    monkeypatch.setattr(sys, "stdin", None)
    assert "which is closed here" in dn2_command("fit", "-", "-o", "m.dn2").err
    assert list(here.iterdir()) == []


# Wrong orders


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            "score new parts.dn2",
            "new is no model, and parts.dn2 is one: the model comes first; dn2 score parts.dn2 new",
        ),
        ("score new old parts.dn2", "dn2 score parts.dn2 new old"),
        ("add new parts.dn2", "the model comes first; dn2 add parts.dn2 new"),
        ("remove 0001.png parts.dn2", "the model comes first; dn2 remove parts.dn2 0001.png"),
        ("readmit 0001.png parts.dn2", "the model comes first; dn2 readmit parts.dn2 0001.png"),
        (
            "evaluate new --normal parts.dn2 --anomalous new",
            "the model comes first; dn2 evaluate parts.dn2 --normal INPUT --anomalous INPUT",
        ),
        ("report parts.dn2 --model r.csv -o p.html", "the results come first: dn2 report r.csv --model parts.dn2 -o"),
        ("fit new", "Missing option '--output' / '-o'; write it as: dn2 fit new -o new.dn2; see: dn2 fit --help"),
        ("fit new old.dn2", "write it as: dn2 fit new -o old.dn2; see"),
        ("fit @list.txt", "write it as: dn2 fit @list.txt -o list.dn2; see"),
        ("fit new*/ old", "write it as: dn2 fit 'new*/' old -o model.dn2; see"),
        ("fit -o parts.dn2", "Missing argument 'INPUT'; write it as: dn2 fit good_parts/ -o parts.dn2; see"),
        ("embed new", "write it as: dn2 embed incoming/ -o vectors.npz; see: dn2 embed --help"),
        ("score parts.dn2", "give INPUT after MODEL, dn2 score parts.dn2 INPUT"),
    ],
)
def test_a_wrong_order_is_answered_with_the_right_one(
    dn2_command, saved: Path, here: Path, command: str, words: str
) -> None:
    shutil.copytree(saved, "parts.dn2")
    Path("new").mkdir()
    done = dn2_command(*command.split())
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert words in done.err


# Folders


def test_folders_are_made_for_what_is_written(dn2_command, saved: Path, world: Path, here: Path) -> None:
    tiny = ["--backbone", world / "tiny.onnx"]
    assert dn2_command("fit", world / "more", "-o", "a/b/m.dn2", *tiny).status == 0
    done = dn2_command("score", saved, world / "other", "-o", "c/d/r.csv", "--report", "e/f/r.html")
    assert (done.status, done.out) == (0, "")
    assert dn2_command("inspect", saved, "--plot", "g/h/m.svg").status == 0
    assert dn2_command("embed", world / "more", "-o", "i/j/v.npz", *tiny).status == 0
    made = {str(path.relative_to(here)) for path in here.rglob("*") if path.is_file() and "." in path.name}
    assert {"a/b/m.dn2/model.json", "c/d/r.csv", "e/f/r.html", "g/h/m.svg", "i/j/v.npz"} <= made


def test_no_folder_is_made_where_nothing_is_written(dn2_command, saved: Path, here: Path) -> None:
    Path("empty").mkdir()
    assert dn2_command("score", saved, "empty", "-o", "c/d/r.csv").status == 2
    assert not Path("c").exists()


def test_a_folder_that_cannot_be_made_is_named(dn2_command, saved: Path, world: Path, here: Path) -> None:
    Path("file").write_text("")
    done = dn2_command("score", saved, world / "other", "-o", "file/d/r.csv")
    assert (done.status, done.err) == (2, "dn2: file/d/r.csv cannot be written: file is no folder\n")


# What takes time


def test_the_time_left_leaves_the_start_up_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    pace = Pace()
    now = 100.0  # a network was opened
    assert pace.words(1, 101) == ""
    now = 110.0
    assert pace.words(21, 101) == "2.0/s, 40 s left"
    now = 120.0
    assert pace.words(41, 101) == "2.0/s, 30 s left"
    assert pace.words(1, 50) == ""  # other work
    now = 121.0
    assert pace.words(26, 50) == "25/s, 1 s left"


def test_the_time_left_follows_the_last_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    pace = Pace()
    pace.words(1, 100_000)
    now = 1.0
    pace.words(90_001, 100_000)  # from the cache
    for second in range(2, 200):
        now = float(second)
        words = pace.words(90_001 + 10 * (second - 1), 100_000)
    assert words.startswith("10/s, ")


def test_durations_are_written_as_a_person_says_them() -> None:
    assert [duration(one) for one in (0.4, 59.6, 185, 7_800)] == ["0 s", "1 min 0 s", "3 min 5 s", "2 h 10 min"]


def test_an_interrupt_says_how_things_stand() -> None:
    work = Work()
    assert work.words() == "stopped; nothing was written"
    work.is_kept = True
    assert work.words() == "stopped; the same command goes on"
    work.written = [Path("r.csv")]
    assert work.words() == "stopped; the same command goes on; written before: r.csv"
    work.is_kept = False
    assert work.words() == "stopped; written before: r.csv"


def test_an_interrupted_command_goes_on_only_with_its_cache(
    dn2_command, saved: Path, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(dn2.Model, "score", interrupt)
    done = dn2_command("score", saved, world / "other")
    assert (done.status, done.err) == (130, "dn2: stopped; the same command goes on\n")
    done = dn2_command("score", saved, world / "other", "--no-cache")
    assert (done.status, done.err) == (130, "dn2: stopped; nothing was written\n")


# What to do next


def test_a_next_step_is_a_command_that_a_shell_takes(dn2_command, world: Path, here: Path) -> None:
    done = dn2_command("fit", world / "more", "-o", "my parts.dn2", "--backbone", world / "tiny.onnx")
    assert done.err.splitlines()[-1] == "next: dn2 score 'my parts.dn2' INPUT"
    done = dn2_command("score", "my parts.dn2", world / "other", "--report", "r.html")
    assert done.err.splitlines()[-1].startswith("next: open r.html; dn2 inspect 'my parts.dn2' says")


def test_a_table_with_stamps_hints_at_series_and_an_identifier_at_its_option(dn2_command, here: Path) -> None:
    rows = [f"{n},2024-01-01 00:{n:02d}:00,A{n},{n % 7}" for n in range(60)]
    Path("rows.csv").write_text("\n".join(["number,when,serial,value", *rows]) + "\n")
    done = dn2_command("fit", "rows.csv", "-o", "m.dn2")
    assert (
        "'when' holds stamps, and rows come in their order; if the rows are points of a series, --time when compares"
    ) in done.err
    assert "'number' is left out as an identifier; --id-column number names rows by it" in done.err
    done = dn2_command("fit", "rows.csv", "--id-column", "serial", "-o", "n.dn2")
    assert "names rows by it" not in done.err
    Path("t.csv").write_text("\n".join(["time,value", *(f"{n},{n % 7}" for n in range(60))]) + "\n")
    assert "'time' holds stamps" in dn2_command("fit", "t.csv", "-o", "t.dn2").err


def test_a_report_says_loudly_what_it_did_not_find_and_where_it_may_be(
    dn2_command, saved: Path, world: Path, here: Path
) -> None:
    shutil.copytree(world / "other", "in/new")
    dn2_command("score", saved, "in/new", "-o", "r.csv")
    done = dn2_command("report", "r.csv", "--model", saved, "-o", "r.html")
    assert done.status == 0
    (warning,) = [line for line in done.err.splitlines() if "not found" in line]
    assert warning.startswith("dn2: 12 of 12 items, such as ")
    assert warning.endswith("no picture of them: give --root FOLDER, the INPUT of dn2 score")
    done = dn2_command("report", "r.csv", "--model", saved, "--root", "in", "-o", "r.html")
    assert "are not found in in as they were scored" in done.err
    assert "give --root in/new" in done.err
    done = dn2_command("report", "r.csv", "--model", saved, "--root", "in/new", "-o", "r.html")
    assert done.err == "written: r.html\n"
    next(Path("in/new").iterdir()).unlink()
    done = dn2_command("report", "r.csv", "--model", saved, "--root", "in/new", "-o", "r.html")
    assert "dn2: 1 of 12 items, such as " in done.err


# Tables


def test_texts_are_broken_between_words_then_after_folders_then_within_names() -> None:
    assert wrap("short", 10) == "short"
    assert wrap("near part_17.png, part_18.png", 14) == "near\npart_17.png,\npart_18.png"
    assert wrap("line_3/shift_b/part_17.png", 12) == "line_3/\nshift_b/\npart_17.png"
    assert wrap("camera_front_left.png", 13) == "camera_front_\nleft.png"
    assert wrap("abcdefghij", 4) == "abcd\nefgh\nij"
    assert wrap("日本日本日本", 4) == "日本\n日本\n日本"


@pytest.mark.parametrize("width", [5, 9, 20, 33])
def test_no_line_is_wider_and_nothing_is_lost(width: int) -> None:
    text = "incoming/line-3/part_17.png beside good_parts/part_04.png (0.233), 日本/é-1.png (1e-05)"
    lines = wrap(text, width).split("\n")
    assert max(map(cell_len, lines)) <= width
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_a_width_is_shared_so_that_a_narrow_column_has_what_it_needs() -> None:
    assert share(100, 30, 40) == (30, 40)
    assert share(100, 20, 400) == (20, 80)
    assert share(100, 400, 20) == (80, 20)
    assert share(100, 400, 400) == (50, 50)


def test_a_table_on_a_narrow_terminal_breaks_no_word(
    dn2_command, saved: Path, world: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import rich.console

    for number, path in enumerate(sorted((world / "other").iterdir())[:3]):
        target = Path(f"in/line_{number}/camera_front/picture_{number}_of_the_morning.png")
        target.parent.mkdir(parents=True)
        shutil.copy(path, target)
    monkeypatch.setattr(
        "dn2.cli.score.console", lambda: rich.console.Console(width=78, force_terminal=True, color_system=None)
    )
    done = dn2_command("score", saved, "in")
    assert done.status == 0
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 78
    for number in range(3):
        assert any(line.startswith(f"line_{number}/camera_front/") for line in lines)
        assert any(re.match(rf"picture_{number}_of_the_", line) for line in lines)


def test_an_option_of_another_kind_is_refused_by_name_whatever_kind_it_tells(dn2_command, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"")
    done = dn2_command("fit", tmp_path / "pictures", "-o", tmp_path / "m.dn2", "--time", "t")
    assert done.status == 2
    assert "--time belongs to the kind series, and the items here are of the kind image" in done.err
