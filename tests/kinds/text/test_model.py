"""Models of messages: fit, score, evidence, add, remove, save, and what they do when something is wrong."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dn2
from dn2 import InputError, Model, ModelError, NotReproducible, Wording
from dn2.kinds.text.evidence import MessageEvidence
from dn2.kinds.text.wording import LONGEST_SHOWN, cut_at_words, new_words, shown
from dn2.results.files import read_rows
from made_messages import STRANGE, messages, with_strangers
from small_models import flip_a_bit, reseal
from small_tables import bits

FITTED: dict[str, Any] = {"column": "body", "id_column": "ticket", "backbone": "characters"}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """240 reference messages; not to be changed."""
    return messages(240, seed=0, first=1)


@pytest.fixture(scope="module")
def queries() -> pd.DataFrame:
    """200 messages, five of which do not belong; not to be changed."""
    return with_strangers(messages(200, seed=1, first=2_001))


@pytest.fixture(scope="module")
def saved_texts(rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model of `rows`; not to be changed."""
    folder = tmp_path_factory.mktemp("saved") / "messages.dn2"
    dn2.fit(rows, **FITTED).save(folder)
    return folder


@pytest.fixture
def model(saved_texts: Path) -> Model:
    return dn2.load(saved_texts)


def test_messages_that_do_not_belong_come_first(model: Model, queries: pd.DataFrame) -> None:
    results = model.score(queries)
    ranked = sorted(results, key=lambda row: -(row.anomaly_score or 0))
    strangers = {queries.loc[place, "ticket"] for place in STRANGE}
    assert {row.item for row in ranked[: len(strangers)]} == strangers
    assert all(row.is_anomaly for row in ranked[: len(strangers)])


def test_the_evidence_is_what_they_say_and_the_words_that_are_new(model: Model, queries: pd.DataFrame) -> None:
    row = model.score(queries).rows[17]
    assert row.text is not None
    assert row.text.value == STRANGE[17]
    known = dict(zip(messages(240, seed=0, first=1)["ticket"], messages(240, seed=0, first=1)["body"], strict=True))
    assert row.text.neighbors == tuple(known[one.item] for one in row.neighbors)
    assert {"WINNER", "Claim", "prize"} <= set(row.text.new_words)


def test_new_words_are_those_of_no_neighbour_whatever_their_case() -> None:
    assert new_words("The CAT sat, the dog ran. ran", ["the cat", "A dog!"]) == ("sat", "ran")
    assert new_words("straße 12", ["STRASSE"]) == ("12",)
    assert new_words("", []) == ()
    assert new_words("नमस्ते cafe\u0301", ["cafe"]) == ("नमस्ते", "cafe\u0301")


def test_a_text_is_cut_at_the_words_that_are_marked() -> None:
    assert cut_at_words("buy now, NOW buy!", {"buy", "NOW"}) == ["", "buy", " now, ", "NOW", " ", "buy", "!"]
    assert cut_at_words("नमस्ते!", {"नमस्ते"}) == ["", "नमस्ते", "!"]
    assert cut_at_words("nothing", set()) == ["nothing"]
    assert "".join(cut_at_words("any text, cut", {"text"})) == "any text, cut"


def test_a_long_message_is_cut_where_it_is_shown(rows: pd.DataFrame) -> None:
    assert shown("a" * LONGEST_SHOWN) == "a" * LONGEST_SHOWN
    assert len(shown("a" * (LONGEST_SHOWN + 1))) == LONGEST_SHOWN
    model = dn2.fit(pd.Series([*rows["body"], "long " * 1_000]), backbone="characters")
    (row,) = model.score(pd.Series(["long " * 1_000]))
    assert row.neighbors[0].distance == 0
    assert row.text == Wording(shown("long " * 1_000), (), (shown("long " * 1_000), row.text.neighbors[1]))  # type: ignore[union-attr]


