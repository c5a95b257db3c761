"""Other methods on the same embeddings."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import naive
from dn2.bench.rivals import Rival
from dn2.inputs.items import Item
from dn2.kinds.image.bench.rivals import find_rivals
from small_bench import make_bench, silent


def find(tmp_path: Path) -> tuple[list[Rival], list[str]]:
    bench = make_bench(n_train=30, n_test=10, classes="ab")
    rng = np.random.default_rng(0)
    for item in bench.data.items:
        pixels = rng.integers(255, size=(8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / item.name)
    items = [Item(item.name, tmp_path / item.name) for item in bench.data.items]
    return find_rivals(replace(bench, data=replace(bench.data, items=items)), silent)


def test_every_rival_scores_what_is_far_away_higher(tmp_path: Path) -> None:
    bench = make_bench(n_train=30, n_test=10, classes="ab")
    split = bench.data.split(("a",), None)
    rivals, missing = find(tmp_path)
    names = ["OC-SVM", "Isolation Forest", "LOF", "Mahalanobis, Ledoit-Wolf", "pixels, k = 2"]
    assert [rival.name for rival in rivals] == names + ["DeepSVDD"] * (not missing)
    for rival in rivals:
        if rival.name.startswith("pixels"):
            continue
        far = Rival(rival.name, rival.random, rival.rows + 100 * bench.data.labels[:, None], rival.fit)
        scores = far.scores(split, 0)
        assert scores.shape == (20,)
        assert scores[split.truth].min() >= scores[~split.truth].max(), rival.name
        assert rival.scores(split, 1) == pytest.approx(rival.scores(split, 1)), rival.name


def test_mahalanobis_is_what_scikit_learn_computes(tmp_path: Path) -> None:
    from sklearn.covariance import LedoitWolf

    bench = make_bench(n_train=30, n_test=10, classes="ab")
    split = bench.data.split(("a",), None)
    (rival,) = [one for one in find(tmp_path)[0] if one.name.startswith("Mahalanobis")]
    expected = LedoitWolf().fit(bench.vectors[split.reference].astype(np.float64))
    assert rival.scores(split, 0) == pytest.approx(expected.mahalanobis(bench.vectors[split.queries]), rel=1e-6)


def test_pixels_are_compared_as_they_are(tmp_path: Path) -> None:
    bench = make_bench(n_train=30, n_test=10, classes="ab")
    split = bench.data.split(("a",), None)
    (rival,) = [one for one in find(tmp_path)[0] if one.name.startswith("pixels")]
    assert rival.rows.shape == (80, 3072)
    with Image.open(tmp_path / bench.data.items[5].name) as picture:
        big = np.asarray(picture.resize((32, 32), Image.Resampling.BICUBIC).convert("RGB"))
    assert (rival.rows[5] == big.reshape(-1)).all()
    expected = [naive.mean_squared_distance(rival.rows[q], rival.rows[split.reference], 2) for q in split.queries]
    assert rival.scores(split, 0) == pytest.approx(expected, rel=1e-6)


def test_deep_svdd_is_left_out_with_a_word_where_it_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else name)
    rivals, missing = find(tmp_path)
    assert "DeepSVDD" not in [rival.name for rival in rivals]
    assert missing == ["DeepSVDD is left out: torch not installed; run: pip install 'dn2[bench,torch]'."]
