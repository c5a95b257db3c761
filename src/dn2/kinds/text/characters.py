"""Texts to vectors of their characters: hashed n-grams, without any learning.

Two vectors side by side, each of length 1.  The wording: n-grams of the text in lower case, which similar texts share.
The form: n-grams of the kinds of characters, which show capitals, digits, punctuation and gaps in any words.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dn2.arrays import Vectors
from dn2.networks.language import cut_into_pieces

Codes = np.ndarray[Any, np.dtype[np.uint32]]


MULTIPLIER = np.uint32(0x01000193)
KINDS = {"Lu": "A", "Lt": "A", "Ll": "a", "Lm": "a", "Lo": "a", "Nd": "0", "Nl": "0", "No": "0", "Zs": " ", "So": "*"}


@dataclass(frozen=True)
class Grams:
    """n-grams of `shortest` to `longest` characters, hashed into `width` numbers, a power of 2."""

    shortest: int
    longest: int
    width: int

    def count(self, codes: Codes, owners: np.ndarray[Any, np.dtype[np.int64]], n_texts: int) -> Vectors:
        """Count the n-grams of texts, each with the sign of its hash, and return the roots: (n_texts, width), rows of
        length 1, or 0 for a text without n-grams.

        codes : (t,) the characters of all texts, one after the other; owners : (t,) the text of each, ascending."""
        counts = np.zeros(n_texts * self.width)
        hashes = np.zeros(len(codes), np.uint32)
        for length in range(1, self.longest + 1):
            last = codes[length - 1 :]
            hashes = hashes[: len(last)] * MULTIPLIER + last
            if length >= self.shortest:
                within = owners[: len(last)] == owners[length - 1 :]
                mixed = _mix_hashes(hashes[within] + np.uint32(length))
                places = owners[: len(last)][within] * self.width + (mixed & np.uint32(self.width - 1))
                counts += np.bincount(places, 1.0 - 2.0 * (mixed >> np.uint32(31)), len(counts))
        rows = (np.sign(counts) * np.sqrt(np.abs(counts))).reshape(n_texts, self.width)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)


WORDING = Grams(2, 4, 512)
FORM = Grams(1, 4, 256)
RECIPE = f"characters 1 {WORDING} {FORM}"


def embed_characters(texts: Sequence[str]) -> tuple[Vectors, Vectors]:
    """Embed n texts: their wording, (n, 512), and their form, (n, 256), rows of length 1 or 0."""
    wording = np.empty((len(texts), WORDING.width), np.float32)
    form = np.empty((len(texts), FORM.width), np.float32)
    for start, stop in cut_into_pieces(texts):
        padded = [f" {text} " for text in texts[start:stop]]
        wording[start:stop] = WORDING.count(*_characters([text.lower() for text in padded]), len(padded))
        codes, owners = _characters(padded)
        form[start:stop] = FORM.count(_kinds_of_characters(codes), owners, len(padded))
    return wording, form


def _characters(texts: Sequence[str]) -> tuple[Codes, np.ndarray[Any, np.dtype[np.int64]]]:
    """Return the code points of all texts, and the text of each."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32)
    return codes, np.repeat(np.arange(len(texts), dtype=np.int64), [len(text) for text in texts])


def _kinds_of_characters(codes: Codes) -> Codes:
    """Replace capitals by one letter, other letters by another, digits and symbols likewise; the rest stays."""
    distinct, places = np.unique(codes, return_inverse=True)
    kinds: Codes = np.array([ord(_kind(chr(code))) for code in distinct.tolist()], np.uint32)[places]
    return kinds


def _kind(character: str) -> str:
    return KINDS.get(unicodedata.category(character), character)


def _mix_hashes(hashes: Codes) -> Codes:
    """Spread hashes over all bits: the finalizer of MurmurHash3."""
    hashes = (hashes ^ (hashes >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    hashes = (hashes ^ (hashes >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    mixed: Codes = hashes ^ (hashes >> np.uint32(16))
    return mixed
