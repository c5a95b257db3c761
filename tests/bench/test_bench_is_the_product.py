"""What the bench calls dn2 is what `dn2.fit` and `Model.score` give, to the bit, whatever is searched faster."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dn2
import naive
from dn2.bench import product
from dn2.bench.result import Result
from dn2.bench.split import Split
from dn2.kinds.image.bench import PictureOptions
from dn2.kinds.image.bench.analyses import centroids, neighbors
from dn2.kinds.image.bench.classes import backbones, multimodal, one_class
from dn2.kinds.image.bench.few_shot import few_shot
from dn2.kinds.image.bench.groups import draw_sets, score_as_product
from dn2.kinds.image.bench.impurity import impurity
from dn2.kinds.image.bench.patches.methods import Settings, learn_patches, learn_whole
from dn2.kinds.image.bench.pictures import Bench
from dn2.kinds.image.bench.run import Preparation
from dn2.kinds.image.labelled.sets import LabelledPicture
from dn2.kinds.image.options import ImageOptions
from dn2.kinds.image.patches import finding
from dn2.kinds.protocols import protocols
from dn2.kinds.series.bench.methods import own_method, window_of
from dn2.kinds.table.bench.data import read_sets
from dn2.kinds.table.bench.methods import own_methods
from dn2.kinds.text.bench.data import read_text_sets
from dn2.kinds.text.bench.protocol import NearestTexts
from dn2.kinds.text.kind import TextKind
from dn2.kinds.text.options import TextOptions
from dn2.kinds.text.transformer import TextEmbedder
from dn2.neighbors.detector import Detector
from made_messages import write_labelled
from small_bench import silent, write_set
from small_models import places_of, write_backbone, write_digits
from small_series import beat


@dataclass(frozen=True)
class Recorded(Bench):
    """A bench that keeps what it was asked for: options, a split, and its scores."""

    asked_for: list[tuple[Any, Split, np.ndarray]] = field(default_factory=list)
    fitted: list[tuple[Any, np.ndarray, Any]] = field(default_factory=list)

    def scores(self, split: Split, find_nearest: Callable[[int], np.ndarray]) -> np.ndarray:
        scores = super().scores(split, find_nearest)
        self.asked_for.append((self.options, split, scores))
        return scores

    def fit(self, places: np.ndarray) -> Any:
        detector = super().fit(places)
        self.fitted.append((self.options, places, detector))
        return detector

    def paths(self, places: Sequence[int] | np.ndarray) -> list[Path]:
        return [self.data.items[place].path for place in places]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of train/DIGIT/ and test/DIGIT/, and `tiny.onnx`; not to be changed."""
    folder = tmp_path_factory.mktemp("pictures")
    for digit in (0, 1, 4):
        places = places_of(digit)
        write_digits(folder / "train" / str(digit), places[:60])
        write_digits(folder / "test" / str(digit), places[60:64])
    write_backbone(folder)
    return folder


def record(protocol: str, folder: Path, preset: str, **options: Any) -> Recorded:
    """Prepare the bench of a protocol as `dn2 bench` does."""
    declared = protocols()[protocol].protocol
    chosen = declared.options(seeds=1, preset=preset, **options)
    assert isinstance(chosen, PictureOptions)
    bench = Preparation(declared, folder, chosen, silent).bench(str(folder / "tiny.onnx"))
    return Recorded(**{one.name: getattr(bench, one.name) for one in fields(Bench)})


def user_scores(options: ImageOptions, known: Any, asked: Sequence[Path]) -> list[float | None]:
    """Score files or groups as a user of `dn2.fit` does, in their order."""
    given = {name: value for name, value in asdict(options).items() if value not in (None, ())}
    found = {Path(row.item).name: row.anomaly_score for row in dn2.fit(known, kind="image", **given).score(asked)}
    return [found[path.name] for path in asked]


MEASURES: Mapping[str, Callable[[Bench], Result]] = {
    "one-class": one_class,
    "multimodal": multimodal,
    "few-shot": few_shot,
    "impurity": impurity,
    "centroids": centroids,
    "neighbors": neighbors,
    "backbones": lambda bench: backbones([bench]),
}
# How the names of the methods begin that are dn2's.
OWN = ("dn2 ", "dn2, ", "no cleaning", "clean part", "the paper's cleaning")


def check_pictures(protocol: str, folder: Path, preset: str) -> None:
    bench = record(protocol, folder, preset, **({} if protocol == "multimodal" else {"normal": ("4",)}))
    result = MEASURES[protocol](bench)
    queries = np.flatnonzero(~bench.data.in_train)
    truth = bench.data.labels[queries] != bench.data.classes.index("4")
    asked_for = [(options, split.reference, split, scores) for options, split, scores in bench.asked_for]
    for options, places, detector in bench.fitted:
        asked_for.append(
            (options, places, Split(places, queries, truth), detector.anomaly_score(bench.embeddings[queries]))
        )
    for options, places, split, scores in asked_for:
        expected = user_scores(options, bench.paths(places), bench.paths(split.queries))
        assert scores.tolist() == expected, (protocol, options, len(places))
    figures = {round(naive.roc_auc(scores.tolist(), split.truth.tolist()), 9) for *_, split, scores in asked_for}
    assert figures == {round(one.roc_auc, 9) for one in result.measurements if one.method.startswith(OWN)}


