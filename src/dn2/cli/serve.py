"""`dn2 serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dn2.cli.common import RateOption, WarnRateOption, note, quote_words, say_next
from dn2.cli.lasting import AuditOption
from dn2.errors import InputError
from dn2.system.interface import option

LEAST_PORT, MOST_PORT = 0, 65_535


def serve(
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL",
            help="Folders of models, made by dn2 fit; requests call each by its folder's name.",
            show_default=False,
        ),
    ],
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen. Other machines need --token-file.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", help="The port; 0 takes a free one.")] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Who may use the service: on each line a name, a space and a token of at least 20 characters.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER", help="Where items that people are to judge, and what they say, are kept: service.sqlite."
        ),
    ] = Path("dn2-serve"),
    keep: Annotated[
        str,
        typer.Option(metavar="SIZE", help="Most that these items may take; beyond it the oldest unjudged are let go."),
    ] = "4GB",
    false_alarm_rate: RateOption = None,
    warn_rate: WarnRateOption = None,
    audit: AuditOption = None,
    max_body: Annotated[str, typer.Option(metavar="SIZE", help="Most that one request may have.")] = "64MB",
    queue: Annotated[
        int, typer.Option(metavar="N", help="Requests that may wait for a model; more are asked to come again (429).")
    ] = 128,
) -> None:
    """Serve models by HTTP: scores, maps and evidence, pages to judge on, metrics; /v1, and the protocol of KServe."""
    from dn2.extras import import_server
    from dn2.model.answering import Policy
    from dn2.neighbors.memory import parse_memory

    running = import_server()
    if not LEAST_PORT <= port <= MOST_PORT:
        raise InputError(f"{option('port')} must be a number up to {MOST_PORT:,}, got {port}")
    if queue < 1:
        raise InputError(f"{option('queue')} must be at least 1, got {queue}")
    limits = running.Limits(body=parse_memory(max_body), waiting=queue)
    settings = running.Settings(
        models, host, port, data, parse_memory(keep), token_file, Policy(false_alarm_rate, warn_rate, audit), limits
    )

    def ready(address: str) -> None:
        note(f"{', '.join(map(str, models))}: served at {address}; verdicts are kept in {data}")
        say_next(
            f"curl --data-binary @part.png {address}/v1/score, for a model of pictures; {address}/review in a browser; "
            "Ctrl-C ends it"
        )

    running.serve(settings, ready)
    note(f"ended; {quote_words('dn2', 'serve', *models)} goes on")
