"""Every command, every option, every form of output, every exit status; run in this process."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import sqlite3
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import typer.main
from PIL import Image

import dn2
from dn2.cli.app import app
from dn2.cli.help import PURPOSES
from dn2.results.words import number_in_words
from small_models import reseal

NO_PICTURE = (
    "not a picture in a format that dn2 reads (JPEG, PNG, BMP, TIFF, WebP, GIF, JPEG 2000, AVIF, PBM, PGM, PPM)"
)
COLUMNS = ["item", "anomaly_score", "p_value", "is_anomaly", "neighbors", "error"]

OPTIONS = {
    "fit": "--output -o --kind --preset --backbone --neighbors --false-alarm-rate --normalize --precision --index "
    "--recall --storage --memory --whiten --no-whiten --contaminated --drop --first-neighbors --white --patches "
    "--resolution --light --bank --mask --rotations --groups --column --id-column --drop-columns --numeric "
    "--categorical --date --decimal --thousands --date-order --time --values --window --exclude --on --part --per "
    "--confidence --smooth --seed --force --cache --no-cache",
    "score": "--output -o --report --part --per --false-alarm-rate --warn-rate --fdr --memory --audit --json "
    "--fail-on-anomaly --points --maps --mask --self --neighbors --index --recall --storage --id-column --decimal "
    "--thousands --date-order --time --values --window --exclude --backbone --on --cache --no-cache",
    "watch": "--output -o --move-anomalies --webhook --webhook-token-file --mqtt --mqtt-password-file "
    "--false-alarm-rate --warn-rate --audit --mask --exclude --once --every --settle --state --backbone --cache "
    "--no-cache",
    "evaluate": "--normal --anomalous --masks --mask --category --images --warn-rate --exclude --plot --json "
    "--backbone --on --cache --no-cache",
    "add": "--part --per --mask --exclude --backbone --cache --no-cache",
    "recalibrate": "--part --per --mask --exclude --backbone --cache --no-cache",
    "remove": "--part --forget --backbone",
    "readmit": "--backbone",
    "feedback": "--json --backbone --cache --no-cache",
    "history": "--json",
    "undo": "",
    "serve": "--host --port --token-file --data --keep --false-alarm-rate --warn-rate --audit --max-body --queue",
    "inspect": "--items --aside --report --parts --plot --json --backbone",
    "verify": "--backbone",
    "embed": "--output -o --kind --backbone --precision --white --column --id-column --exclude --on --cache --no-cache",
    "export": "--output -o --backbone --format --force",
    "bench": "--output -o --classes --normal --preset --backbone --neighbors --normalize --precision --seeds "
    "--reference --rivals --category --part --resolution --bank --false-alarm-rate --figure --report "
    "--on --cache --no-cache",
    "report": "--model --output -o --root --mask --exclude --false-alarm-rate --warn-rate --backbone --cache "
    "--no-cache",
    "demo": "--output -o",
}


@pytest.fixture
def tiny(world: Path) -> str:
    return str(world / "tiny.onnx")


@pytest.fixture
def dirty(saved_unsorted: Path, tmp_path: Path) -> Path:
    """A copy of a saved model with items set aside, to be changed."""
    return Path(shutil.copytree(saved_unsorted, tmp_path / "unsorted.dn2"))


@pytest.fixture
def mixed(world: Path, tmp_path: Path) -> Path:
    """A folder of 4 normal digits, 3 others, and 1 file that is no picture."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    for number, path in enumerate(sorted((world / "more").iterdir())[:4]):
        shutil.copy(path, folder / f"good-{number}.png")
    for number, path in enumerate(sorted((world / "other").iterdir())[:3]):
        shutil.copy(path, folder / f"other-{number}.png")
    (folder / "broken.png").write_text("no picture")
    return folder


def entries(cache: Path) -> int:
    connection = sqlite3.connect(cache / "cache.sqlite")
    try:
        return int(connection.execute("SELECT count(*) FROM entries").fetchone()[0])
    finally:
        connection.close()


def lines(text: str) -> list[str]:
    return text.splitlines()


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# Help


def test_the_help_names_every_command(dn2_command) -> None:
    done = dn2_command("--help")
    assert (done.status, done.err) == (0, "")
    listed = done.out.partition("Make a model:")[2].partition("Options:")[0]
    assert sorted(re.findall(r"^  (\w+)  ", listed, re.MULTILINE)) == sorted(OPTIONS)
    headings = re.findall(r"^(\S.*):$", done.out, re.MULTILINE)
    assert headings == [*list(PURPOSES), "Options", "Examples"]


@pytest.mark.parametrize("command", OPTIONS)
def test_the_help_of_a_command_names_every_option(dn2_command, command: str) -> None:
    done = dn2_command(command, "--help")
    assert (done.status, done.err) == (0, "")
    for option in OPTIONS[command].split():
        assert re.search(rf"[\s,/]{option}\b", done.out), option


def test_there_is_no_option_that_these_tests_do_not_know() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    found = {
        name: {
            option
            for parameter in command.params
            if parameter.param_type_name == "option"
            for option in [*parameter.opts, *parameter.secondary_opts]
        }
        for name, command in commands.items()
    }
    assert found == {name: set(options.split()) for name, options in OPTIONS.items()}


def test_the_version_is_printed(dn2_command) -> None:
    assert dn2_command("--version") == (0, f"{dn2.__version__}\n", "")


def test_no_command_gets_the_help_and_a_refusal(dn2_command) -> None:
    done = dn2_command()
    assert done.status == 2
    assert "Make a model:" in done.out
    assert lines(done.err) == ["dn2: no command given; each has its own --help, such as: dn2 fit --help"]


# fit


def test_fit_makes_a_model_and_says_what_it_holds(dn2_command, world: Path, tiny: str, tmp_path: Path) -> None:
    done = dn2_command("fit", world / "normal", "-o", tmp_path / "m.dn2", "--backbone", tiny)
    assert (done.status, done.out) == (0, "")
    words = "40 reference items, false-alarm rate 1 in 41, the smallest that they support"
    next_step = f"next: dn2 score {tmp_path / 'm.dn2'} INPUT"
    assert lines(done.err) == [f"{tmp_path / 'm.dn2'}: {words}", next_step]
    model = dn2.load(tmp_path / "m.dn2")
    assert model.score(world / "other").rows == dn2.fit(world / "normal", backbone=tiny).score(world / "other").rows


def test_fit_passes_every_option_on(dn2_command, world: Path, tiny: str, tmp_path: Path) -> None:
    options = ["--neighbors", 3, "--false-alarm-rate", 0.1, "--normalize", "unit", "--precision", "f32"]
    options += ["--index", "auto", "--kind", "image", "--recall", 0.99, "--storage", "float16", "--memory", "4GB"]
    done = dn2_command("fit", world / "normal", "--output", tmp_path / "m.dn2", "--backbone", tiny, *options)
    assert done.status == 0
    assert lines(done.err)[0] == f"{tmp_path / 'm.dn2'}: 40 reference items, false-alarm rate 1 in 10"
    about = dn2.load(tmp_path / "m.dn2").describe()
    assert about["detector"] == {
        "n_neighbors": 3,
        "false_alarm_rate": 0.1,
        "normalize": "unit",
        "scale": None,
        "whiten": False,
        "clean": None,
        "windows": None,
        "search": {"index": "auto", "recall": 0.99, "storage": "float16", "memory": "4GB"},
        "calibrate": {"confidence": None, "smooth": False, "seed": 0, "hold_out": False},
    }
    assert about["embedder"]["precision"] == "f32"
    assert about["embedder"]["backbone"] == "tiny.onnx"


