"""How much meaning, wording and form weigh beside each other, on messages that are not reported as a test.

Run: python benchmarks/text_weights.py

CLINC150's validation part, and halves of the SMS messages by seeds that `text.py` does not use.  ROC AUC, %, k = 2.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from common import Report, need
from dn2.bench.scoring import nearest_distances, roc_auc
from dn2.bench.text_data import TextSet, read_text_sets
from dn2.embed.characters import embed_characters
from dn2.embed.texts import TextEmbedder
from dn2.neighbors.conformal import mean_squared_distance
from dn2.store.cache import Cache
from text import validation_set

SEEDS = range(100, 103)
K = 2
WORDING = (0.0, 0.25, 0.5, 1.0)
FORM = (0.0, 0.25, 0.5, 1.0, 2.0)


def main() -> None:
    """Print a table of weights for each set, with the language model and without."""
    report = Report("text_weights")
    report.say(f"ROC AUC, %, k = {K}: CLINC150 validation / SMS, mean over seeds {SEEDS.start} to {SEEDS.stop - 1}.")
    sms = next(one for one in read_text_sets(need("text"), K) if one.random)
    sets = (validation_set(), sms)
    parts = {one.name: parts_of(one) for one in sets}
    for meaning in (1.0, 0.0):
        report.say(f"\nmeaning weighs {meaning:g}; rows: wording, columns: form")
        report.say("        " + "".join(f"{form:>16g}" for form in FORM))
        for wording in WORDING:
            cells = []
            for form in FORM:
                weights = (meaning, wording, form)
                figures = [mean_auc(one, parts[one.name], weights) if any(weights) else np.nan for one in sets]
                cells.append(" / ".join(f"{100 * figure:.2f}" for figure in figures))
            report.say(f"{wording:>8g}" + "".join(f"{cell:>16}" for cell in cells))
    report.save()


def parts_of(one: TextSet) -> list[np.ndarray]:
    """Embed messages: meaning, wording and form."""
    meaning = TextEmbedder("minilm", cache=Cache()).transform(one.texts)
    return [meaning, *embed_characters(one.texts)]


def mean_auc(one: TextSet, parts: list[np.ndarray], weights: tuple[float, ...]) -> float:
    """Return the mean ROC AUC over the splits of a set."""
    used = [np.float32(np.sqrt(weight)) * part for weight, part in zip(weights, parts, strict=True) if weight]
    vectors = np.concatenate(used, axis=1)

    def figures() -> Iterator[float]:
        for seed in SEEDS if one.random else [0]:
            split = one.split(seed)
            distances = nearest_distances(vectors[split.reference], vectors[split.queries], K)
            yield roc_auc(mean_squared_distance(distances), split.truth)

    return float(np.mean(list(figures())))


if __name__ == "__main__":
    main()
