"""Who may use a service."""

from __future__ import annotations

from pathlib import Path

import pytest

from dn2.errors import InputError
from dn2.serve import people
from dn2.serve.people import People

TOKEN = "0123456789abcdefghij"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ada", "a name, a space and a token"),
        ("ada short", "at least 20 characters, got 5"),
        (f"ada {TOKEN} more", "a name, a space and a token"),
        (f"ada {TOKEN}\nada {TOKEN}x", "two tokens of ada"),
        ("# nobody\n\n", "holds no token"),
    ],
)
def test_a_file_of_tokens_that_is_wrong_is_refused(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "tokens").write_text(text)
    with pytest.raises(InputError, match=why) as refused:
        People.of(tmp_path / "tokens")
    assert TOKEN not in str(refused.value)


def test_a_file_of_tokens_that_is_missing_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        People.of(tmp_path / "tokens")
    (tmp_path / "tokens").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot be read"):
        People.of(tmp_path / "tokens")


def test_each_token_is_of_one_person(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(f"# people\nada {TOKEN}1\ngrace {TOKEN}2\n")
    known = People.of(tmp_path / "tokens")
    assert known.are_known
    assert [known.by_token(token) for token in (f"{TOKEN}1", f"{TOKEN}2", TOKEN, "")] == ["ada", "grace", None, None]


def test_a_session_ends_when_it_is_over_and_by_signing_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tokens").write_text(f"ada {TOKEN}\n")
    known = People.of(tmp_path / "tokens")
    assert known.sign_in("guess") is None
    key, other = known.sign_in(TOKEN), known.sign_in(TOKEN)
    assert key is not None
    assert other is not None
    assert (known.by_session(key), known.by_session("guess"), known.by_session("")) == ("ada", None, None)
    known.sign_out(key)
    assert (known.by_session(key), known.by_session(other)) == (None, "ada")
    monkeypatch.setattr(people.time, "monotonic", lambda: 1e12)
    assert known.by_session(other) is None


def test_sessions_do_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tokens").write_text(f"ada {TOKEN}\n")
    monkeypatch.setattr(people, "MOST_SESSIONS", 2)
    known = People.of(tmp_path / "tokens")
    keys = [known.sign_in(TOKEN) or "" for _ in range(3)]
    assert [known.by_session(key) for key in keys] == [None, "ada", "ada"]
