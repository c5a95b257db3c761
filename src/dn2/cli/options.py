"""Flags, made from the options of the kinds."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

import typer

from dn2.kinds import registry
from dn2.kinds.options import Labels, Masks, Option, Several, options_in

ALL = "All"


class Flag(NamedTuple):
    """An option of the command line.

    option : merged from the kinds that have it; its help says where they differ.
    kinds : that have it; heading : of the section of help that lists it."""

    option: Option
    kinds: tuple[str, ...]
    heading: str


def flags_of(kinds: Sequence[str], is_wanted: Callable[[Option], bool] = lambda _: True) -> list[Flag]:
    """Return the options of kinds as flags: first of all kinds, then of several, then of single ones.

    is_wanted : selects options."""
    owners: dict[str, dict[str, Option]] = {}
    for kind in kinds:
        for name, option in options_in(registry.options_of(kind)).items():
            if is_wanted(option):
                owners.setdefault(name, {})[kind] = option
    able = {kind for of_kinds in owners.values() for kind in of_kinds}
    flags = [
        Flag(
            _merge_options(of_kinds),
            tuple(of_kinds),
            ALL if len(of_kinds) == len(able) else registry.heading_of(of_kinds),
        )
        for of_kinds in owners.values()
    ]
    return sorted(flags, key=lambda flag: (-len(flag.kinds), [kinds.index(kind) for kind in flag.kinds]))


def _merge_options(of_kinds: dict[str, Option]) -> Option:
    """Merge the options of one name of several kinds into one option."""
    options = list(of_kinds.values())
    first = options[0]
    if any(option.type != first.type for option in options):
        raise TypeError(f"the option {first.name} has several types: {sorted(of_kinds)}")
    helps: dict[str, list[str]] = {}
    for kind, option in of_kinds.items():
        helps.setdefault(help_of(option), []).append(kind)
    sentences = [f"{registry.heading_of(kinds)}: {words}" for words, kinds in helps.items()]
    choices = None
    if all(option.choices is not None for option in options):
        choices = tuple(dict.fromkeys(choice for option in options for choice in option.choices or ()))
    minima = [option.minimum for option in options if option.minimum is not None]
    return first._replace(
        help=" ".join(sentences) if len(helps) > 1 else next(iter(helps)),
        choices=choices,
        minimum=min(minima) if len(minima) == len(options) else None,
        tells=any(option.tells for option in options),
    )


def help_of(option: Option) -> str:
    """Return the help of an option with its default."""
    words = option.words(flag_of)
    if option.type == Several:
        words += " Repeat it for several."
    if option.default is None or option.default is False or option.default == ():
        return words
    return f"{words} [default: {option.default:g}]" if option.type is float else f"{words} [default: {option.default}]"


def heading_of(kinds: Sequence[str], n_kinds: int) -> str:
    """Name kinds as a heading of help; n_kinds : the number of all kinds."""
    return ALL if len(kinds) == n_kinds else registry.heading_of(kinds)


def flag_of(name: str) -> str:
    """Write the flag of an option: `--drop-columns`."""
    return f"--{name.replace('_', '-')}"


def with_options(function: Callable[..., Any], flags: Sequence[Flag], kinds: Sequence[str] = ()) -> Callable[..., Any]:
    """Return a command with flags in place of `**options`; the function gets the given ones.

    kinds : the choices of its flag --kind; empty for a command without it."""
    hints = typing.get_type_hints(function, include_extras=True)
    parameters_before = [
        parameter.replace(annotation=hints[parameter.name])
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    flag_parameters = [_kind_flag(kinds)] if kinds else []
    flag_parameters += [_parameter(flag) for flag in flags]
    names = [parameter.name for parameter in flag_parameters]

    def run(**values: Any) -> Any:
        given = {name: _to_plain_value(values.pop(name)) for name in names}
        return function(**values, **{name: value for name, value in given.items() if value is not None})

    run.__name__, run.__doc__, run.__module__ = function.__name__, function.__doc__, function.__module__
    after = next(
        (place for place, parameter in enumerate(parameters_before, 1) if parameter.name == "output"),
        len(parameters_before),
    )
    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in (*parameters_before[:after], *flag_parameters, *parameters_before[after:])
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _kind_flag(kinds: Sequence[str]) -> inspect.Parameter:
    option = Option(
        "kind", str, None, "What the items are. Default: guessed from the inputs.", choices=tuple(sorted(kinds))
    )
    return _parameter(Flag(option, tuple(kinds), ALL))


def _parameter(flag: Flag) -> inspect.Parameter:
    option = flag.option
    either = option.type is bool and option.default is None
    declared = f"{flag_of(option.name)}/{flag_of(f'no_{option.name}')}" if either else flag_of(option.name)
    about = typer.Option(
        declared,
        help=option.help,
        metavar=option.metavar,
        min=option.minimum,
        show_default=False,
        rich_help_panel=flag.heading,
    )
    annotation = Annotated[_type_of(option) | None, about]  # type: ignore[valid-type]
    return inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _type_of(option: Option) -> Any:
    if option.choices is not None:
        return StrEnum(option.name, {choice: choice for choice in option.choices})
    if option.type == Several:
        return list[str]
    return str if option.type in (str | int, Labels, Masks) else option.type


def _to_plain_value(value: Any) -> Any:
    """Return the value of a flag for Python; None for a flag that was not given."""
    if isinstance(value, StrEnum):
        return value.value
    return tuple(value) or None if isinstance(value, list) else value
