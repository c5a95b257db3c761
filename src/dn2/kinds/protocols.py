"""How a kind of data declares what `dn2 bench` can measure of it: see the `bench` folders of the kinds.

Nothing here imports more than Python's own: `dn2 bench --help` answers at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from dn2.extras import import_above
from dn2.kinds import registry
from dn2.kinds.options import Option, Options, option, options_in

if TYPE_CHECKING:
    from dn2.bench.context import ProgressFactory
    from dn2.bench.result import Result


def same_as(kind: type[Options], name: str) -> Any:
    """Make a field of a protocol's options that is an option of `dn2.fit`, with its default, help and checks."""
    (item,) = (candidate for candidate in fields(kind) if candidate.name == name)
    return field(default=item.default, metadata=item.metadata)


@dataclass(frozen=True, kw_only=True)
class ProtocolOptions:
    """The options of a protocol; each field is made by `option` or `same_as`."""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Make the options from values by name.  Raises InputError for a value that an option cannot have."""
        allowed = options_of_protocol(cls)
        return cls(**{name: allowed[name].checked(value) for name, value in given.items()})


@dataclass(frozen=True, kw_only=True)
class NearestOptions(ProtocolOptions):
    """The option of protocols that score with one number of neighbours."""

    neighbors: int | None = same_as(Options, "neighbors")


@dataclass(frozen=True, kw_only=True)
class DrawnOptions(ProtocolOptions):
    """The option of protocols that draw at random."""

    seeds: int = option(5, "Number of random draws, where anything is random.", metavar="N", minimum=1)


@dataclass(frozen=True, kw_only=True)
class ComparedOptions(ProtocolOptions):
    """The option of protocols that can run other methods, too."""

    rivals: bool = option(False, "Run other methods on the same splits, too.")


@dataclass(frozen=True, kw_only=True)
class CachedOptions(ProtocolOptions):
    """The option of protocols that embed by a network."""

    cache: bool = option(True, "Keep embeddings by content, and use kept ones.")


@dataclass(frozen=True)
class Protocol:
    """A protocol, declared without importing what runs it.

    Parameters
    ----------
    name : str
        The name on the command line, such as `few-shot`.
    title : str
        What it measures: the title of its table.
    data : str
        What data it takes, in a sentence or two.
    options : type of ProtocolOptions
        The class of its options.
    runner : str
        `module:function` that runs it, given the path of the data, the options and a `ProgressFactory`; returns a
        `dn2.bench.result.Result`."""

    name: str
    title: str
    data: str
    options: type[ProtocolOptions]
    runner: str

    def run(self, data: Path, options: ProtocolOptions, progress_of: ProgressFactory) -> Result:
        """Run the protocol.

        Raises
        ------
        Dn2Error
            For data that the protocol cannot take, or a library that is not installed."""
        module, _, function = self.runner.partition(":")
        return getattr(import_above(module), function)(data, options, progress_of)  # type: ignore[no-any-return]


def options_of_protocol(options: type[ProtocolOptions]) -> dict[str, Option]:
    """Return the options of a protocol by name."""
    return options_in(options)  # type: ignore[arg-type]


class DeclaredProtocol(NamedTuple):
    """A protocol, and the kind of data that it belongs to."""

    kind: str
    protocol: Protocol


@cache
def protocols() -> dict[str, DeclaredProtocol]:
    """Return the protocols of all kinds by name."""
    declared: dict[str, DeclaredProtocol] = {}
    for kind in registry.KINDS:
        room = registry.room_of(kind, "bench")
        for protocol in () if room is None else room.PROTOCOLS:
            if protocol.name in declared:
                raise TypeError(
                    f"two protocols are called {protocol.name}, of {declared[protocol.name].kind} and {kind}"
                )
            declared[protocol.name] = DeclaredProtocol(kind, protocol)
    return declared
