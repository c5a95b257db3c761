"""What a service counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from dn2.results.decisions import decision_of
from dn2.results.rows import Row

SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """Counters and histograms of one service, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "dn2_requests", "Requests answered, by path and HTTP status.", ("path", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "dn2_request_seconds",
            "Time from a request's headers to the end of its answer.",
            ("path",),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._items = Counter(
            "dn2_items", "Items scored, by model and decision.", ("model", "decision"), registry=self._registry
        )

        self._lost = Counter(
            "dn2_items_not_kept", "Items that could not be kept for people, by model.", ("model",),
            registry=self._registry,
        )  # fmt: skip

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request; path : that of its route."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def scored(self, model: str, rows: Sequence[Row]) -> None:
        """Count scored items."""
        for row in rows:
            self._items.labels(model, decision_of(row)).inc()

    def lost(self, model: str, n_items: int) -> None:
        """Count items that could not be kept for people."""
        self._lost.labels(model).inc(n_items)

    def watch(self, served: Callable[[], Iterable[Any]], store: Any) -> None:
        """Collect what models in service and the store are like whenever it is asked for."""
        self._registry.register(_Present(served, store))

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return generate_latest(self._registry)


class _Present:
    """A collector of what is so at the moment."""

    def __init__(self, served: Callable[[], Iterable[Any]], store: Any) -> None:
        self._served, self._store = served, store

    def collect(self) -> Iterator[Metric]:
        """Give the metrics."""
        gauges = {
            "dn2_waiting": "Requests that wait for a model.",
            "dn2_to_judge": "Items that wait for a person's verdict.",
            "dn2_reference_items": "Reference items of a model.",
            "dn2_false_alarm_rate": "The rate at which a model decides.",
            "dn2_drift_wealth": "What bets that the stream has changed have won, from 1 on.",
            "dn2_drift_alarm": "1 once the stream has changed, until the model does.",
        }
        families = {name: GaugeMetricFamily(name, words, labels=["model"]) for name, words in gauges.items()}
        about = GaugeMetricFamily("dn2_model_info", "The version of a model in service.", labels=["model", "version"])
        reloads = CounterMetricFamily("dn2_reloads", "Changed models that were taken over.", labels=["model"])
        let_go = CounterMetricFamily("dn2_let_go", "Kept items that were let go, as --keep allows no more.")
        let_go.add_metric([], self._store.let_go)
        for one in self._served():
            monitor = one.monitor
            values = {
                "dn2_waiting": one.waiting,
                "dn2_to_judge": self._store.counts(one.name)[0],
                "dn2_reference_items": len(one.state.items),
                "dn2_false_alarm_rate": one.rate,
                "dn2_drift_wealth": None if monitor is None else monitor.wealth,
                "dn2_drift_alarm": None if monitor is None else float(monitor.alarm is not None),
            }
            for name, value in values.items():
                if value is not None:
                    families[name].add_metric([one.name], value)
            about.add_metric([one.name, one.version], 1)
            reloads.add_metric([one.name], one.reloads)
        yield from (*families.values(), about, reloads, let_go)

    def describe(self) -> Iterator[Metric]:
        """Give nothing, as all that is said is said by `collect`."""
        yield from ()
