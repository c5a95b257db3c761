"""Characters of texts as hashed n-grams."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import naive
from dn2.kinds.text.characters import FORM, WORDING, embed_characters
from dn2.networks import language

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@settings(max_examples=30)
@given(st.lists(ANY_TEXT, min_size=1, max_size=4))
def test_characters_are_counted_as_by_plain_loops(texts: list[str]) -> None:
    wording, form = embed_characters(texts)
    padded = [f" {text} " for text in texts]
    lower = [naive.hashed_grams(text.lower(), WORDING.shortest, WORDING.longest, WORDING.width) for text in padded]
    kinds = [naive.hashed_grams(naive.form_of(text), FORM.shortest, FORM.longest, FORM.width) for text in padded]
    assert wording == pytest.approx(np.array(lower), abs=1e-6)
    assert form == pytest.approx(np.array(kinds), abs=1e-6)


def test_a_text_has_the_same_characters_in_any_company(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["one", "Another, longer one", "3", "😀" * 50]
    alone = [np.concatenate(embed_characters([text]), axis=1)[0] for text in texts]
    for texts_at_once, characters_at_once in ((512, 1 << 20), (1, 1 << 20), (3, 10)):
        monkeypatch.setattr(language, "TEXTS_AT_ONCE", texts_at_once)
        monkeypatch.setattr(language, "CHARACTERS_AT_ONCE", characters_at_once)
        assert (np.concatenate(embed_characters(texts), axis=1) == np.array(alone)).all()


def test_the_form_sees_capitals_and_digits_and_the_wording_does_not() -> None:
    wording, form = embed_characters(["call me at 12:30", "CALL me at 12:30", "call me at 98:76", "tell us on 98:76"])
    apart = [np.square(part[0] - part).sum(axis=1) for part in (wording, form)]
    assert apart[0][1] == 0
    assert apart[1][1] > 0.1
    assert apart[1][2] == apart[1][3] == 0
    assert apart[0][3] > apart[0][2] > 0


def test_no_texts_have_no_characters() -> None:
    wording, form = embed_characters([])
    assert (wording.shape, form.shape) == ((0, WORDING.width), (0, FORM.width))