def check_groups(folder: Path, preset: str) -> None:
    bench = record("groups", folder, preset)
    rng = np.random.default_rng(0)
    of_classes = [bench.data.split((name,), None).reference for name in bench.data.classes]
    drawn = {"known": draw_sets(rng, of_classes, 20, normal=True), "asked": draw_sets(rng, of_classes, 8, normal=False)}
    places = {}
    for part, sets in drawn.items():
        places[part] = folder.parent / f"{preset}-groups" / part
        for number, members in enumerate(sets):
            for order, path in enumerate(bench.paths(members)):
                target = places[part] / f"{number:02d}" / f"{order}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
    scores = score_as_product(bench, *drawn.values())
    expected = dn2.fit(places["known"], groups=True, preset=preset, backbone=str(folder / "tiny.onnx"))
    assert scores.tolist() == [row.anomaly_score for row in expected.score(places["asked"])]


def check_tables(folder: Path, preset: str) -> None:
    write_set(folder.parent / "tables" / "one.npz", n_normal=41, distance=2)
    (one,) = read_sets(folder.parent / "tables", 2)
    split = one.split(0)
    reference, queries = one.rows[split.reference], one.rows[split.queries]
    known, asked = ({f"c{place}": column for place, column in enumerate(rows.T)} for rows in (reference, queries))
    expected = [row.anomaly_score for row in dn2.fit(known, kind="table").score(asked)]
    assert own_methods(2)[0].fit(reference, queries, 0).tolist() == expected


def check_messages(folder: Path, preset: str) -> None:
    labelled = folder.parent / f"{preset}-labelled"
    write_labelled(labelled)
    (one,) = read_text_sets(labelled, 2)
    kind, options = TextKind(TextEmbedder("characters")), TextOptions(backbone="characters", neighbors=2)
    method = NearestTexts(kind, options, kind.embedder.embed_all(one.texts))
    for seed in range(2):
        split = one.split(seed)
        known, asked = ({"text": [one.texts[place] for place in some]} for some in (split.reference, split.queries))
        model = dn2.fit(pd.DataFrame(known), column="text", backbone="characters")
        expected = [row.anomaly_score for row in model.score(pd.DataFrame(asked))]
        assert method.scores(split, seed).tolist() == expected


def check_series(folder: Path, preset: str) -> None:
    values = beat(240)
    for known, results in ((0, dn2.score_self(values)), (100, dn2.fit(values[:100], kind="series").score(values))):
        scores = own_method(1).score(values[:, None], window_of(240, known), known)
        assert results.points is not None
        assert scores.tolist() == results.points.scores.tolist()


def check_patches(folder: Path, preset: str) -> None:
    known, asked = (sorted((folder / part / "4").iterdir()) for part in ("train", "test"))
    known, parts = known[:20], [f"{place // 2}" for place in range(20)]
    learning, testing = ([LabelledPicture(path.name, path, None, False) for path in some] for some in (known, asked))
    settings = Settings(resolution=64, bank=30, false_alarm_rate=0.3, parts=parts)
    shared = {"false_alarm_rate": 0.3, "part": parts, "cache": None}
    with pytest.MonkeyPatch.context() as patch:  # how small a defect would be found is of no matter here
        patch.setattr(finding, "MOST_PIXELS", 0)
        patch.setattr(finding, "LEAST_PLANTED", 1)
        for own, options in (
            (learn_whole(learning, settings), {}),
            (learn_patches(learning, settings, preset=preset), {"patches": True, "resolution": 64, "bank": 30}),
        ):
            rows = dn2.fit(known, preset=preset, **shared, **options).score(asked)
            assert [seen[:2] for seen in own.see(testing)] == [(row.anomaly_score, row.p_value) for row in rows]


CHECKS: dict[str, Callable[[Path, str], None]] = {
    **{protocol: partial(check_pictures, protocol) for protocol in MEASURES},
    "groups": check_groups,
    "tabular": check_tables,
    "text": check_messages,
    "series": check_series,
    "patches": check_patches,
}


def test_every_protocol_is_checked() -> None:
    assert set(CHECKS) == set(protocols())


@pytest.mark.parametrize("protocol", CHECKS)
def test_scores_of_dn2_are_those_of_fit_and_score_to_the_bit(
    protocol: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DN2_CACHE", str(pictures / "cache"))
    CHECKS[protocol](pictures, "default")


@pytest.mark.parametrize("protocol", ["one-class", "multimodal", "few-shot"])
def test_a_preset_that_whitens_large_sets_does_so_in_the_bench(
    protocol: str, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DN2_CACHE", str(pictures / "cache"))
    monkeypatch.setattr("dn2.kinds.image.presets.WHITEN_FROM", 50)
    fitted = []
    spy = SimpleNamespace(fit=lambda *given: fitted.append(given) or Detector.fit(*given))
    monkeypatch.setattr(product, "Detector", spy)
    CHECKS[protocol](pictures, "accurate")
    assert fitted


def test_searches_are_shared_where_dn2_compares_with_all(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DN2_CACHE", str(pictures / "cache"))
    monkeypatch.setattr(product, "Detector", None)
    for protocol in ("one-class", "multimodal", "few-shot", "neighbors"):
        MEASURES[protocol](record(protocol, pictures, "default"))
