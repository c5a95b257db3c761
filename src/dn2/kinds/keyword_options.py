"""Python's keywords from the options of the kinds: signature and docstring of functions that take `**options`."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from dn2.kinds.options import Labels, Masks, Option, Several, options_in
from dn2.kinds.registry import KINDS, heading_of, kinds_that_compare_themselves, options_of

F = TypeVar("F", bound=Callable[..., Any])

MARK, MARK_OF_KINDS = "{options}", "{kinds}"  # in a docstring, where the entries of options and the names of kinds go
WIDTH = 92  # of a docstring's text
WRITTEN = {Several: "str or list of str", Labels: "str or list of n labels", Masks: "str or list of n masks"}


class Keyword(NamedTuple):
    """An option as Python has it.

    kinds : the option in each kind that has it; its type is the same in all of them."""

    name: str
    kinds: dict[str, Option]

    @property
    def option(self) -> Option:
        """The option of the first kind that has it."""
        return next(iter(self.kinds.values()))

    @property
    def default(self) -> Any:
        """Its default; None where kinds have different ones."""
        return self.option.default if len({option.default for option in self.kinds.values()}) == 1 else None

    @property
    def annotation(self) -> Any:
        """The type of its values, as a type checker knows it."""
        stored = self.option.type
        accepted = {Several: str | Sequence[str], Labels: str | Sequence[Any], Masks: str | Sequence[Any]}.get(
            stored, stored
        )
        return accepted if self.default is not None else accepted | None


def keywords_of(kinds: Sequence[str]) -> list[Keyword]:
    """Return the options of kinds by name, in order: first the options of all kinds."""
    options_by_name: dict[str, dict[str, Option]] = {}
    for kind in kinds:
        for name, option in options_in(options_of(kind)).items():
            options_by_name.setdefault(name, {})[kind] = option
    keywords = [Keyword(name, of_kinds) for name, of_kinds in options_by_name.items()]
    return sorted(keywords, key=lambda keyword: len(keyword.kinds) < len(kinds))


def with_keywords(kinds: Sequence[str]) -> Callable[[F], F]:
    """Decorate a function of `**options`: its signature lists each option of kinds, and its docstring has an entry for
    each in place of `{options}`."""

    def decorate(function: F) -> F:
        keywords = keywords_of(kinds)
        signature = inspect.signature(function)
        parameters = [
            parameter
            for parameter in signature.parameters.values()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        more = [
            inspect.Parameter(
                keyword.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=keyword.default,
                annotation=keyword.annotation,
            )
            for keyword in keywords
        ]
        function.__signature__ = signature.replace(parameters=[*parameters, *more])  # type: ignore[attr-defined]
        entries = "\n".join(_entry(keyword, kinds) for keyword in keywords)
        text = textwrap.dedent(f"    {function.__doc__}")
        kind_names = " or ".join(filter(None, [", ".join(map(repr, kinds[:-1])), *map(repr, kinds[-1:])]))
        function.__doc__ = text.replace(MARK, entries).replace(MARK_OF_KINDS, kind_names)
        return function

    return decorate


def _entry(keyword: Keyword, kinds: Sequence[str]) -> str:
    """Write the entry of an option in numpydoc's form."""
    option = keyword.option
    if option.choices is not None:
        type_ = f"{{{', '.join(map(repr, option.choices))}}}"
    else:
        type_ = WRITTEN.get(option.type) or _name_of(option.type)
    default = "optional" if keyword.default is None or keyword.default == () else f"default: {keyword.default!r}"
    words = "\n".join(f"    {line}" for line in textwrap.wrap(_help(keyword, kinds), WIDTH))
    return f"{keyword.name} : {type_}, {default}\n{words}"


def _name_of(type_: Any) -> str:
    return type_.__name__ if isinstance(type_, type) else str(type_).replace(" | ", " or ")


def _help(keyword: Keyword, kinds: Sequence[str]) -> str:
    helps: dict[str, list[str]] = {}
    for kind, option in keyword.kinds.items():
        helps.setdefault(option.words(lambda name: f"`{name}`"), []).append(kind)
    if len(helps) == 1 and len(keyword.kinds) == len(kinds):
        return next(iter(helps))
    return " ".join(f"{heading_of(of_kinds)}: {words}" for words, of_kinds in helps.items())


def source() -> str:
    """Write the module that tells type checkers the options: `dn2.kinds.keywords`."""
    parts = [
        _write_typed_dict("FitOptions", "What `dn2.fit` may be asked, of any kind.", keywords_of(KINDS)),
        _write_typed_dict(
            "SelfOptions", "What `dn2.score_self` may be asked.", keywords_of(kinds_that_compare_themselves())
        ),
    ]
    return HEAD + "".join(f"\n\n{part}" for part in parts)


def _write_typed_dict(name: str, about: str, keywords: Sequence[Keyword]) -> str:
    lines = [f"    {keyword.name}: {_write_type(keyword)}\n" for keyword in keywords]
    return f'class {name}(TypedDict, total=False):\n    """{about}"""\n\n{"".join(lines)}'


def _write_type(keyword: Keyword) -> str:
    """Write a type so that a type checker tells which texts are allowed; None stands for the default everywhere."""
    option = keyword.option
    choices = [option.choices for option in keyword.kinds.values()]
    if all(texts is not None for texts in choices):
        allowed = dict.fromkeys(choice for texts in choices for choice in texts or ())
        return f"Literal[{', '.join(f'{text!r}' for text in allowed)}] | None".replace("'", '"')
    if option.type == Several:
        return "str | Sequence[str]"
    if option.type in (Labels, Masks):
        return "str | Sequence[Any] | None"
    return f"{option.type.__name__ if isinstance(option.type, type) else option.type} | None"


HEAD = '''"""The options of all kinds for type checkers, made of their dataclasses by `make keywords`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypedDict
'''
