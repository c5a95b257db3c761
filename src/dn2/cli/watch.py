"""`dn2 watch`."""

from __future__ import annotations

import json
import logging
import os
import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dn2.cli import stopping
from dn2.cli.common import (
    CacheOption,
    ExcludeOption,
    MaskOption,
    ModelArgument,
    NamedBackboneOption,
    RateOption,
    WarnRateOption,
    check_model_first,
    finish,
    load,
    note,
    quote_words,
    report_reference,
    say_next,
)
from dn2.cli.lasting import AuditOption, ending_in_order, status_line
from dn2.errors import InputError
from dn2.results.words import count_in_words
from dn2.system.interface import option
from dn2.system.naming import ending_of

if TYPE_CHECKING:
    from dn2.model.model import Model
    from dn2.monitor.files import FileScorer, ScoredFile
    from dn2.monitor.sinks import Sink
    from dn2.monitor.watch import Tally, Watch

logger = logging.getLogger("dn2")

JOURNAL = ".dn2-watch.sqlite"  # hidden, so that it is never taken for an item
LOG_ENDING = ".jsonl"
INTERRUPTED = 130
LONGEST_WAIT = 86_400.0  # seconds


def watch(
    model: ModelArgument,
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="The folder that files arrive in, searched recursively.", show_default=False
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Append each result to this .jsonl, exactly once.",
            show_default=False,
        ),
    ] = None,
    move_anomalies: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Move files with an anomaly into this folder.", show_default=False),
    ] = None,
    webhook: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Post each result to this URL as JSON, in order, until it is taken.", show_default=False
        ),
    ] = None,
    webhook_token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The token that the webhook asks for (Authorization: Bearer).", show_default=False
        ),
    ] = None,
    mqtt: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Publish each result to this broker, mqtt[s]://[USER@]HOST[:PORT]/TOPIC, and the state of drift.",
            show_default=False,
        ),
    ] = None,
    mqtt_password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The password of the broker's user.", show_default=False)
    ] = None,
    false_alarm_rate: RateOption = None,
    warn_rate: WarnRateOption = None,
    audit: AuditOption = None,
    mask: MaskOption = None,
    exclude: ExcludeOption = None,
    once: Annotated[
        bool, typer.Option("--once", help="Score what is there and not yet scored, deliver it, and end.")
    ] = False,
    every: Annotated[float, typer.Option(metavar="SECONDS", help="Time between two looks at the folder.")] = 1.0,
    settle: Annotated[
        float, typer.Option(metavar="SECONDS", help="Time without a change, after which a file is finished.")
    ] = 2.0,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"The journal of what is done and still to be delivered. Default: {JOURNAL} in FOLDER.",
            show_default=False,
        ),
    ] = None,
    backbone: NamedBackboneOption = None,
    cache: CacheOption = True,
) -> None:
    """Score each file that arrives in a folder, once, and pass on what is found."""
    from dn2.monitor.arriving import PATIENCE, Arrivals
    from dn2.monitor.files import Deciding, FileScorer
    from dn2.monitor.journal import Journal
    from dn2.monitor.watch import DRIFT, Watch

    check_model_first("watch", model, [folder])
    _check_folders(folder, move_anomalies)
    for name, seconds in (("every", every), ("settle", settle)):
        if not 0 < seconds <= LONGEST_WAIT:
            raise InputError(f"{option(name)} must be seconds, more than 0, got {seconds:g}")

    def open_model() -> Model:
        opened = load(model, cache=cache, backbone=backbone)
        stopping.keeps(True)  # whatever is done, the same command goes on
        return opened

    journal = Journal(folder / JOURNAL if state is None else state)
    try:
        kept = journal.about(DRIFT)
        scorer = FileScorer(
            model,
            open_model,
            Deciding(false_alarm_rate, warn_rate, audit, mask),
            None if kept is None else json.loads(kept),
        )
        journal.belong_to(model.resolve().name)
        suffixes = scorer.model.kind.suffixes
        _check_log(output, folder, suffixes)
        sinks = _sinks(
            scorer, folder, output, move_anomalies, (webhook, webhook_token_file), (mqtt, mqtt_password_file)
        )
        beside = [path for path in (move_anomalies, model) if path is not None]
        arrivals = Arrivals(folder, suffixes, exclude or (), beside, settle, PATIENCE)
        _say_start(scorer, model, folder, journal.n_done, once)
        watching = Watch(arrivals, scorer, journal, sinks, _say)
        with ending_in_order() as (stopped, by), status_line(partial(_status, watching)):
            watching.run(stopped, every=every, once=once)
    finally:
        journal.close()
    _say_end(watching.tally)
    _end(watching.tally, by, once)