def test_save_then_load_changes_nothing(rows: pd.DataFrame, saved_texts: Path, queries: pd.DataFrame) -> None:
    fitted, loaded = dn2.fit(rows, **FITTED), dn2.load(saved_texts)
    assert bits(loaded.score(queries)) == bits(fitted.score(queries))
    assert [row.text for row in loaded.score(queries)] == [row.text for row in fitted.score(queries)]
    about = loaded.describe()
    assert about["kind"] == "text"
    assert (about["column"], about["id_column"]) == ("body", "ticket")
    assert about["embedder"]["backbone"] == "characters"


def test_add_and_remove_is_as_if_nothing_had_happened(model: Model, queries: pd.DataFrame, tmp_path: Path) -> None:
    before = model.score(queries)
    more = messages(30, seed=5, first=5_001)
    model.add(more)
    assert len(model.items) == 270
    assert model.score(more).rows[3].text.neighbors[0] == more.loc[3, "body"]  # type: ignore[union-attr]
    model.save(tmp_path / "grown.dn2")
    grown = dn2.load(tmp_path / "grown.dn2")
    grown.remove(list(more["ticket"]))
    after = grown.score(queries)
    assert bits(after) == bits(before)
    assert [row.text for row in after] == [row.text for row in before]
    with pytest.raises(InputError, match="has an item 't-0001' already"):
        grown.add(messages(3, seed=9, first=1))


def test_what_cannot_be_read_has_a_row_with_its_error(model: Model, tmp_path: Path) -> None:
    lines = ["plain words, please cancel my order.", "", "a", "😀", "مرحبا", "x" * (1 << 20), "caf\ud801"]
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"ticket": n, "body": line}) + "\n" for n, line in enumerate(lines)))
    results = model.score(path)
    assert [row.error for row in results] == [
        None,
        "it is empty",
        None,
        None,
        None,
        None,
        "it is no UTF-8: the half character U+D801 at place 4; save it as UTF-8",
    ]
    assert [row.text is None for row in results] == [row.error is not None for row in results]
    results.to_csv(tmp_path / "r.csv")
    assert read_rows(tmp_path / "r.csv", MessageEvidence) == list(results.rows)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_results_are_written_and_read_whole(model: Model, queries: pd.DataFrame, tmp_path: Path, ending: str) -> None:
    results = model.score(queries)
    results.save(tmp_path / f"r.{ending}")
    assert read_rows(tmp_path / f"r.{ending}", MessageEvidence) == list(results.rows)
    assert results.columns[-1] == "text"
    assert isinstance(results.to_pandas()["text"][0], dict)


def test_copies_are_counted_and_told(rows: pd.DataFrame, tmp_path: Path) -> None:
    twice = pd.Series([*rows["body"], *rows["body"]])
    once, model = (dn2.fit(messages, backbone="characters") for messages in (rows["body"], twice))
    assert once.state.suspicion.repeats < 20
    assert once.state.suspicion.findings == ()
    assert model.state.suspicion.repeats == len(twice)
    assert [finding.name for finding in model.state.suspicion.findings] == ["repeats"]  # too evenly for chance
    assert f"{len(twice)} are exact copies of others" in " ".join(model.state.assumptions())