def test_fit_takes_several_inputs_and_lists(dn2_command, world: Path, tiny: str, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("\n".join(map(str, sorted((world / "normal").iterdir())[:3])))
    done = dn2_command("fit", world / "more", f"@{tmp_path / 'list.txt'}", "-o", tmp_path / "m", "--backbone", tiny)
    assert done.status == 0
    names = [item.name for item in dn2.load(tmp_path / "m").items]
    assert len(names) == 11
    assert names[0].startswith("more/")


def test_fit_keeps_embeddings_unless_told_not_to(
    dn2_command, world: Path, tiny: str, tmp_path: Path, own_cache: Path
) -> None:
    arguments = ["fit", world / "more", "-o", tmp_path / "m.dn2", "--backbone", tiny]
    assert dn2_command(*arguments, "--no-cache").status == 0
    assert not own_cache.exists()
    assert dn2_command(*arguments, "--force").status == 0
    assert entries(own_cache) == 16  # an embedding and a thumbnail each
    assert dn2_command(*arguments, "--force", "--cache").status == 0
    assert entries(own_cache) == 16


def test_fit_leaves_out_what_cannot_be_read_and_says_so_with_status_3(
    dn2_command, mixed: Path, tiny: str, tmp_path: Path
) -> None:
    done = dn2_command("fit", mixed, "-o", tmp_path / "m.dn2", "--backbone", tiny)
    assert (done.status, done.out) == (3, "")
    assert lines(done.err)[1:-1] == [f"dn2: not read: broken.png: {NO_PICTURE}"]
    assert len(dn2.load(tmp_path / "m.dn2").items) == 7


def test_fit_names_at_most_ten_unreadable_items(dn2_command, mixed: Path, tiny: str, tmp_path: Path) -> None:
    for number in range(12):
        (mixed / f"broken-{number}.png").write_text("no picture")
    done = dn2_command("fit", mixed, "-o", tmp_path / "m.dn2", "--backbone", tiny)
    assert done.status == 3
    assert done.err.count("not read:") == 10
    assert lines(done.err)[-2] == "dn2: ... and 3 more that could not be read"


def test_fit_says_that_all_pictures_are_alike_in_place_of_copies(dn2_command, tiny: str, tmp_path: Path) -> None:
    (tmp_path / "clear").mkdir()
    for number in range(5):
        Image.new("RGBA", (9, 8), (40 * number, 0, 0, 0)).save(tmp_path / "clear" / f"{number}.png")
    done = dn2_command("fit", tmp_path / "clear", "-o", tmp_path / "clear.dn2", "--backbone", tiny, "--no-cache")
    assert done.status == 0
    assert "dn2: nothing to see in 5 pictures: all of it is transparent, which is white to dn2: 0.png" in done.err
    assert "dn2: all 5 reference items look the same to dn2: whatever looks so is no anomaly" in done.err
    assert "near copy" not in done.err


def test_fit_and_score_leave_out_what_is_excluded(dn2_command, tiny: str, world: Path, tmp_path: Path) -> None:
    shutil.copytree(world / "normal", tmp_path / "root" / "train" / "good")
    shutil.copytree(world / "other", tmp_path / "root" / "test" / "bad")
    fit = ["fit", tmp_path / "root", "-o", tmp_path / "m.dn2", "--backbone", tiny, "--no-cache"]
    done = dn2_command(*fit)
    assert "lie in folders that look like tests: test" in done.err
    assert "give train/good alone, or say --exclude test" in done.err
    done = dn2_command(*fit, "--force", "--exclude", "test", "--exclude", "*.nothing")
    assert "dn2: --exclude test: test left out" in done.err
    assert "dn2: --exclude '*.nothing' matches nothing in the folders" in done.err
    assert "look like" not in done.err
    every = sorted(item.name for item in dn2.load(tmp_path / "m.dn2", cache=False).items)
    assert every
    assert all(name.startswith("train/good/") for name in every)
    score = ["score", tmp_path / "m.dn2", tmp_path / "root", "--json", "--no-cache", "--exclude", "train"]
    rows = [json.loads(line) for line in dn2_command(*score).out.splitlines()]
    assert {row["item"].split("/")[0] for row in rows} == {"test"}


def test_fit_counts_copies(dn2_command, mixed: Path, tiny: str, tmp_path: Path) -> None:
    shutil.copy(mixed / "good-0.png", mixed / "good-0-copy.png")
    done = dn2_command("fit", mixed, "-o", tmp_path / "m.dn2", "--backbone", tiny)
    assert "dn2: 2 of 8 items are exact copies of others\n" in done.err


def test_fit_refuses_a_folder_that_is_no_model_before_the_work(
    dn2_command, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dn2.model.fitting.fit", None)
    before = sorted(path.name for path in (world / "more").iterdir())
    done = dn2_command("fit", world / "normal", "-o", world / "more")
    assert (done.status, done.out) == (2, "")
    assert lines(done.err) == [f"dn2: {world / 'more'} exists and is no dn2 model; give another name with -o"]
    assert sorted(path.name for path in (world / "more").iterdir()) == before


# score


def test_score_prints_the_most_anomalous_items_with_their_evidence(dn2_command, saved: Path, mixed: Path) -> None:
    done = dn2_command("score", saved, mixed)
    assert done.status == 3
    head, *table = lines(done.out)
    assert re.split(" {2,}", head.rstrip()) == [
        "item",
        "anomaly score",
        "p-value",
        "anomaly",
        "nearest normal items (distance)",
    ]
    expected = sorted(
        (row for row in dn2.load(saved).score(mixed) if row.error is None), key=lambda row: -row.anomaly_score
    )
    for line, row in zip(table, expected, strict=False):
        first, second = (f"{one.item} ({one.distance:.3g})" for one in row.neighbors)
        yes = "yes" if row.is_anomaly else "no"
        words = f"{row.item} {row.anomaly_score:.4g} {row.p_value:.4f} {yes} {first}, {second}"
        assert line.split() == words.split()
    assert {line.split()[3] for line in table[:7]} == {"yes", "no"}
    assert table[7].startswith("not read: broken.png: not a picture")
    assert len(table) == 8
    summary, worth, next_step = lines(done.err)
    assert summary == "7 images, 3 anomalous at 1 false alarm in 41; 1 could not be read"
    assert worth == "3 flagged of 7; if all 7 were normal, about 0.2 would be"
    assert next_step == (
        f"next: --report report.html shows the evidence; dn2 inspect {saved} says what a decision is worth; "
        f"dn2 add {saved} INPUT takes in normal items"
    )


def test_score_prints_twenty_items_and_how_many_more_there_are(dn2_command, saved: Path, world: Path) -> None:
    done = dn2_command("score", saved, world / "normal")
    assert done.status == 0
    assert lines(done.out)[-1] == "... and 20 less anomalous; -o results.csv writes all"
    assert len(lines(done.out)) == 22


def test_score_prints_names_as_they_are(dn2_command, saved: Path, mixed: Path) -> None:
    names = ["[bold]x.png", "[red].png", "a, b.png", "é 日本.png"]
    for name in names:
        shutil.copy(mixed / "good-0.png", mixed / name)
    (mixed / "[blue]broken.png").write_text("no picture")
    done = dn2_command("score", saved, mixed)
    for name in [*names, "not read: [blue]broken.png: not a picture"]:
        assert name in done.out


def test_score_prints_json_lines_and_nothing_else(dn2_command, saved: Path, mixed: Path) -> None:
    done = dn2_command("score", saved, mixed, "--json")
    assert done.status == 3
    got = rows(done.out)
    assert [list(row) for row in got] == [COLUMNS] * 8
    assert got == [row.as_dict() for row in dn2.load(saved).score(mixed)]
    assert got[0]["item"] == "broken.png"
    assert (got[0]["anomaly_score"], got[0]["neighbors"]) == (None, [])


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("as_json", [False, True])
def test_score_writes_a_file_and_then_prints_no_table(
    dn2_command, saved: Path, mixed: Path, tmp_path: Path, ending: str, as_json: bool
) -> None:
    output = tmp_path / f"r.{ending}"
    done = dn2_command("score", saved, mixed, "-o", output, *["--json"] * as_json)
    assert done.status == 3
    assert lines(done.err)[0].endswith(f"1 could not be read; written to {output}")
    read = {"csv": pandas.read_csv, "parquet": pandas.read_parquet}
    frame = read[ending](output) if ending in read else pandas.read_json(output, lines=True)
    assert list(frame.columns) == COLUMNS
    assert frame["item"].tolist() == [row.item for row in dn2.load(saved).score(mixed)]
    assert [row["item"] for row in rows(done.out)] == (frame["item"].tolist() if as_json else [])


def test_score_decides_at_the_rate_asked_for(dn2_command, saved: Path, mixed: Path) -> None:
    done = dn2_command("score", saved, mixed, "--json", "--false-alarm-rate", 0.6)
    got = [row for row in rows(done.out) if row["error"] is None]
    assert [row["is_anomaly"] for row in got] == [row["p_value"] <= 0.6 for row in got]
    assert sum(row["is_anomaly"] for row in got) > 3
    assert "anomalous at 60 false alarms in 100" in done.err


def test_score_decides_by_the_false_discovery_rate_and_says_what_that_is_worth(
    dn2_command, saved: Path, mixed: Path
) -> None:
    done = dn2_command("score", saved, mixed, "--json", "--fdr", 0.2)
    expected = dn2.load(saved).score(mixed, fdr=0.2)
    assert [row["is_anomaly"] for row in rows(done.out)] == [row.is_anomaly for row in expected]
    assert lines(done.err)[0] == "7 images, 3 anomalous at a false-discovery rate of 20 %; 1 could not be read"
    assert lines(done.err)[1].startswith("a false-discovery rate of 0.2: on average about this share of the alarms is")


@pytest.mark.parametrize(
    ("rates", "decided", "status"),
    [
        ("--false-alarm-rate 0.025 --warn-rate 0.9", "reject", 0),
        ("--false-alarm-rate 0.025 --warn-rate 0.9 --fail-on-anomaly", "reject", 1),
        ("--warn-rate 0.9", "warn", 4),
        ("--warn-rate 0.9 --fail-on-anomaly", "warn", 4),
        ("--warn-rate 0.05", "accept", 0),
    ],
)
def test_a_warning_has_a_status_of_its_own(
    dn2_command, saved: Path, world: Path, rates: str, decided: str, status: int
) -> None:
    folder = world / "other" if decided == "reject" else world / "more"
    done = dn2_command("score", saved, folder, *rates.split())
    assert done.status == status
    head, *table = lines(done.out)
    assert re.split(" {2,}", head)[3] == "decision"
    assert {line.split()[3] for line in table} >= {decided}
    assert ("warning" in lines(done.err)[0], "rejected and" in lines(done.err)[1]) == (True, True)
    if status == 4:  # what could not be read may be worse
        (world / "more" / "broken.png").write_text("no picture")
        try:
            assert dn2_command("score", saved, folder, *rates.split()).status == 3
        finally:
            (world / "more" / "broken.png").unlink()


def test_a_rate_to_warn_at_is_given_where_it_goes(dn2_command, saved: Path, world: Path) -> None:
    arguments = ("--normal", world / "more", "--anomalous", world / "other", "--warn-rate", 0.9)
    done = dn2_command("evaluate", saved, *arguments)
    assert "false alarms or warnings at 90 in 100 asked   " in done.out
    figures = json.loads(dn2_command("evaluate", saved, *arguments, "--json").out)
    assert figures["detected_or_warned"] == 1
    assert 0 <= figures["false_alarms"] <= figures["false_alarms_or_warnings"] <= 1
    row = dn2.load(saved).score_one(next((world / "other").iterdir()), false_alarm_rate=0.1, warn_rate=0.5)
    assert row.decision == "reject"


def test_score_keeps_embeddings_unless_told_not_to(dn2_command, saved: Path, world: Path, own_cache: Path) -> None:
    assert dn2_command("score", saved, world / "other", "--no-cache").status == 0
    assert not own_cache.exists()
    assert dn2_command("score", saved, world / "other", "--cache").status == 0
    assert entries(own_cache) == 12


def test_a_damaged_cache_is_reported_and_the_run_goes_on(
    dn2_command, saved: Path, world: Path, own_cache: Path
) -> None:
    own_cache.mkdir()
    (own_cache / "cache.sqlite").write_bytes(b"no database" * 1000)
    done = dn2_command("score", saved, world / "other", "--json")
    assert done.status == 0
    assert len(rows(done.out)) == 12
    assert "is damaged" in lines(done.err)[0]


def test_the_exit_status_tells_of_anomalies_only_when_asked_to(
    dn2_command, saved: Path, mixed: Path, world: Path
) -> None:
    normal = world / "normal"
    assert dn2_command("score", saved, normal).status == 0
    assert dn2_command("score", saved, normal, "--fail-on-anomaly").status == 0
    assert dn2_command("score", saved, world / "other").status == 0
    assert dn2_command("score", saved, world / "other", "--fail-on-anomaly").status == 1
    assert dn2_command("score", saved, mixed).status == 3
    assert dn2_command("score", saved, mixed, "--fail-on-anomaly").status == 1
    for path in mixed.glob("other-*"):
        path.unlink()
    assert dn2_command("score", saved, mixed, "--fail-on-anomaly").status == 3


# Contaminated sets


def test_fit_of_a_contaminated_set_says_what_it_set_aside(
    dn2_command, unsorted: Path, tiny: str, tmp_path: Path
) -> None:
    options = ["--contaminated", "--drop", 0.3, "--first-neighbors", 2, "--neighbors", 4]
    done = dn2_command("fit", unsorted, "-o", tmp_path / "m.dn2", "--backbone", tiny, *options)
    assert (done.status, done.out) == (0, "")
    model = dn2.load(tmp_path / "m.dn2")
    about = model.describe()
    assert about["detector"]["n_neighbors"] == 4
    assert about["detector"]["clean"] == {"drop": 0.3, "first_neighbors": 2}
    first, second, _ = lines(done.err)
    assert f"{72 - len(model.set_aside)} reference items, false-alarm rate" in first
    assert second == (
        f"{len(model.set_aside)} items are set aside, for --drop says that 30.0% are anomalies; look at them with "
        f"dn2 inspect {tmp_path / 'm.dn2'} --aside --report aside.html"
    )


def test_fit_sets_no_second_kind_aside_and_says_what_could_be_one(
    dn2_command, unsorted: Path, tiny: str, tmp_path: Path
) -> None:
    saved = tmp_path / "m.dn2"
    done = dn2_command("fit", unsorted, "-o", saved, "--backbone", tiny, "--contaminated", "--neighbors", 2)
    suspects = dn2.load(saved).suspects()
    assert suspects
    assert dn2.load(saved).set_aside == []
    assert lines(done.err)[1] == (
        f"nothing is set aside; {len(suspects)} items ({len(suspects) / 72:.1%}), unlike most but not alone, could be "
        "anomalies or a second kind of normal items, and stay: look at them with "
        f"dn2 inspect {saved} --aside --report aside.html; give --drop to set them aside all the same"
    )
    page = tmp_path / "aside.html"
    done = dn2_command("inspect", saved, "--aside", "--report", page, "--json")
    assert lines(done.err) == [f"written: {page}"]
    assert [found["item"] for found in json.loads(done.out)] == [suspect.item for suspect in suspects]
    html = page.read_text(encoding="utf-8")
    assert all(html.count(f'<div class="name">{suspect.item}</div>') == 1 for suspect in suspects)
    assert html.count("<b>not set aside</b>") == len(suspects)
    assert html.count('<img src="data:image/jpeg;base64,') == 3 * len(suspects)  # of itself, and of its two nearest
    assert f"dn2 remove {saved} ITEM" in html


def test_what_stands_aside_is_listed_and_taken_back(dn2_command, dirty: Path) -> None:
    model = dn2.load(dirty)
    aside = model.set_aside
    assert len(aside) > 12
    shown = dn2_command("inspect", dirty, "--aside")
    assert shown.status == 0
    first, second, *_ = model.suspects()
    near = ", ".join(map(str, first.neighbors[:3]))
    words = (first.item, number_in_words(first.anomaly_score), "yes", near)
    assert lines(shown.out)[1].split("  ")[0] == first.item
    assert all(word in lines(shown.out)[1] for word in words)
    assert lines(shown.out)[2].startswith(second.item)
    assert "... and" in lines(shown.out)[-1]
    assert f"dn2 readmit {dirty} ITEM" in shown.err
    assert f"dn2 remove {dirty} ITEM" in shown.err
    found = json.loads(dn2_command("inspect", dirty, "--aside", "--json").out)
    assert found == [suspect.as_dict() for suspect in model.suspects()]
    assert sorted(one["item"] for one in found if one["is_aside"]) == sorted(aside)
    done = dn2_command("readmit", dirty, *aside[:2])
    assert (done.status, done.out) == (0, "")
    assert lines(done.err)[0] == "2 items taken back"
    assert f"{72 - len(aside) + 2} reference items" in lines(done.err)[1]
    assert dn2.load(dirty).set_aside == aside[2:]
    assert lines(dn2_command("inspect", dirty, "--items").out) == [item.name for item in dn2.load(dirty).items]


def test_where_nothing_stands_aside_nothing_is_listed(dn2_command, saved: Path) -> None:
    assert dn2_command("inspect", saved, "--aside") == (0, "", "nothing is set aside, and nothing looks anomalous\n")
    assert dn2_command("inspect", saved, "--aside", "--json") == (0, "[]\n", "")


def test_inspect_says_which_share_is_anomalous_and_how_many_stand_aside(dn2_command, dirty: Path) -> None:
    done = dn2_command("inspect", dirty)
    about = dn2.load(dirty).describe()
    share = about["contamination"]
    for name, value in {
        "reference items": f"{72 - share['aside']}, and {share['aside']} set aside",
        "index": f"exact ({about['search']['why']})",
        "calibration": f"split, {about['calibration']['sample_size']} items",
        "unlike most others": f"{share['estimate']:.1%}, estimated ({share['low']:.1%} lie alone, "
        f"{share['high']:.1%} at the most)",
        "set aside": f"{share['aside']} of {share['suspects']} suspects (--aside shows them)",
    }.items():
        assert re.search(rf"^{name} +{re.escape(value)} *$", done.out, re.MULTILINE), name
    assert "A random 36 of the 72 items calibrate; what stands aside was learnt from the others." in done.out
    assert json.loads(dn2_command("inspect", dirty, "--json").out)["contamination"] == share


def test_add_and_remove_set_aside_anew_and_say_so(dn2_command, dirty: Path, world: Path) -> None:
    done = dn2_command("add", dirty, world / "other")
    assert done.status == 0
    assert lines(done.err)[0] == "12 items added"
    assert "are set aside" in lines(done.err)[2]
    done = dn2_command("remove", dirty, *sorted(path.name for path in (world / "other").iterdir()))
    assert (done.status, lines(done.err)[0]) == (0, "12 items removed")
    assert "are set aside" in lines(done.err)[2]


# Whitening and centroids


def test_fit_whitens_and_inspect_says_so(dn2_command, world: Path, tiny: str, tmp_path: Path) -> None:
    done = dn2_command("fit", world / "normal", "-o", tmp_path / "m.dn2", "--backbone", tiny, "--whiten")
    assert done.status == 0
    out = dn2_command("inspect", tmp_path / "m.dn2").out
    assert re.search(r"whitening +partial, learnt", out)
    assert re.search(r"calibration +split, 20 items", out)
    assert "A random 20 of the 40 items calibrate; the whitening was" in " ".join(out.split())
    assert dn2_command("score", tmp_path / "m.dn2", world / "other", "--json").status == 0


def test_fit_with_a_confidence_says_how_many_items_its_rate_rests_on(
    dn2_command, world: Path, tiny: str, tmp_path: Path
) -> None:
    path = tmp_path / "m.dn2"
    done = dn2_command("fit", world / "normal", "-o", path, "--backbone", tiny, "--confidence", "0.95")
    words = "false-alarm rate 13.9 in 100, with a confidence of 0.95, the smallest that 20 of them support"
    assert lines(done.err)[0] == f"{path}: 40 reference items, {words}"  # 0.861 ** 20 = 0.05


def test_fit_with_centroids_compares_with_them_and_inspect_says_so(
    dn2_command, world: Path, tiny: str, tmp_path: Path
) -> None:
    done = dn2_command("fit", world / "normal", "-o", tmp_path / "m.dn2", "--backbone", tiny, "--index", "kmeans:3")
    assert done.status == 0
    words = "40 reference items, false-alarm rate 1 in 21, the smallest that they support"
    assert lines(done.err)[0] == f"{tmp_path / 'm.dn2'}: {words}"
    words = dn2_command("inspect", tmp_path / "m.dn2").out
    assert re.search(
        r"^index +3 centroids; an item's neighbour is the one nearest to its centroid", words, re.MULTILINE
    )
    assert re.search(r"^neighbours +1 *$", words, re.MULTILINE)
    assert "A random 20 of the 40 items calibrate; the 3 centroids were learnt from the others." in words
    got = rows(dn2_command("score", tmp_path / "m.dn2", world / "other", "--json").out)
    assert {len(row["neighbors"]) for row in got} == {1}
    assert {row["is_anomaly"] for row in got} == {True}


# Groups


@pytest.fixture
def incoming(lots: Path, tmp_path: Path) -> Path:
    """Seven groups, one with a picture that cannot be read."""
    shutil.copytree(lots / "new", tmp_path / "incoming")
    shutil.copytree(lots / "bad", tmp_path / "incoming", dirs_exist_ok=True)
    (tmp_path / "incoming" / "bad-1" / "broken.png").write_text("no picture")
    return tmp_path / "incoming"


def test_fit_of_groups_counts_groups(dn2_command, lots: Path, tiny: str, tmp_path: Path) -> None:
    done = dn2_command("fit", lots / "good", "-o", tmp_path / "m.dn2", "--backbone", tiny, "--groups")
    assert (done.status, done.out) == (0, "")
    assert "24 reference items, false-alarm rate 1 in 25" in done.err
    words = dn2_command("inspect", tmp_path / "m.dn2").out
    assert re.search(r"^kind +image, groups of them, pooled by their mean *$", words, re.MULTILINE)
    assert re.search(r"^normalisation +none *$", words, re.MULTILINE)


def test_score_of_groups_names_members_and_those_that_cannot_be_read(
    dn2_command, saved_lots: Path, incoming: Path
) -> None:
    done = dn2_command("score", saved_lots, incoming)
    assert done.status == 3
    table = lines(done.out)
    assert "pulled away by night/" in table[1]
    assert re.search(
        r"lot-\d\d \(0\.\d+\), lot-\d\d \(0\.\d+\); pulled away by \S+ \(-?\d+%\), \S+ \(-?\d+%\)", table[1]
    )
    assert table[-1].startswith("not read: bad-1/broken.png: not a picture")
    got = rows(dn2_command("score", saved_lots, incoming, "--json").out)
    assert [list(row) for row in got] == [[*COLUMNS, "members"]] * 7
    assert [row["error"] for row in got] == [None] * 7
    broken = next(row for row in got if row["item"] == "bad-1")["members"][-1]
    assert (broken["item"], broken["share"]) == ("broken.png", None)
    assert "not a picture" in broken["error"]
    assert dn2_command("score", saved_lots, incoming, "--fail-on-anomaly").status == 1


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_score_of_groups_writes_their_members(
    dn2_command, saved_lots: Path, incoming: Path, tmp_path: Path, ending: str
) -> None:
    assert dn2_command("score", saved_lots, incoming, "-o", tmp_path / f"r.{ending}").status == 3
    read = {"csv": pandas.read_csv, "parquet": pandas.read_parquet}
    frame = (
        read[ending](tmp_path / f"r.{ending}") if ending in read else pandas.read_json(tmp_path / "r.jsonl", lines=True)
    )
    assert list(frame.columns) == [*COLUMNS, "members"]
    members = [one if isinstance(one, list) else json.loads(one) for one in frame["members"]]
    assert sum(one["share"] for one in members[0]) == pytest.approx(1)


def test_a_group_without_a_readable_picture_is_reported_with_status_3(
    dn2_command, saved_lots: Path, lots: Path, tiny: str, tmp_path: Path
) -> None:
    shutil.copytree(lots / "good", tmp_path / "in")
    (tmp_path / "in" / "empty").mkdir()
    done = dn2_command("fit", tmp_path / "in", "-o", tmp_path / "m.dn2", "--backbone", tiny, "--groups")
    assert done.status == 3
    assert lines(done.err)[-2] == "dn2: not read: empty: a group without pictures"
    done = dn2_command("score", saved_lots, tmp_path / "in")
    assert done.status == 3
    assert "not read: empty: a group without pictures" in done.out
    assert lines(done.err)[-2].endswith("; 1 could not be read")


def test_groups_are_added_removed_and_measured(
    dn2_command, saved_lots: Path, lots: Path, incoming: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(saved_lots, tmp_path / "lots.dn2"))
    done = dn2_command("add", folder, incoming)
    assert done.status == 3
    assert lines(done.err)[0] == "7 items added"
    assert lines(done.err)[-1].startswith("dn2: not read: bad-1/broken.png: not a picture")
    assert dn2_command("remove", folder, *sorted(path.name for path in incoming.iterdir())).status == 0
    done = dn2_command("evaluate", folder, "--normal", lots / "new", "--anomalous", lots / "bad", "--json")
    assert done.status == 0
    assert json.loads(done.out)["roc_auc"] == 1
    done = dn2_command("evaluate", folder, "--normal", lots / "new", "--anomalous", incoming)
    assert done.status == 3
    assert lines(done.err) == [f"dn2: not read: bad-1/broken.png: {NO_PICTURE}"]


# evaluate


def test_evaluate_prints_the_figures(dn2_command, saved: Path, world: Path) -> None:
    done = dn2_command("evaluate", saved, "--normal", world / "more", "--anomalous", world / "other")
    assert (done.status, done.err) == (0, "")
    assert dict(re.split(" {2,}", line.rstrip()) for line in lines(done.out)) == {
        "normal items": "8",
        "anomalous items": "12",
        "ROC AUC": "1.0000",
        "average precision": "1.0000",
        "false-positive rate at 95 % detected": "0.0000",
        "false alarms at 1 in 41 asked": "0.0000",
        "anomalies detected at 1 in 41": "1.0000",
    }


def test_evaluate_prints_json_takes_options_twice_and_reports_the_unreadable(
    dn2_command, saved: Path, world: Path, mixed: Path, own_cache: Path
) -> None:
    normal = ["--normal", world / "more", "--normal", world / "normal"]
    anomalous = ["--anomalous", world / "other", "--anomalous", mixed]
    done = dn2_command("evaluate", saved, *normal, *anomalous, "--json", "--no-cache")
    assert done.status == 3
    assert not own_cache.exists()
    got = json.loads(done.out)
    expected, _ = dn2.load(saved, cache=None).evaluate([world / "more", world / "normal"], [world / "other", mixed])
    assert (got["n_normal"], got["n_anomalous"]) == (48, 19)
    assert got == {name: figure for name, figure in vars(expected).items() if figure is not None}
    assert lines(done.err)[1:] == [f"dn2: not read: mixed/broken.png: {NO_PICTURE}"]
    assert dn2_command("evaluate", saved, *normal, *anomalous, "--cache").status == 3
    assert entries(own_cache) == 8 + 40 + 12  # those in `mixed` are copies


# add and remove


def test_the_commands_say_it_in_one_line_and_mark_every_figure(dn2_command, saved: Path, world: Path) -> None:
    arguments = ("evaluate", saved, "--normal", world / "normal", "--anomalous", world / "other")
    done = dn2_command(*arguments)
    assert done.status == 0
    assert len(done.err.splitlines()) == 1
    assert "dn2: 40 of 40 normal items are reference items, or copies of them: such an item has itself" in done.err
    assert "normal items                          40, of which 40 are reference items" in done.out
    for figure in ("ROC AUC", "average precision", "false-positive rate", "false alarms"):
        (line,) = [line for line in done.out.splitlines() if line.startswith(figure)]
        assert line.rstrip().endswith(", not that of new items")
    assert done.out.rstrip().endswith("anomalies detected at 1 in 41         1.0000")
    got = json.loads(dn2_command(*arguments, "--json").out)
    assert (got["normal_reference"], got["anomalous_reference"]) == (40, 0)
    done = dn2_command("score", saved, world / "normal", "--json")
    assert "dn2: 40 of 40 items are reference items, or copies of them: such an item has itself" in done.err
    assert len(done.err.splitlines()) == 3


def test_add_and_remove_change_the_model_on_disk(
    dn2_command, folder: Path, saved: Path, world: Path, own_cache: Path
) -> None:
    done = dn2_command("add", folder, world / "more", "--no-cache")
    assert (done.status, done.out) == (0, "")
    assert lines(done.err)[0] == "8 items added"
    assert "48 reference items, false-alarm rate 1 in 49, the smallest that they support" in lines(done.err)[1]
    assert not own_cache.exists()
    assert len(dn2.load(folder).items) == 48
    names = [path.name for path in sorted((world / "more").iterdir())]
    done = dn2_command("remove", folder, *names)
    assert (done.status, done.out) == (0, "")
    assert lines(done.err)[0] == "8 items removed"
    assert "40 reference items, false-alarm rate 1 in 41" in lines(done.err)[1]
    # The shards are joined now; what is in them is as it was.
    assert dn2.load(folder).items == dn2.load(saved).items
    assert dn2.load(folder).score(world / "other").rows == dn2.load(saved).score(world / "other").rows


def test_add_keeps_embeddings_and_reports_the_unreadable(
    dn2_command, folder: Path, mixed: Path, own_cache: Path
) -> None:
    done = dn2_command("add", folder, mixed, "--cache")
    assert done.status == 3
    assert lines(done.err)[0] == "7 items added"
    assert "not read: broken.png" in done.err
    assert entries(own_cache) == 14
    assert len(dn2.load(folder).items) == 47


@pytest.mark.parametrize("command", ["add", "remove"])
def test_a_refused_change_leaves_the_model_untouched(dn2_command, folder: Path, world: Path, command: str) -> None:
    files = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    done = dn2_command(command, folder, world / "normal" if command == "add" else "nobody.png")
    assert (done.status, done.out) == (2, "")
    assert len(lines(done.err)) == 1
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == files


# inspect and verify


def test_inspect_says_what_the_model_is_and_what_its_rate_means(dn2_command, saved: Path, tiny: str) -> None:
    done = dn2_command("inspect", saved)
    assert (done.status, done.err) == (0, "")
    facts, _, words = done.out.partition("What the rate means:")
    about = dn2.load(saved).describe()
    for name, value in {
        "kind": "image",
        "reference items": "40",
        "backbone": f"tiny.onnx (192 features, {about['embedder']['precision']})",
        "pictures": "squash to 64 x 64",
        "normalisation": "none",
        "whitening": "none",
        "neighbours": "2",
        "calibration": "leave-one-out, 40 items",
        "false-alarm rate": "1 in 41 (smallest: 1 in 41)",
        "flagged above": f"anomaly score {number_in_words(about['calibration']['threshold'])}",
        "copies": "0 exact, 0 near",
    }.items():
        assert re.search(rf"^{name} +{re.escape(value)} *$", facts, re.MULTILINE), name
    for assumption in about["calibration"]["assumptions"]:
        assert f"- {assumption}\n" in words
    assert "average over reference sets" in words


def test_inspect_says_how_much_of_a_picture_is_cut_off(dn2_command, world: Path, tiny: str, tmp_path: Path) -> None:
    network = shutil.copy(tiny, tmp_path / "cut.onnx")
    preparation = json.loads(Path(tiny).with_suffix(".json").read_text())
    (tmp_path / "cut.json").write_text(json.dumps({**preparation, "shape": "crop", "crop_share": 0.875}))
    dn2_command("fit", world / "normal", "-o", tmp_path / "m.dn2", "--backbone", network)
    out = dn2_command("inspect", tmp_path / "m.dn2").out
    assert re.search(r"^pictures +crop to 64 x 64, the middle 88% of a side *$", out, re.MULTILINE)


def test_inspect_lists_near_duplicates(dn2_command, mixed: Path, tiny: str, tmp_path: Path) -> None:
    shutil.copy(mixed / "good-0.png", mixed / "[copy].png")
    dn2_command("fit", mixed, "-o", tmp_path / "m.dn2", "--backbone", tiny)
    done = dn2_command("inspect", tmp_path / "m.dn2")
    assert "- [copy].png, good-0.png\n- good-0.png, [copy].png\n" in done.out
    done = dn2_command("inspect", tmp_path / "m.dn2", "--json")
    pairs = json.loads(done.out)["near_duplicates"]
    assert pairs == [["[copy].png", "good-0.png"], ["good-0.png", "[copy].png"]]


def test_inspect_writes_the_parts_that_items_may_belong_to(dn2_command, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.normal(size=(40, 8)), 3, axis=0) + 0.02 * rng.normal(size=(120, 8))
    names = [f"photo_{part:03}_{view}" for part in range(40) for view in "abc"]
    np.savez(tmp_path / "photos.npz", items=names, embeddings=rows.astype(np.float32))
    fitted = dn2_command("fit", tmp_path / "photos.npz", "-o", tmp_path / "m.dn2")
    assert fitted.err.count("of vectors lie in closed groups of about 3") == 1
    assert "--part '(.*)[-_ ][^-_ /]+', or --part @parts.csv" in fitted.err
    done = dn2_command("inspect", tmp_path / "m.dn2", "--parts", tmp_path / "parts.csv")
    assert f"written: {tmp_path / 'parts.csv'}; 40 parts of 120 items, by names, as by --part '(.*)" in done.err
    written = (tmp_path / "parts.csv").read_text("utf-8").splitlines()
    assert written == ["item,part", *(f"{name},{name[:9]}" for name in names)]
    refused = dn2_command("inspect", tmp_path / "m.dn2", "--parts", tmp_path / "parts.txt")
    assert (refused.status, "a file of parts must end in .csv" in refused.err) == (2, True)


def test_inspect_prints_json(dn2_command, saved: Path) -> None:
    done = dn2_command("inspect", saved, "--json")
    assert (done.status, done.err) == (0, "")
    assert json.loads(done.out) == {**dn2.load(saved).describe(), "near_duplicates": []}


def test_inspect_lists_items_as_remove_takes_them(dn2_command, folder: Path) -> None:
    done = dn2_command("inspect", folder, "--items")
    names = [item.name for item in dn2.load(folder).items]
    assert (done.status, lines(done.out), done.err) == (0, names, "")
    assert json.loads(dn2_command("inspect", folder, "--items", "--json").out) == names
    assert dn2_command("remove", folder, *lines(done.out)[:30]).status == 0
    assert lines(dn2_command("inspect", folder, "--items").out) == names[30:]


@pytest.mark.parametrize("raw", [b"caf\xe9", rb"caf\xe9", b"line\nbreak", b"\x1b[31m", "\u202egnp".encode(), b" -x "])
def test_what_inspect_shows_is_what_remove_takes(
    dn2_command, folder: Path, world: Path, tmp_path: Path, raw: bytes
) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(next((world / "more").iterdir()), os.path.join(os.fsencode(tmp_path / "in"), raw + b".png"))
    assert dn2_command("add", folder, tmp_path / "in").status == 0
    shown = lines(dn2_command("inspect", folder, "--items").out)
    assert len(shown) == 41
    assert shown[-1].isprintable()
    done = dn2_command("remove", folder, "--", shown[-1])
    assert done.status == 0, done.err
    assert [item.name for item in dn2.load(folder).items] == shown[:-1]


def test_what_is_shown_as_two_items_is_not_removed(dn2_command, folder: Path, world: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a\nb.png", r"a\nb.png"):
        shutil.copy(next((world / "more").iterdir()), tmp_path / "in" / name)
    assert dn2_command("add", folder, tmp_path / "in").status == 0
    done = dn2_command("remove", folder, r"a\nb.png")
    assert (done.status, len(lines(done.err))) == (2, 1)
    assert r"2 items are shown alike, 'a\nb.png' and 'a\\nb.png'" in done.err
    assert dn2_command("remove", folder, "a\nb.png").status == 0


def test_verify_counts_the_files_of_a_whole_model_and_names_damaged_ones(dn2_command, folder: Path) -> None:
    assert dn2_command("verify", folder) == (0, f"{folder}: whole, 13 files checked\n", "")
    for path in sorted(folder.glob("reference-*"))[:2]:
        path.write_bytes(path.read_bytes() + b"\0")
    done = dn2_command("verify", folder)
    assert (done.status, done.out) == (2, "")
    assert len(lines(done.err)) == 1
    assert done.err.count("does not match its digest") == 2


# embed


def test_embed_writes_names_and_embeddings(dn2_command, mixed: Path, tiny: str, tmp_path: Path) -> None:
    output = tmp_path / "v.npz"
    done = dn2_command("embed", mixed, "-o", output, "--backbone", tiny, "--precision", "f32")
    assert (done.status, done.out) == (3, "")
    assert lines(done.err)[0] == f"7 embeddings of 192 features written to {output}"
    with np.load(output) as file:
        names, vectors = file["items"].tolist(), file["embeddings"]
    assert names == sorted(path.name for path in mixed.iterdir())[1:]
    expected = dn2.ImageEmbedder(tiny, precision="f32").transform([mixed / name for name in names])
    assert vectors.tobytes() == expected.tobytes()
    # In f32, the mean of each 8 x 8 pixels.
    pixels = np.asarray(Image.open(mixed / names[0]).resize((64, 64), Image.Resampling.BICUBIC), np.float64) / 255
    by_hand = pixels.reshape(8, 8, 8, 8).mean(axis=(1, 3)).ravel()
    np.testing.assert_allclose(vectors[0].reshape(3, 64), [by_hand] * 3, atol=1e-6)


def test_embed_writes_parquet_and_keeps_embeddings_unless_told_not_to(
    dn2_command, world: Path, tiny: str, tmp_path: Path, own_cache: Path
) -> None:
    output = tmp_path / "v.parquet"
    arguments = ["embed", world / "more", "--output", output, "--backbone", tiny]
    assert dn2_command(*arguments, "--no-cache").status == 0
    assert not own_cache.exists()
    assert dn2_command(*arguments, "--cache").status == 0
    assert entries(own_cache) == 8
    frame = pandas.read_parquet(output)
    assert frame["item"].tolist() == sorted(path.name for path in (world / "more").iterdir())
    assert np.stack(frame["embedding"].tolist()).shape == (8, 192)


# Refusals: status 2, one line on stderr, nothing on stdout

REFUSED = {
    "fit": "Missing argument",
    "fit {normal}": "Missing option '--output'",
    "fit {normal} -o {tmp}/m --nonsense": "No such option: --nonsense",
    "fit {normal} -o {tmp}/m --neighbors 0": "--neighbors must be at least 1",
    "fit {normal} -o {tmp}/m --neighbors two": "--neighbors must be a",
    "fit {normal} -o {tmp}/m --precision f64": "--precision must be one of",
    "fit {normal} -o {tmp}/m --normalize l1": "--normalize must be one of",
    "fit {normal} -o {tmp}/m --false-alarm-rate 0": "must lie between 0 and 1, got 0",
    "fit {normal} -o {tmp}/m --false-alarm-rate nan": "must lie between 0 and 1, got nan",
    "fit {normal} -o {tmp}/m --false-alarm-rate 0.001": "needs at least 999 reference items, got 40; add 959 more",
    "fit {normal} -o {tmp}/m --backbone resnet": "must be lite0, lite1, lite2, timm/NAME or the path of an .onnx",
    "fit {normal} -o {tmp}/m --backbone no.onnx": "no.onnx: cannot be read",
    "fit {normal} -o {tmp}/m --backbone {tiny} --neighbors 40": "need at least 41 reference items",
    "fit {normal} -o {tmp}/m --preset best": "--preset must be one of",
    "fit {normal} -o {tmp}/m --index kmeans:0": "the index must be auto, exact, kdtree, kmeans-tree",
    "fit {normal} -o {tmp}/m --index kmeans:x --neighbors 1": "the index must be auto, exact, kdtree, kmeans-tree",
    "fit {normal} -o {tmp}/m --whiten --groups": "groups are not whitened",
    "fit {normal} -o {tmp}/m --recall 1": "the recall promised must lie between 0 and 1, such as 0.999, got 1",
    "fit {normal} -o {tmp}/m --storage int4": "--storage must be one of",
    "fit {normal} -o {tmp}/m --memory lots": "must be a size such as 4GB or 512MiB, got 'lots'",
    "fit {normal} -o {tmp}/m --backbone {tiny} --memory 1MB": "of memory, 0.001 GB are allowed; allow more",
    "fit {normal} -o {tmp}/m --index tree": "L leaves visited, got 'tree'",
    "fit {normal} -o {tmp}/m --index kmeans:3 --neighbors 2": "--neighbors must be 1 where items are compared with cen",
    "fit {normal} -o {tmp}/m --index exact --recall 0.9": "leave it out, or ask for --index approximate",
    "fit {normal} -o {tmp}/m --preset fast --backbone {tiny} --neighbors 3": "--preset decides nothing where --b",
    "fit {normal} -o {tmp}/m --window 9": "--window belongs to the kind series, and the items here",
    "fit {normal} -o {tmp}/m --drop-columns a": "--drop-columns belongs to the kind table, and the items here",
    "fit {normal} -o {tmp}/m --kind table --no-cache --preset default": "--preset belongs to the kind image, and",
    "embed {normal} -o {tmp}/v.npz --id-column a": "--id-column belongs to the kinds text, table and series, and the",
    "score {saved} {normal} --window 9 --values a": "--values and --window can be given with --self alone",
    "score {saved} {normal} --points {tmp}/p.csv": "only series have points, and items here are of the kind image",
    "fit {normal} - - -o {tmp}/m": "- stands for stdin, which can be read once",
    "evaluate {saved} --normal - --anomalous -": "- stands for stdin, which can be read once",
    "fit {normal} -o {tmp}/m --backbone {tiny} --index kmeans:21": "21 centroids need at least 21 reference items",
    "inspect {saved} --report {tmp}/aside.html": "--report shows what --aside does: give both",
    "fit {normal} -o {tmp}/m --drop 0.5": "--drop is for a set that is contaminated; say so with --contaminated",
    "fit {normal} -o {tmp}/m --first-neighbors 2": "--first-neighbors is for a set that is contaminated; say so",
    "fit {normal} -o {tmp}/m --contaminated --drop 1": "at least 0 and less than 1, got 1",
    "fit {normal} -o {tmp}/m --contaminated --drop -0.1": "at least 0 and less than 1, got -0.1",
    "fit {normal} -o {tmp}/m --contaminated --drop nan": "at least 0 and less than 1, got nan",
    "fit {normal} -o {tmp}/m --contaminated --drop half": "--drop must be a",
    "fit {normal} -o {tmp}/m --contaminated --first-neighbors 0": "--first-neighbors must be at least 1",
    "fit {normal} -o {tmp}/m --contaminated --false-alarm-rate 0.04": "24 items that calibrate, got 20 of 40; add 8",
    "fit {normal} -o {tmp}/m --contaminated --drop 0.99 --backbone {tiny}": "10 neighbours need at least 11 reference",
    "fit {normal} -o {tmp}/m --groups": "no group found in",
    "fit {readme} -o {tmp}/m --groups": "groups are the subfolders of a folder, got",
    "fit {normal}/*.png -o {tmp}/m --groups": "groups are the subfolders of a folder, got",
    "fit @{readme} -o {tmp}/m --groups": "groups are the subfolders of a folder, got",
    "score {saved_lots} {normal}": "no group found in",
    "score {saved_lots} {readme}": "groups are the subfolders of a folder, got",
    "add {saved_lots} {lots}/good": "already (24 such names in all)",
    "readmit {saved}": "Missing argument 'ITEM'",
    "readmit {saved} nobody.png": "the model has no item 'nobody.png'",
    "readmit {saved} 0000.png": "'0000.png' is not set aside; dn2 inspect MODEL --aside lists what is",
    "inspect {saved} --items --aside": "--items and --aside are two lists",
    "fit {normal} -o {tmp}/m --backbone lite0@16": "the side of a picture must have 32 to 1024 pixels",
    "fit {normal} -o {tmp}/m --backbone lite0+resnet": "or several of these joined by +, got 'resnet'",
    "fit {normal} -o {normal}": "exists and is no dn2 model",
    "fit {normal} -o {readme}": "exists and is no dn2 model",
    "fit {normal} -o /proc/m --backbone {tiny} --no-cache": "cannot be written",
    "fit {tmp}/nothing -o {tmp}/m": "does not exist",
    "fit {tmp}/*.png -o {tmp}/m": "no item found in",
    "fit {empty} -o {tmp}/m": "no item found in",
    "fit @{tmp}/no.txt -o {tmp}/m": "cannot be read",
    "fit {readme} -o {tmp}/m --backbone {tiny}": "none of the 1 items can be read",
    "score": "Missing argument 'MODEL'",
    "score {saved}": "nothing to score: give INPUT after MODEL",
    "score {saved} {tmp}/nothing": "does not exist",
    "score {saved} {empty}": "no item found in",
    "score {tmp}/nothing {normal}": "nothing: the folder does not exist; make one with dn2 fit INPUT -o MODEL",
    "fit {normal} -o {tmp}/m --false-alarm-rate 1%": "--false-alarm-rate must be a number",
    "fit {normal} -o {tmp}/m --kind tabel": "--kind must be one of 'image', 'series', 'table', 'text', 'vector'",
    "predict {saved} {normal}": "there is no command 'predict'; dn2 score is meant, it seems",
    "score {normal} {normal}": "is no dn2 model",
    "score {saved} {normal} -o {tmp}/r.xlsx": "must end in .csv or .jsonl or .parquet",
    "score {saved} {normal} -o {readme}/r.csv": "readme.md is no folder",
    "score {saved} {normal} --false-alarm-rate 0.01": "needs at least 99 reference items, got 40",
    "score {saved} {normal} --false-alarm-rate 2": "must lie between 0 and 1, got 2",
    "score {saved} {normal} --audit 1": "--audit must be a whole number of at least 2, such as 50",
    "score {saved} {normal} --fdr 1": "must lie between 0 and 1, got 1",
    "score {saved} {normal} --fdr 0.1 --warn-rate 0.2": "--warn-rate goes with a false-alarm rate",
    "score {saved} {normal} --warn-rate 0.01": "--warn-rate must lie between the rate to reject at, 0.0243902",
    "evaluate {saved} --normal {normal} --anomalous {normal} --warn-rate 2": "--warn-rate must lie between the rate",
    "score {saved} {normal} --fdr 0.1 --false-alarm-rate 0.1": "two ways to decide",
    "evaluate {saved} --normal {normal}": "give --normal and --anomalous, items of which it is known",
    "evaluate {saved} --normal {readme} --anomalous {normal}": "needs normal and anomalous items, got 0 and 40",
    "add {saved} {normal}": "already (40 such names in all)",
    "add {saved} {readme}": "none of the 1 items can be read",
    "remove {saved}": "nothing to remove: name items, or a part with --part",
    "remove {saved} nobody.png": "the model has no item 'nobody.png'",
    "inspect {normal}": "is no dn2 model",
    "inspect {saved} extra": "unexpected extra argument",
    "verify {readme}": "is no dn2 model",
    "embed {normal} -o {tmp}/v.csv": "must end in .npz or .parquet",
    "embed {normal} -o {readme}/no/v.npz": "readme.md is no folder",
    "embed {readme} -o {tmp}/v.npz --backbone {tiny}": "none of the 1 items can be read",
    "export --backbone lite0 -o {tmp}/net.onnx": "only a backbone timm/NAME can be exported, got 'lite0'",
    "export --backbone timm/resnet18 -o {tmp}/net.pt": "a file that ends in .onnx, got",
    "export --backbone timm/resnet18 -o {readme}": "is there already; give another name, or --force to replace it",
    "export --backbone timm/resnet18 -o {tmp}/net.onnx --format onnx": "--format is of a model's decision",
    "export timm/resnet18 -o net.onnx": "is a network: dn2 export --backbone timm/resnet18 -o net.onnx",
    "export {saved} --backbone timm/resnet18 -o {tmp}/out": "give either a MODEL or a network with --backbone",
    "export -o {tmp}/out": "give either a MODEL or a network with --backbone",
    "export {saved} -o {normal}": "holds other files than an export; give another name with -o",
    "export {saved} -o {tmp}/out --format pt": "--format must be onnx or openvino, got 'pt'",
    "export {saved_lots} -o {tmp}/out": "compares groups of pictures",
    "demo -o {readme}": "Not a directory",
    "nonsense": "No such command 'nonsense'",
    "--nonsense": "No such option: --nonsense",
}


@pytest.mark.parametrize("command", REFUSED)
def test_what_cannot_be_done_is_refused_in_one_line(
    dn2_command, saved: Path, saved_lots: Path, lots: Path, world: Path, tmp_path: Path, tiny: str, command: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "readme.md").write_text("no picture")
    before = sorted(tmp_path.iterdir())
    places = {
        "normal": world / "normal",
        "saved": saved,
        "saved_lots": saved_lots,
        "lots": lots,
        "tmp": tmp_path,
        "tiny": tiny,
        "empty": tmp_path / "empty",
        "readme": tmp_path / "readme.md",
    }
    done = dn2_command(*(word.format(**places) for word in command.split()))
    assert (done.status, done.out) == (2, "")
    assert len(lines(done.err)) == 1, done.err
    assert done.err.startswith("dn2: ")
    assert REFUSED[command] in done.err
    assert [path for path in sorted(tmp_path.iterdir()) if path.name != "own-cache"] == before


def test_removing_too_many_is_refused_in_one_line(dn2_command, folder: Path) -> None:
    names = [item.name for item in dn2.load(folder).items]
    done = dn2_command("remove", folder, *names[2:])
    assert (done.status, done.out) == (2, "")
    assert len(lines(done.err)) == 1
    assert "need at least 3 reference items" in done.err
    assert len(dn2.load(folder).items) == 40


def test_a_model_of_a_later_release_is_refused_in_one_line(dn2_command, folder: Path) -> None:
    reseal(folder, lambda manifest: manifest.update(format=3, readable_from="7.8.9"))
    for command in (["score", folder, folder], ["inspect", folder], ["verify", folder], ["remove", folder, "x"]):
        done = dn2_command(*command)
        assert (done.status, done.out, len(lines(done.err))) == (2, "", 1)
        assert "it takes dn2 7.8.9" in done.err


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (MemoryError(), 2, "dn2: out of memory; give fewer items at a time\n"),
        (OSError(28, "No space left on device"), 2, "dn2: [Errno 28] No space left on device\n"),
        (dn2.InputError("one\nand\nmore"), 2, "dn2: one and more\n"),
        (KeyboardInterrupt(), 130, "dn2: stopped; nothing was written\n"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_error_has_its_status_and_at_most_one_line(
    dn2_command, saved: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, words: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("dn2.model.loading.load", fail)
    assert dn2_command("inspect", saved) == (status, "", words)


# Progress


def test_progress_is_a_line_now_and_then_where_stderr_is_no_terminal(
    dn2_command, saved: Path, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dn2.cli.progress.SECONDS_BETWEEN_LINES", 0.0)
    done = dn2_command("score", saved, world / "other", "--json")
    assert len(rows(done.out)) == 12
    shown = [line for line in lines(done.err) if line.startswith("scoring: ")]
    assert len(shown) == 12
    assert shown[0] == "scoring: 1 of 12"
    assert re.fullmatch(r"scoring: 12 of 12, [\d,]+/s, 0 s left", shown[-1])


def test_progress_is_a_bar_on_a_terminal_and_stdout_stays_clean(
    dn2_command, saved: Path, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    # While it shows a bar, rich puts itself in the place of sys.stderr.
    monkeypatch.setattr(
        type(sys.stderr), "isatty", lambda stream: stream is getattr(sys.stderr, "rich_proxied_file", sys.stderr)
    )
    done = dn2_command("score", saved, world / "other", "--json")
    assert len(rows(done.out)) == 12
    assert "scoring" in done.err
    assert "12 images, " in lines(done.err)[-3]


def test_the_csv_that_score_writes_has_the_columns_of_the_contract(
    dn2_command, saved: Path, mixed: Path, tmp_path: Path
) -> None:
    dn2_command("score", saved, mixed, "-o", tmp_path / "r.csv")
    with open(tmp_path / "r.csv", newline="") as file:
        header, broken, good, *_ = csv.reader(file)
    assert header == COLUMNS
    assert broken[:5] == ["broken.png", "", "", "", ""]
    assert "not a picture" in broken[5]
    assert (good[0], good[3], good[5]) == ("good-0.png", "false", "")
    assert [sorted(one) for one in json.loads(good[4])] == [["distance", "item"]] * 2
