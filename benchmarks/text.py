"""Messages: quality beside rivals, throughput beside sentence-transformers, false alarms with and without copies.

Run: python benchmarks/text.py [--skip quality throughput false_alarms]
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from common import Report, Run, begin, prepare_torch, seconds
from dn2 import Cache, KNNDetector, TextEmbedder
from dn2.arrays import Vectors
from dn2.bench.result import Result
from dn2.kinds.kind import USUAL_NEIGHBORS as N_NEIGHBORS
from dn2.kinds.text.bench.data import TextSet, read_text_sets
from dn2.kinds.text.bench.protocol import text
from dn2.networks.sentences import MINILM, find_model
from dn2.networks.torch_sentences import TorchSentences

RATES = (0.01, 0.05, 0.1)


@dataclass(frozen=True)
class Sizes:
    """How much is measured: seeds of quality; rounds and messages of throughput; draws and reference messages of false
    alarms."""

    seeds: int = 5
    rounds: int = 5
    messages: int = 2_000
    draws: int = 60
    references: tuple[int, ...] = (99, 299, 999)


SMALLEST = Sizes(seeds=2, rounds=1, messages=20, draws=2, references=(99,))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print quality, throughput and false alarms."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST, {"--skip": {"nargs": "*", "default": [], "choices": PARTS}})
    prepare_torch()
    for name, part in PARTS.items():
        if name not in run.options.skip:
            report = run.report(f"text_{name}")
            part(run, report)
            report.save()


def quality(run: Run[Sizes], report: Report) -> None:
    """Compare with the rivals, as `dn2 bench text DATA --rivals` does."""
    sets, seeds = read_text_sets(run.need("text"), N_NEIGHBORS), run.sizes.seeds
    result = text(sets, N_NEIGHBORS, True, seeds=seeds, cache=Cache(), progress_of=silent)
    report.say(f"ROC AUC / average precision, %; mean over {seeds} seeds (standard error) where halves are drawn.")
    report.say(f"  {'method':<42}" + "".join(f"{name:>30}" for name in result.settings))
    for method in result.methods:
        report.say(f"  {method:<42}" + "".join(f"{figures(result, method, name):>30}" for name in result.settings))


def figures(result: Result, method: str, setting: str) -> str:
    """Write the two figures of a method on a set."""
    written = []
    for other in (None, "average precision"):
        mean = result.mean(method, setting, other)
        assert mean is not None
        error = "" if mean.error is None else f" ({100 * mean.error:.2f})"
        written.append(f"{100 * mean.value:.2f}{error}")
    return " / ".join(written)


def throughput(run: Run[Sizes], report: Report) -> None:
    """Embed the same messages with sentence-transformers' own encode, with dn2 without it, and again from the cache."""
    count, rounds = run.sizes.messages, run.sizes.rounds
    report.say(f"{count:,} messages, half of each set; texts/s, medians of {rounds} rounds side by side")
    texts = [one for each in read_text_sets(run.need("text"), N_NEIGHBORS) for one in each.texts[: count // 2]]
    found = find_model(MINILM)
    encode = TorchSentences(found.folder, found.digest).module.encode
    embedders = {f"dn2, {name}": TextEmbedder(precision=name, cache=False) for name in ("f32", "bf16")}
    for work in (encode, *(embedder.transform for embedder in embedders.values())):
        work(texts[:64])
    took: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            cached = TextEmbedder(cache=Cache(Path(folder, f"{number}.sqlite")))
            cached.__dict__["model"] = embedders["dn2, f32"].model
            works = {"sentence-transformers, encode": lambda: encode(texts)}
            works |= {name: partial(embedder.transform, texts) for name, embedder in embedders.items()}
            works |= {f"dn2, {how}": partial(cached.transform, texts) for how in ("filling a cache", "from the cache")}
            for name, work in works.items():
                took.setdefault(name, []).append(seconds(work))
    first = np.array(next(iter(took.values())))
    for name, times in took.items():
        ratio = np.median(first / np.array(times))
        report.say(f"  {name:<34}{len(texts) / np.median(times):>12,.0f}{ratio:>9.2f} x encode")


def false_alarms(run: Run[Sizes], report: Report) -> None:
    """Measure the false alarms of held-out normal messages, with copies among all messages and without."""
    draws = run.sizes.draws
    report.say(
        f"False alarms, % of held-out normal messages: mean over {draws} draws of the reference set (standard error)"
    )
    report.say(
        f"  {'set':<28}{'copies, %':>10}{'n':>6}" + "".join(f"{f'{100 * rate:g} % asked':>20}" for rate in RATES)
    )
    for one in read_text_sets(run.need("text"), N_NEIGHBORS):
        normal = np.flatnonzero(~one.anomalous)
        vectors = TextEmbedder(cache=Cache()).transform([one.texts[place] for place in normal])
        distinct = np.unique([one.texts[place] for place in normal], return_index=True)[1]
        for name, places in ((one.name, np.arange(len(normal))), (f"{one.name}, no copies", distinct)):
            copies = 1 - len(np.intersect1d(places, distinct)) / len(places)
            for n in run.sizes.references:
                measured = [alarms(vectors[places], n, seed) for seed in range(draws)]
                report.say(f"  {name:<28}{100 * copies:>10.1f}{n:>6}" + "".join(map(in_percent, np.array(measured).T)))


def alarms(vectors: Vectors, n: int, seed: int) -> list[float]:
    """Return the share of held-out messages flagged at each rate; NaN where n does not support it."""
    order = np.random.default_rng(seed).permutation(len(vectors))
    detector = KNNDetector(N_NEIGHBORS).fit(vectors[order[:n]])
    p_values = detector.p_value(vectors[order[n : n + 2_000]])
    return [float((p_values <= rate).mean()) if rate >= 1 / (n + 1) else np.nan for rate in RATES]


def in_percent(shares: np.ndarray) -> str:
    """Write a mean and its standard error."""
    mean, error = 100 * shares.mean(), 100 * shares.std(ddof=1) / np.sqrt(len(shares))
    return f"{f'{mean:.2f} ({error:.2f})':>20}"


def validation_set(path: Path) -> TextSet:
    """Read CLINC150's validation part, with what is out of scope in training and validation as its anomalies."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row["split"] in ("train", "val", "oos_val", "oos_train")]
    anomalous = np.array([row["intent"] == "oos" for row in rows])
    in_train = np.array([row["split"] == "train" for row in rows])
    return TextSet("clinc150 validation", [row["text"] for row in rows], anomalous, in_train, ~in_train)


@contextlib.contextmanager
def silent(_: str) -> Iterator[Callable[[int, int], None]]:
    """Show no progress."""
    yield lambda done, total: None


PARTS: dict[str, Callable[[Run[Any], Report], None]] = {
    "quality": quality,
    "throughput": throughput,
    "false_alarms": false_alarms,
}


if __name__ == "__main__":
    main()
