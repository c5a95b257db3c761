"""`dn2 score --report`, `dn2 report` and `--plot`, from end to end."""

from __future__ import annotations

import base64
import dataclasses
import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dn2
from small_models import write_digits
from small_report import data_in

FIGURES = ("anomaly_score", "p_value")


@pytest.fixture
def incoming(world: Path, tmp_path: Path) -> Path:
    """A folder of 12 fours, and 1 file that is no picture."""
    folder = Path(shutil.copytree(world / "other", tmp_path / "incoming"))
    (folder / "broken.png").write_text("no picture")
    return folder


def pixels(encoded: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("L"), float)


def test_score_writes_a_page_of_what_it_found(dn2_command, saved: Path, incoming: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = dn2_command("score", saved, incoming, "--report", page)
    assert done.status == 3
    assert f"; 1 could not be read; written to {page}\n" in done.err
    data, rows = data_in(page), [row for row in dn2.load(saved).score(incoming) if row.error is None]
    assert data["items"]["name"] == [row.item for row in rows]
    assert data["errors"][0][0] == "broken.png"
    assert [rank / 41 for rank in data["items"]["rank"]] == [row.p_value for row in rows]
    names = data["reference"]["name"]
    assert [names[place] for place in data["items"]["near"]] == [one.item for row in rows for one in row.neighbors]
    for place, row in enumerate(rows):
        original = np.asarray(Image.open(incoming / row.item).convert("L"), float)
        assert np.abs(pixels(data["kind"]["pictures"][str(place)]) - original).mean() < 4
    assert set(data["kind"]["reference"]) == {str(place) for place in range(len(names))}
    assert (len(data["map"]["reference"]), data["map"]["items"]) == (40, list(range(12)))
    assert "images, 12 anomalous" in page.read_text("utf-8")


def test_files_of_parts_that_the_model_has_are_found_again(dn2_command, world: Path, tmp_path: Path) -> None:
    model, results, page = tmp_path / "parts.dn2", tmp_path / "results.csv", tmp_path / "page.html"
    folder, part = world / "normal", "(.*)[0-9].png"  # near numbers
    assert dn2_command("fit", folder, "-o", model, "--backbone", world / "tiny.onnx", "--part", part).status == 0
    assert dn2_command("score", model, folder, "-o", results).status == 0
    done = dn2_command("report", results, "--model", model, "--root", folder, "-o", page)
    assert "not found" not in done.err
    assert len(data_in(page)["kind"]["pictures"]) == len(list(folder.iterdir()))


def test_the_map_puts_items_where_the_principal_components_do(saved: Path, incoming: Path, tmp_path: Path) -> None:
    model = dn2.load(saved)
    model.score(incoming).to_html(tmp_path / "page.html")
    found = data_in(tmp_path / "page.html")["map"]
    queries = model.embedder.transform([incoming / name for name in sorted(p.name for p in incoming.glob("0*.png"))])
    rows = np.concatenate([*model.detector.blocks, model.detector.as_compared(queries)]).astype(float)
    centred = rows - rows.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
    expected = centred @ axes.T
    got = np.array(found["reference"] + found["queries"], float)
    for axis in range(2):
        assert abs(np.corrcoef(expected[:, axis], got[:, axis])[0, 1]) > 0.999


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_report_of_a_results_file_is_that_of_the_scoring(
    dn2_command, saved: Path, incoming: Path, tmp_path: Path, ending: str
) -> None:
    results, at_once, later = tmp_path / f"r.{ending}", tmp_path / "at-once.html", tmp_path / "later.html"
    assert dn2_command("score", saved, incoming, "-o", results, "--report", at_once).status == 3
    done = dn2_command("report", results, "--model", saved, "--root", incoming, "-o", later)
    assert (done.status, done.out) == (0, "")
    assert later.read_bytes() == at_once.read_bytes()


@pytest.mark.parametrize("kind", ["table", "vector"])
def test_a_report_of_rows_takes_nothing_but_the_results_file(dn2_command, tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(0)
    for name, count, mean in (("normal", 120, 0), ("new", 12, 2)):
        values = rng.normal(mean, 1, (count, 7))
        if kind == "table":
            lines = [",".join("abcdefg"), *(",".join(map(str, row)) for row in values)]
            (tmp_path / f"{name}.csv").write_text("\n".join(lines))
        else:
            np.save(tmp_path / f"{name}.npy", values)
    ending = "csv" if kind == "table" else "npy"
    model, at_once, later = tmp_path / "model.dn2", tmp_path / "at_once.html", tmp_path / "later.html"
    assert dn2_command("fit", tmp_path / f"normal.{ending}", "-o", model).status == 0
    results = tmp_path / "results.csv"
    assert dn2_command("score", model, tmp_path / f"new.{ending}", "-o", results, "--report", at_once).status == 0
    (tmp_path / f"new.{ending}").unlink()
    done = dn2_command("report", results, "--model", model, "--root", tmp_path, "-o", later)
    assert (done.status, done.out) == (2, "")
    assert "have no pictures that lie in a folder: leave out --root" in done.err
    done = dn2_command("report", results, "--model", model, "--exclude", "x", "-o", later)
    assert (done.status, "in a folder: leave out --exclude" in done.err) == (2, True)
    assert dn2_command("report", results, "--model", model, "-o", later).status == 0
    assert data_in(at_once)["map"]["items"] == list(range(12))
    found = data_in(at_once)
    assert found["marking"]["texts"] == [str(tmp_path / f"new.{ending}")]
    found["marking"] |= {"texts": [], "files": None}
    assert data_in(later) == found | {"map": None}
    assert (data_in(later)["kind"] is None) == (kind == "vector")
    assert "Not found" not in later.read_text("utf-8")


def test_a_report_decides_anew_on_request(dn2_command, saved: Path, incoming: Path, tmp_path: Path) -> None:
    dn2.load(saved).score(incoming).to_csv(tmp_path / "r.csv")
    arguments = [tmp_path / "r.csv", "--model", saved, "--root", incoming, "-o", tmp_path / "page.html"]
    assert dn2_command("report", *arguments, "--false-alarm-rate", 0.3).status == 0
    calibration = data_in(tmp_path / "page.html")["calibration"]
    assert (calibration["rate"], calibration["values"][calibration["rank"] - 1]) == (0.3, 0.3)
    assert "at 30 false alarms in 100" in (tmp_path / "page.html").read_text("utf-8")
    assert calibration["warn"] is None


def test_a_report_shows_the_warnings_of_the_file_and_warns_anew_on_request(
    dn2_command, saved: Path, world: Path, tmp_path: Path
) -> None:
    results = dn2.load(saved).score(world / "more", warn_rate=0.5)
    results.to_csv(tmp_path / "r.csv")
    results.to_html(tmp_path / "at_once.html")
    arguments = ["report", tmp_path / "r.csv", "--model", saved, "--root", world / "more", "-o", tmp_path / "page.html"]
    assert dn2_command(*arguments).status == 0
    read = data_in(tmp_path / "page.html")["calibration"]
    marked = [row.p_value for row in results if row.p_value is not None and row.decision != "accept"]
    assert (read["warn"]["rank"], read["warn"]["words"]) == (round(41 * max(marked)), "")
    assert dn2_command(*arguments, "--warn-rate", 0.5).status == 0
    assert (tmp_path / "page.html").read_bytes() == (tmp_path / "at_once.html").read_bytes()
    usual = max(results, key=lambda row: row.p_value or 0)
    rows = [replace(row, decision="warn") if row is usual else row for row in results]
    replace(results, rows=rows).to_csv(tmp_path / "r.csv")
    done = dn2_command(*arguments)
    assert done.status == 2
    assert "an item is accepted there at a p-value of" in done.err


def test_what_was_decided_together_stays_so_in_a_report(
    dn2_command, saved: Path, incoming: Path, tmp_path: Path
) -> None:
    dn2.load(saved).score(incoming, fdr=0.5).to_csv(tmp_path / "r.csv")
    arguments = [tmp_path / "r.csv", "--model", saved, "--root", incoming, "-o", tmp_path / "page.html"]
    assert dn2_command("report", *arguments).status == 0
    flagged = [row.p_value for row in dn2.load(saved).score(incoming, fdr=0.5) if row.is_anomaly]
    calibration = data_in(tmp_path / "page.html")["calibration"]
    assert calibration["rank"] == round(41 * max(flagged))


def test_a_report_says_what_is_gone(dn2_command, saved: Path, incoming: Path, tmp_path: Path) -> None:
    dn2.load(saved).score(incoming).to_csv(tmp_path / "r.csv")
    gone = sorted(incoming.glob("0*.png"))[:2]
    for path in gone:
        path.unlink()
    page = tmp_path / "page.html"
    assert dn2_command("report", tmp_path / "r.csv", "--model", saved, "--root", incoming, "-o", page).status == 0
    data = data_in(page)
    assert sorted(map(int, data["kind"]["pictures"])) == data["map"]["items"] == list(range(2, 12))
    assert f"Not found below {incoming}, or another file by now: 2 of 13 items." in page.read_text("utf-8")


def test_a_file_that_is_another_one_by_now_is_not_shown(
    dn2_command, saved: Path, incoming: Path, world: Path, tmp_path: Path
) -> None:
    dn2.load(saved).score(incoming).to_csv(tmp_path / "r.csv")
    first, second = sorted(incoming.glob("0*.png"))[:2]
    shutil.copy(next((world / "more").iterdir()), first)
    second.write_text("no picture any more")
    page = tmp_path / "page.html"
    assert dn2_command("report", tmp_path / "r.csv", "--model", saved, "--root", incoming, "-o", page).status == 0
    assert sorted(map(int, data_in(page)["kind"]["pictures"])) == list(range(2, 12))
    assert "or another file by now: 2 of 13 items." in page.read_text("utf-8")


def test_a_name_that_leads_out_of_the_folder_is_not_followed(
    dn2_command, saved: Path, incoming: Path, tmp_path: Path
) -> None:
    write_digits(tmp_path, [3])
    shutil.copy(tmp_path / "0003.png", tmp_path / "secret.png")
    text = "item,anomaly_score,p_value,is_anomaly,neighbors,error\n"
    score, p_value = (getattr(dn2.load(saved).score(tmp_path / "secret.png").rows[0], name) for name in FIGURES)
    names = ("../secret.png", str(tmp_path / "secret.png"))
    (tmp_path / "r.csv").write_text(text + "".join(f"{name},{score},{p_value},true,,\n" for name in names))
    page = tmp_path / "page.html"
    assert dn2_command("report", tmp_path / "r.csv", "--model", saved, "--root", incoming, "-o", page).status == 0
    assert data_in(page)["kind"]["pictures"] == {}


def test_a_reference_item_is_shown_by_the_models_thumbnail_whatever_became_of_its_file(
    world: Path, tmp_path: Path
) -> None:
    good = tmp_path / "good"
    good.mkdir()
    for path in sorted((world / "normal").iterdir())[:4]:
        Image.open(path).resize((300, 300)).save(good / path.name)  # larger than a thumbnail
    model = dn2.fit(good, backbone=str(world / "tiny.onnx"), neighbors=3)
    gone, changed, *same = sorted(good.iterdir())
    gone.unlink()
    shutil.copy(same[0], changed)
    model.score(world / "normal").to_html(tmp_path / "page.html")  # the same four among them, each its own nearest
    data = data_in(tmp_path / "page.html")
    names, kept = data["reference"]["name"], data["kind"]["reference"]
    shown = {names[int(place)]: pixels(one).shape for place, one in kept.items()}
    assert shown == dict.fromkeys([gone.name, changed.name, *(one.name for one in same)], (192, 192))


def test_the_report_of_groups_shows_contact_sheets_and_members(
    dn2_command, saved_lots: Path, lots: Path, tmp_path: Path
) -> None:
    page, results = tmp_path / "page.html", tmp_path / "r.csv"
    assert dn2_command("score", saved_lots, lots / "bad", "-o", results, "--report", page).status == 0
    data = data_in(page)
    rows = dn2.load(saved_lots).score(lots / "bad").rows
    assert data["words"]["many"] == "groups"
    for shown, row in zip(data["kind"]["members"], rows, strict=True):
        assert [name for name, _, _ in shown] == [one.item for one in row.members or () if one.share > 0][:5]
        for name, _, picture in shown:
            original = np.asarray(Image.open(lots / "bad" / row.item / name).convert("L"), float)
            assert np.abs(pixels(picture) - original).mean() < 4
    assert pixels(data["kind"]["pictures"]["0"]).shape == (192, 192)
    again = tmp_path / "again.html"
    assert dn2_command("report", results, "--model", saved_lots, "--root", lots / "bad", "-o", again).status == 0
    assert again.read_bytes() == page.read_bytes()


def test_the_report_of_groups_finds_their_pictures_with_what_was_excluded(
    dn2_command, saved_lots: Path, lots: Path, world: Path, tmp_path: Path
) -> None:
    groups = Path(shutil.copytree(lots / "bad", tmp_path / "groups"))
    for group in groups.iterdir():
        (group / "setup").mkdir()
        for n, path in enumerate(sorted((world / "other").iterdir())):
            shutil.copy(path, group / "setup" / path.name if n % 2 else group / f"{n}_mask.png")
    exclude = ["--exclude", "*_mask.png", "--exclude", "*/setup"]
    page, again, results = tmp_path / "page.html", tmp_path / "again.html", tmp_path / "r.csv"
    assert dn2_command("score", saved_lots, groups, *exclude, "-o", results, "--report", page).status == 0
    report = ["report", results, "--model", saved_lots, "--root", groups, "-o", again]
    done = dn2_command(*report, *exclude)
    assert done.err == f"written: {again}\n"
    assert again.read_bytes() == page.read_bytes()
    done = dn2_command(*report)
    assert "no picture of them: if dn2 score was given --exclude, give the same; else its files are others" in done.err


def test_results_of_another_model_are_refused(
    dn2_command, saved: Path, saved_unsorted: Path, incoming: Path, tmp_path: Path
) -> None:
    dn2.load(saved_unsorted).score(incoming).to_csv(tmp_path / "r.csv")
    done = dn2_command("report", tmp_path / "r.csv", "--model", saved, "-o", tmp_path / "page.html")
    assert done.status == 2
    assert "give the model that scored the items, as it was then" in done.err
    assert not (tmp_path / "page.html").exists()


def test_decisions_that_contradict_the_p_values_are_refused(
    dn2_command, saved: Path, world: Path, tmp_path: Path
) -> None:
    rows = [dataclasses.replace(row, is_anomaly=bool(n)) for n, row in enumerate(dn2.load(saved).score(world / "more"))]
    rows.sort(key=lambda row: (row.p_value, row.is_anomaly))
    dn2.Results([dataclasses.replace(rows[0], is_anomaly=False), *rows[1:]], 0.1, 40).to_csv(tmp_path / "r.csv")
    done = dn2_command("report", tmp_path / "r.csv", "--model", saved, "-o", tmp_path / "page.html")
    assert done.status == 2
    assert "decisions must follow the p-values" in done.err


def test_a_model_that_has_changed_since_it_scored_has_no_report(folder: Path, world: Path, tmp_path: Path) -> None:
    model = dn2.load(folder)
    results = model.score(world / "other")
    model.remove(model.items[0].name)
    with pytest.raises(dn2.InputError, match="the model has changed since it scored these items"):
        results.to_html(tmp_path / "page.html")


def test_a_slice_has_a_page_of_its_rows(saved: Path, world: Path, tmp_path: Path) -> None:
    results = dn2.load(saved).score(world / "other")
    results[4:2:-1].to_html(tmp_path / "part.html")
    part = data_in(tmp_path / "part.html")
    assert part["items"]["name"] == [results[4].item, results[3].item]
    assert part["map"]["items"] == [0, 1]
    for place, row in enumerate((results[4], results[3])):
        original = np.asarray(Image.open(world / "other" / row.item).convert("L"), float)
        assert np.abs(pixels(part["kind"]["pictures"][str(place)]) - original).mean() < 4


def test_rows_without_their_model_have_no_report(tmp_path: Path) -> None:
    rows = dn2.Results([dn2.Row("a", 1.0, 0.5)], 0.1, 99)
    with pytest.raises(dn2.InputError, match="needs the model that scored these rows"):
        rows.to_html(tmp_path / "page.html")


@pytest.mark.parametrize(("ending", "head"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_models_and_evaluations_are_drawn(
    dn2_command, saved: Path, world: Path, tmp_path: Path, ending: str, head: bytes
) -> None:
    for number in range(2):
        model, known = tmp_path / f"m{number}.{ending}", tmp_path / f"e{number}.{ending}"
        assert dn2_command("inspect", saved, "--plot", model).status == 0
        known_items = ["--normal", world / "more", "--anomalous", world / "other"]
        done = dn2_command("evaluate", saved, *known_items, "--plot", known)
        assert (done.status, done.err) == (0, f"written: {known}\n")
        assert model.read_bytes().startswith(head)
        assert known.read_bytes().startswith(head)
    assert (tmp_path / f"m0.{ending}").read_bytes() == (tmp_path / f"m1.{ending}").read_bytes()
    assert (tmp_path / f"e0.{ending}").read_bytes() == (tmp_path / f"e1.{ending}").read_bytes()


def test_the_figure_of_an_evaluation_names_its_figures(dn2_command, saved: Path, world: Path, tmp_path: Path) -> None:
    known_items = ["--normal", world / "more", "--anomalous", world / "other"]
    done = dn2_command("evaluate", saved, *known_items, "--plot", tmp_path / "e.svg", "--json")
    text = (tmp_path / "e.svg").read_text()
    evaluation = dn2.load(saved).evaluate(world / "more", world / "other")[0]
    assert done.status == 0
    assert f"ROC, area {evaluation.roc_auc:.4f}" in text
    assert f"average {evaluation.average_precision:.4f}" in text
    for words in ("normal", "anomalous", "threshold", "at 1 in 41"):
        assert words in text


REFUSED = {
    "score {saved} {more} --report {tmp}/page.pdf": "a report must end in .html",
    "score {saved} {more} --report {results}/page.html": "results.csv is no folder",
    "report {tmp}/r.csv --model {saved} -o {tmp}/page.html": "cannot be read: No such file",
    "report {tmp}/r.txt --model {saved} -o {tmp}/page.html": "a results file must end in",
    "report {tmp}/r.csv --model {saved} -o {tmp}/page.pdf": "a report must end in .html",
    "report {results} --model {saved} --false-alarm-rate 0 -o {tmp}/page.html": "must lie between 0 and 1, got 0",
    "report {tmp}/r.csv -o {tmp}/page.html": "Missing option '--model'",
    "inspect {saved} --plot {tmp}/m.pdf": "a figure must end in .png or .svg",
    "evaluate {saved} --normal {more} --anomalous {more} --plot {results}/e.svg": "results.csv is no folder",
}


@pytest.mark.parametrize("command", REFUSED)
def test_what_cannot_be_done_is_refused_in_one_line(
    dn2_command, saved: Path, world: Path, tmp_path: Path, command: str
) -> None:
    dn2.load(saved).score(world / "more").to_csv(tmp_path / "results.csv")
    places = {"saved": saved, "more": world / "more", "tmp": tmp_path, "results": tmp_path / "results.csv"}
    done = dn2_command(*(word.format(**places) for word in command.split()))
    assert done.status == 2
    assert REFUSED[command] in done.err
    assert len(done.err.splitlines()) == 1 or "Usage" in done.err
    assert [path for path in tmp_path.iterdir() if path.suffix in (".html", ".png", ".svg")] == []
