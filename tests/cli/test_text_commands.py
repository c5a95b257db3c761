"""The commands on messages; run in this process."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dn2
from made_messages import STRANGE, write_messages


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of messages, which is where the commands run."""
    write_messages(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DN2_CACHE", str(tmp_path / "cache"))
    return tmp_path


FIT = ("fit", "messages.csv", "--column", "body", "--id-column", "ticket", "--backbone", "characters", "-o", "desk.dn2")


def test_messages_are_fitted_scored_and_described(desk: Path, dn2_command) -> None:
    done = dn2_command(*FIT)
    assert done.status == 0
    assert "desk.dn2: 600 reference items, false-alarm rate 1 in 100" in done.err
    done = dn2_command("score", "desk.dn2", "new_messages.csv")
    assert "message; nearest normal message (distance)" in done.out
    assert f"{STRANGE[181]}; " in done.out
    done = dn2_command("inspect", "desk.dn2")
    assert "messages, the column body, named by ticket" in done.out
    assert "characters (768 features)" in done.out


def test_a_text_file_is_of_messages_and_a_bad_line_an_error(desk: Path, dn2_command) -> None:
    dn2_command("fit", "messages.txt", "-o", "lines.dn2", "--backbone", "characters")
    Path("in.txt").write_bytes(b"please cancel my order.\ncaf\xe9\x81\n")
    done = dn2_command("score", "lines.dn2", "in.txt", "--json")
    assert done.status == 3
    first, second = map(json.loads, done.out.splitlines())
    assert first["item"] == "in.txt:1"
    assert first["text"]["value"] == "please cancel my order."
    assert second["error"] == "it is no UTF-8: the byte 0xe9 at place 4; save it as UTF-8"


def test_a_column_that_is_not_there_is_refused_in_one_line(desk: Path, dn2_command) -> None:
    done = dn2_command("fit", "messages.csv", "--column", "text", "-o", "d.dn2", "--backbone", "characters")
    assert done == (2, "", "dn2: there is none of the columns 'text'; there is 'ticket', 'body'\n")


def test_a_bench_of_messages_refuses_options_of_pictures(desk: Path, dn2_command) -> None:
    done = dn2_command("bench", "text", ".", "--backbone", "lite0")
    assert done.status == 2
    assert done.err.startswith("dn2: --backbone does not belong to text, but to one-class, ")


def test_what_steers_a_terminal_is_written_out(desk: Path, dn2_command) -> None:
    dn2_command(*FIT)
    Path("in.jsonl").write_text(
        json.dumps({"ticket": "\x1b[2J", "body": "\x1b]0;owned\x07 \u202etxt \U0001f469\u200d\U0001f467"}) + "\n"
    )
    done = dn2_command("score", "desk.dn2", "in.jsonl")
    assert not set("\x1b\x07\u202e") & set(done.out)
    assert r"\x1b]0;owned\x07 \u202etxt" in done.out
    assert "\U0001f469\u200d\U0001f467" in done.out
    assert r"\x1b[2J" in done.out


def test_messages_are_embedded_alone(desk: Path, dn2_command) -> None:
    done = dn2_command(
        "embed", "messages.csv", "--column", "body", "--id-column", "ticket", "--backbone", "characters", "-o", "v.npz"
    )
    assert (done.status, done.err) == (0, "600 embeddings of 768 features written to v.npz\n")
    with np.load("v.npz") as arrays:
        assert arrays["items"][0] == "t-0001"
        texts = pd.read_csv("messages.csv")["body"]
        assert (arrays["embeddings"] == dn2.TextEmbedder("characters").transform(texts)).all()
    done = dn2_command("embed", "messages.csv", "--kind", "image", "--id-column", "ticket", "-o", "v.npz")
    assert (done.status, done.err) == (
        2,
        "dn2: --id-column belongs to the kinds text, table and series, and the items here are of the kind image: leave "
        "it out\n",
    )
    done = dn2_command("embed", "messages.csv", "-o", "v.npz")
    assert (done.status, done.err) == (
        2,
        "dn2: embeddings alone are those of the kinds image and text, and the items here are of the kind table\n",
    )
