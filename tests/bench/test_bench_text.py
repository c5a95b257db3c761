"""The protocol on messages: reading, splitting, methods, figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dn2.bench.table import to_csv, to_markdown
from dn2.errors import InputError, MissingExtra
from dn2.kinds.text.bench import protocol
from dn2.kinds.text.bench.data import TextSet, read_text_sets
from dn2.kinds.text.bench.protocol import NearestTfIdf, check_rivals, text
from made_messages import STRANGE, messages, write_labelled
from small_bench import silent


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """A file of 200 messages, five of which are spam."""
    write_labelled(tmp_path / "labelled")
    return tmp_path / "labelled"


def write_split(path: Path) -> None:
    """Write records with a split of their own: 40 to train on, 10 in scope and 3 out of it to test."""
    texts = list(messages(50, seed=2, first=1)["body"])
    records = [{"text": one, "split": "train" if n < 40 else "test", "intent": "a"} for n, one in enumerate(texts)]
    records += [{"text": one, "split": "oos_test", "intent": "oos"} for one in list(STRANGE.values())[:3]]
    records += [{"text": "left out", "split": "val", "intent": "a"}, {"text": "", "split": "train", "intent": "a"}]
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))


def test_a_set_without_a_split_is_halved_at_random(labelled: Path) -> None:
    (found,) = read_text_sets(labelled, 2)
    assert (found.name, len(found.texts), int(found.anomalous.sum()), found.random) == ("desk", 200, 5, True)
    first, second = found.split(0), found.split(1)
    assert len(first.reference) == 97
    assert not found.anomalous[first.reference].any()
    assert sorted([*first.reference, *first.queries]) == list(range(200))
    assert (first.truth == found.anomalous[first.queries]).all()
    assert first.reference.tolist() != second.reference.tolist()


def test_a_split_of_the_data_is_kept(tmp_path: Path) -> None:
    write_split(tmp_path / "scope.jsonl")
    (found,) = read_text_sets(tmp_path / "scope.jsonl", 2)
    assert not found.random
    split = found.split(0)
    assert (len(split.reference), len(split.queries), int(split.truth.sum())) == (40, 13, 3)
    assert split.reference.tolist() == found.split(7).reference.tolist()


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.csv", "text,kind\na,b\n", "must have the columns text and label or intent, got text"),
        (
            "a.csv",
            "text,label\na,ham\nb,ham\n",
            r"label must tell anomalies \(1, anomalous, anomaly, oos, spam, true\) from",
        ),
        ("a.csv", "id,body\na,b\n", "must have the columns text and label or intent, and may have split"),
        ("a.csv", "text,label\na,0\nb,0\nc,1\n", "2 neighbours need at least 3 reference messages"),
        ("a.jsonl", "{\n", "line 1: it is no JSON"),
        ("a.jsonl", "[1]\n", "line 1: it is to be a record"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_so(tmp_path: Path, name: str, content: str, why: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=why):
        read_text_sets(tmp_path, 2)


def test_a_folder_without_messages_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no file ending in"):
        read_text_sets(tmp_path, 2)


def test_a_rival_finds_what_does_not_belong(labelled: Path) -> None:
    (found,) = read_text_sets(labelled, 2)
    split = found.split(0)
    for method in (
        NearestTfIdf("characters", found.texts, "char_wb", (2, 5)),
        NearestTfIdf("words", found.texts, "word", (1, 1)),
    ):
        scores = method.scores(split, 0)
        assert scores.shape == split.truth.shape
        assert scores[split.truth].min() > np.median(scores[~split.truth])


def test_the_protocol_makes_a_table(labelled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_split(labelled / "scope.jsonl")
    monkeypatch.setattr(protocol, "choose_text_backbone", lambda: ("characters", "no language model: install one"))
    result = text(read_text_sets(labelled, 2), 2, False, seeds=2, cache=None, progress_of=silent)
    assert result.methods == ["dn2 characters, k = 2"]
    assert [(one.setting, one.seed) for one in result.measurements] == [("desk", 0), ("desk", 1), ("scope", None)]
    assert all(one.roc_auc > 0.9 for one in result.measurements)
    assert "- dn2's default here is characters.\n- No language model: install one.\n" in to_markdown(result)
    assert to_csv(result).count("\n") == 4
    with pytest.raises(MissingExtra, match=r"need cleanlab and a language model; run: pip install 'dn2\[bench,text\]'"):
        check_rivals()


def test_a_text_set_takes_any_sequence() -> None:
    one = TextSet("one", ("a", "b", "c", "d"), np.array([False, False, True, False]))
    assert len(one.split(3).reference) == 1
