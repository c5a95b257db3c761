"""How much meaning, wording and form weigh beside each other, on messages that are not reported as a test.

Run: python benchmarks/text_weights.py

CLINC150's validation part, and halves of the SMS messages by seeds that `text.py` does not use.  ROC AUC, %, k = 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from common import begin, prepare_torch
from dn2 import Cache, TextEmbedder
from dn2.bench.scoring import nearest_distances, roc_auc
from dn2.kinds.text.bench.data import TextSet, read_text_sets
from dn2.kinds.text.characters import embed_characters
from dn2.neighbors.calibration import mean_squared_distance
from text import validation_set

K = 2
FIRST_SEED = 100


@dataclass(frozen=True)
class Sizes:
    """How many seeds there are, and what wording and form may weigh."""

    seeds: int = 3
    wording: tuple[float, ...] = (0.0, 0.25, 0.5, 1.0)
    form: tuple[float, ...] = (0.0, 0.25, 0.5, 1.0, 2.0)


SMALLEST = Sizes(seeds=1, wording=(0.0, 0.5), form=(1.0,))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table of weights for each set, with the language model and without."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST)
    prepare_torch()
    sizes, report = run.sizes, run.report("text_weights")
    seeds = range(FIRST_SEED, FIRST_SEED + sizes.seeds)
    report.say(f"ROC AUC, %, k = {K}: CLINC150 validation / SMS, mean over seeds {seeds.start} to {seeds.stop - 1}.")
    sms = next(one for one in read_text_sets(run.need("text"), K) if one.random)
    sets = (validation_set(run.need("text/clinc150_full.jsonl")), sms)
    parts = {one.name: parts_of(one) for one in sets}
    for meaning in (1.0, 0.0):
        report.say(f"\nmeaning weighs {meaning:g}; rows: wording, columns: form")
        report.say("        " + "".join(f"{form:>16g}" for form in sizes.form))
        for wording in sizes.wording:
            cells = []
            for form in sizes.form:
                weights = (meaning, wording, form)
                figures = [mean_auc(one, seeds, parts[one.name], weights) if any(weights) else np.nan for one in sets]
                cells.append(" / ".join(f"{100 * figure:.2f}" for figure in figures))
            report.say(f"{wording:>8g}" + "".join(f"{cell:>16}" for cell in cells))
    report.save()


def parts_of(one: TextSet) -> list[np.ndarray]:
    """Embed messages: meaning, wording and form."""
    meaning = TextEmbedder("minilm", cache=Cache()).transform(one.texts)
    return [meaning, *embed_characters(one.texts)]


def mean_auc(one: TextSet, seeds: Sequence[int], parts: list[np.ndarray], weights: tuple[float, ...]) -> float:
    """Return the mean ROC AUC over the splits of a set."""
    used = [np.float32(np.sqrt(weight)) * part for weight, part in zip(weights, parts, strict=True) if weight]
    vectors = np.concatenate(used, axis=1)

    def figures() -> Iterator[float]:
        for seed in seeds if one.random else [0]:
            split = one.split(seed)
            distances = nearest_distances(vectors[split.reference], vectors[split.queries], K)
            yield roc_auc(mean_squared_distance(distances), split.truth)

    return float(np.mean(list(figures())))


if __name__ == "__main__":
    main()
