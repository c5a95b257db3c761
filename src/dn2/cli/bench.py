"""`dn2 bench`, made of the protocols that the kinds declare."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any

import typer

from dn2.cli.common import OnOption, check_outputs, finish, note, warn_unreadable
from dn2.cli.options import Flag, heading_of, help_of, with_options
from dn2.errors import InputError
from dn2.kinds.options import Option, Several
from dn2.kinds.protocols import DeclaredProtocol, Protocol, ProtocolOptions, options_of_protocol, protocols
from dn2.system.interface import option
from dn2.system.printing import printable

FIGURES = ("png", "svg")


def protocol_flags(declared: Mapping[str, DeclaredProtocol]) -> list[Flag]:
    """Return the options of all protocols as flags, under the headings of the kinds whose protocols have them."""
    names = dict.fromkeys(name for entry in declared.values() for name in options_of_protocol(entry.protocol.options))
    return sorted((_flag(name, declared) for name in names), key=lambda flag: -len(flag.kinds))


def _flag(name: str, declared: Mapping[str, DeclaredProtocol]) -> Flag:
    owners = _owners(name, declared)
    kinds = tuple(dict.fromkeys(declared[owner].kind for owner in owners))
    able_protocols = [entry.protocol.name for entry in declared.values() if entry.kind in kinds]
    options = [options_of_protocol(declared[owner].protocol.options)[name] for owner in owners]
    first = next((option for option in options if option.type == Several), options[0])
    words = help_of(first._replace(default=None) if first.type is bool else first)
    if len(owners) < len(able_protocols):
        words += f" {_among(owners, able_protocols)}"
    default = None if first.default is True else first.default  # so that there is a flag to say no
    n_kinds = len({entry.kind for entry in declared.values()})
    return Flag(first._replace(help=words, default=default), kinds, heading_of(kinds, n_kinds))


def _owners(name: str, declared: Mapping[str, DeclaredProtocol]) -> list[str]:
    """Return the names of the protocols that have an option."""
    return [owner for owner, entry in declared.items() if name in options_of_protocol(entry.protocol.options)]


def _among(owners: list[str], able: Iterable[str]) -> str:
    """Say which protocols have an option or, if that is shorter, which ones lack it."""
    missing = [name for name in able if name not in owners]
    return f"Not for {', '.join(missing)}." if len(missing) < len(owners) else f"For {', '.join(owners)}."


def _by_kind(words_of: Callable[[Protocol], str], between: str) -> str:
    """Write words about the protocols of each kind; equal words of several protocols are written once."""
    words: dict[str, dict[str, None]] = {}
    for entry in protocols().values():
        words.setdefault(entry.kind, {})[words_of(entry.protocol)] = None
    sentences = (
        f"{heading_of([kind], 0)}: {between.join(words_of_kind)}".rstrip(".") for kind, words_of_kind in words.items()
    )
    return f"{'. '.join(sentences)}."


def _names() -> list[str]:
    return list(protocols())


def bench(
    protocol: Annotated[
        str,
        typer.Argument(
            metavar="PROTOCOL",
            help=f"What to run. {_by_kind(attrgetter('name'), ', ')}",
            show_default=False,
            autocompletion=_names,
        ),
    ],
    data: Annotated[Path, typer.Argument(metavar="DATA", help=_by_kind(attrgetter("data"), " "), show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where to write.")] = Path(
        "dn2-bench"
    ),
    figure: Annotated[str, typer.Option(metavar="|".join(FIGURES), help="Format of the figure.")] = FIGURES[0],
    report: Annotated[
        Path | None, typer.Option(help="Write the table and the figure as a page, too, this .html.", show_default=False)
    ] = None,
    on: OnOption = None,
    **given: Any,
) -> None:
    """Run a protocol of the paper's on data whose truth is known: CSV, a Markdown table, a figure."""
    from dn2.bench.output import check_output, write
    from dn2.bench.table import to_markdown
    from dn2.cli.progress import progress
    from dn2.report.bench_page import write_bench_page
    from dn2.report.page import check_page
    from dn2.system.workers import working

    chosen = choose_protocol(protocol)
    options = choose_options(chosen, given)
    if figure not in FIGURES:
        raise InputError(f"{option('figure')} must be one of {', '.join(FIGURES)}, got {figure!r}")
    check_outputs([*(output / f"{protocol}.{ending}" for ending in ("csv", "md", figure)), report], [str(data)])
    if report is not None:
        check_page(report)
    check_output(output)
    with working(on):
        result = chosen.run(data, options, progress)
    files = write(result, output, chosen.name, figure)
    if report is not None:
        write_bench_page(result, report)
        files.append(report)
    print("\n".join(map(printable, to_markdown(result).split("\n"))))
    note(f"written: {', '.join(map(str, files))}")
    warn_unreadable(result.unreadable)
    finish(result.unreadable)


def choose_protocol(name: str) -> Protocol:
    """Return a protocol by name.  Raises InputError for an unknown one."""
    declared = protocols()
    if name not in declared:
        raise InputError(f"PROTOCOL must be one of {', '.join(declared)}, got {name!r}")
    return declared[name].protocol


def choose_options(protocol: Protocol, given: Mapping[str, Any]) -> ProtocolOptions:
    """Make the options of a protocol from values by name.

    Raises InputError for an option of other protocols, or a value that the option cannot have."""
    allowed = options_of_protocol(protocol.options)
    for name in given:
        if name not in allowed:
            owners = ", ".join(_owners(name, protocols()))
            raise InputError(f"{option(name)} does not belong to {protocol.name}, but to {owners}: leave it out")
    return protocol.options.of({name: _value(protocol, allowed[name], value) for name, value in given.items()})


def _value(protocol: Protocol, option_of_protocol: Option, value: Any) -> Any:
    """Return the value of a flag that repeats for some protocols.  Raises InputError for several values where the
    protocol takes one."""
    if not isinstance(value, tuple) or option_of_protocol.type == Several:
        return value
    if len(value) > 1:
        declared = {owner: options_of_protocol(entry.protocol.options) for owner, entry in protocols().items()}
        owners = [owner for owner, options in declared.items() if option_of_protocol.name in options]
        several = ", ".join(owner for owner in owners if declared[owner][option_of_protocol.name].type == Several)
        raise InputError(
            f"{protocol.name} takes one {option(option_of_protocol.name)}, got {len(value)}; "
            f"use the protocol {several} for several"
        )
    return value[0]


bench = with_options(bench, protocol_flags(protocols()))