def _check_folders(folder: Path, move_anomalies: Path | None) -> None:
    """Raise InputError unless a folder is there to be watched, and is another than the one of anomalies."""
    if not os.path.isdir(folder):
        raise InputError(f"{os.fspath(folder)!r} is no folder; make it before it is watched")
    if move_anomalies is None:
        return
    if os.path.exists(move_anomalies) and not os.path.isdir(move_anomalies):
        raise InputError(f"{move_anomalies} is no folder; give one with {option('move_anomalies')}")
    if os.path.join(os.path.realpath(folder), "").startswith(os.path.join(os.path.realpath(move_anomalies), "")):
        raise InputError(f"anomalies are moved out of {folder}: give another folder with {option('move_anomalies')}")


def _check_log(output: Path | None, folder: Path, suffixes: frozenset[str]) -> None:
    """Raise InputError for a log that cannot be one."""
    if output is None:
        return
    if ending_of(output) != LOG_ENDING or output.is_dir():
        raise InputError(f"a log is a file that ends in {LOG_ENDING}, got {os.fspath(output)!r}")
    inside = os.path.realpath(output).startswith(os.path.join(os.path.realpath(folder), ""))
    if inside and LOG_ENDING in suffixes:
        raise InputError(f"{output} lies in {folder}, and would be scored itself; write it elsewhere")


def _sinks(
    scorer: FileScorer,
    folder: Path,
    output: Path | None,
    move_anomalies: Path | None,
    webhook: tuple[str | None, Path | None],
    mqtt: tuple[str | None, Path | None],
) -> list[Sink]:
    from dn2.monitor.mqtt import Mqtt
    from dn2.monitor.sinks import Log, Mover
    from dn2.monitor.watch import drift_of
    from dn2.monitor.webhook import Webhook

    for name, (url, secret) in (("webhook", webhook), ("mqtt", mqtt)):
        if url is None and secret is not None:
            raise InputError(f"{secret} goes with {option(name)}, which is not given")
    sinks: list[Sink] = []
    if output is not None:
        sinks.append(Log(output))
    if move_anomalies is not None:
        sinks.append(Mover(move_anomalies, folder))
    if webhook[0] is not None:
        sinks.append(Webhook(webhook[0], webhook[1]))
    if mqtt[0] is not None:
        sinks.append(Mqtt(mqtt[0], mqtt[1], lambda: drift_of(scorer)))
    return sinks


def _say_start(scorer: FileScorer, model: Path, folder: Path, n_done: int, once: bool) -> None:
    report_reference(scorer.model, model)
    before = f"; {count_in_words(n_done, 'file', 'files')} done before" if n_done else ""
    note(f"watching {folder} with {model}{before}")
    if scorer.unwatched is not None:
        note(f"drift is not watched: {scorer.unwatched}")
    if not once:
        say_next(f"copy or save files into {quote_words(folder)}; Ctrl-C ends the watch, and the same command goes on")


def _say(scored: ScoredFile) -> None:
    """Print a line for each item that a person may want to look at."""
    from dn2.results.decisions import ACCEPT, decision_of
    from dn2.results.rows import in_line

    for row in scored.rows:
        decision = decision_of(row)
        if row.error is not None:
            note(f"error: {row.item}: {row.error}")
        elif decision != ACCEPT:
            near = f", nearest {in_line(row.neighbors)}" if row.neighbors else ""
            p_value = "" if row.p_value is None else f", p-value {row.p_value:.3g}"
            note(f"{decision}: {row.item}{p_value}{near}")


def _done(tally: Tally) -> str:
    from dn2.results.decisions import ERROR, REJECT, WARN

    words = f"{count_in_words(tally.files, 'file', 'files')} scored, {tally.of(REJECT):,} rejected"
    warned = f", {tally.of(WARN):,} to warn of" if tally.of(WARN) else ""
    lost = f", {tally.of(ERROR):,} not read" if tally.of(ERROR) else ""
    return words + warned + lost


def _status(watching: Watch) -> str:
    return f"{_done(watching.tally)}; {len(watching.arrivals.waiting):,} waiting"


def _say_end(tally: Tally) -> None:
    note(_done(tally))
    for sink, left in tally.undelivered.items():
        logger.warning("%s: %s to deliver; the same command goes on", sink, count_in_words(left, "result", "results"))


def _end(tally: Tally, by: list[int], once: bool) -> None:
    """Exit with the status of the contract: 130 if it was interrupted, 0 after SIGTERM."""
    from dn2.results.decisions import ERROR, REJECT, UNDECIDED, WARN

    if signal.SIGINT in by:
        raise typer.Exit(INTERRUPTED)
    if once and not by:
        unreadable = [None] * (tally.of(ERROR) + tally.of(UNDECIDED)) + list(tally.undelivered)
        finish(unreadable, warned=bool(tally.of(WARN)) and not tally.of(REJECT))