def test_without_a_language_model_fit_says_what_is_missing(
    rows: pd.DataFrame, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dn2.networks.sentences.TOKENIZERS", "no_such_library")
    with caplog.at_level(logging.INFO, "dn2"):
        model = dn2.fit(rows["body"])
    assert model.embedder.backbone == "characters"
    assert "by their characters alone" in caplog.text


@pytest.mark.parametrize("part", ["texts", "golden"])
def test_damage_is_found(saved_texts: Path, tmp_path: Path, part: str) -> None:
    import shutil

    folder = Path(shutil.copytree(saved_texts, tmp_path / "damaged.dn2"))
    flip_a_bit(folder, part)
    with pytest.raises(ModelError, match="damaged"):
        dn2.load(folder)


def test_a_model_of_other_characters_is_refused(saved_texts: Path, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(saved_texts, tmp_path / "other.dn2"))
    reseal(folder, lambda manifest: manifest["embedder"].update(digest="0" * 64))
    with pytest.raises(NotReproducible, match="the backbone characters is not the one that the model was made with"):
        dn2.load(folder)


def test_a_model_whose_golden_messages_differ_is_refused(saved_texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dn2.kinds.text import embedder as texts

    monkeypatch.setattr(
        texts, "embed_characters", lambda some: tuple(np.zeros((len(some), d), np.float32) for d in (512, 256))
    )
    with pytest.raises(NotReproducible, match=r"its golden messages differ by 1, at most 0\.001"):
        dn2.load(saved_texts)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"groups": True}, "groups belongs to the kind image, and the items here are of the kind text"),
        ({"normalize": "unit"}, "normalize belongs to the kinds image and vector"),
        ({"drop_columns": ["a"]}, "drop_columns belongs to the kind table"),
        ({"preset": "fast"}, "preset belongs to the kind image"),
    ],
)
def test_options_of_other_kinds_are_refused(rows: pd.DataFrame, options: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        dn2.fit(rows, **FITTED, **options)


def test_a_column_of_messages_has_no_meaning_elsewhere(rows: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="column belongs to the kind text, and the items here are of the kind table"):
        dn2.fit(rows, kind="table", column="body")


def test_a_column_is_asked_for_in_vain_where_there_is_none(rows: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "m.txt").write_text("\n".join(rows["body"]))
    for options in ({"column": "body"}, {"kind": "text", "id_column": "ticket"}):
        for inputs in (tmp_path / "m.txt", rows["body"]):
            with pytest.raises(InputError, match="come without columns: leave it out"):
                dn2.fit(inputs, backbone="characters", **options)  # type: ignore[arg-type]


def test_a_model_of_a_column_takes_messages_from_anywhere(model: Model, queries: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "m.txt").write_text("\n".join(queries["body"]))
    expected = [row.anomaly_score for row in model.score(queries)]
    assert [row.anomaly_score for row in model.score(queries["body"])] == expected
    assert [row.anomaly_score for row in model.score(tmp_path / "m.txt")] == expected
    model.add(tmp_path / "m.txt")
    assert model.describe()["column"] == "body"


def test_a_model_of_lines_asks_for_a_column_alone_where_a_table_has_several(rows: pd.DataFrame, tmp_path: Path) -> None:
    model = dn2.fit(list(rows["body"]), kind="text", backbone="characters")
    frame = pd.DataFrame({"title": ["a", "b"], "body": ["please help", "hello there"]})
    frame.to_csv(tmp_path / "new.csv", index=False)
    for table in (frame, tmp_path / "new.csv"):
        with pytest.raises(InputError, match=r"without columns; give .* alone, such as frame\['body'\]"):
            model.score(table)
    assert len(model.score(frame["body"])) == len(model.score(frame[["body"]])) == 2


def test_a_column_of_messages_in_a_table_gets_a_hint(rows: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="if one holds messages, name it"):
        dn2.fit(pd.DataFrame({"body": [f"{text} {place}" for place, text in enumerate(rows["body"])]}))


def test_a_column_that_is_given_makes_them_messages(rows: pd.DataFrame, tmp_path: Path) -> None:
    rows.to_csv(tmp_path / "m.csv", index=False)
    assert dn2.fit(tmp_path / "m.csv", column="body", backbone="characters").kind.name == "text"


def test_a_contaminated_set_is_cleaned(rows: pd.DataFrame, queries: pd.DataFrame) -> None:
    both = pd.concat([rows, queries.loc[list(STRANGE)]], ignore_index=True)
    model = dn2.fit(both, **FITTED, contaminated=True, drop=0.03)
    assert {queries.loc[place, "ticket"] for place in STRANGE} <= set(model.set_aside)
