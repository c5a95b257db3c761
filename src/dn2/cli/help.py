"""Help as plain text: options under headings, commands by purpose, examples at the end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from typer.core import TyperCommand, TyperGroup

from dn2.cli.options import ALL

EXAMPLES = {
    "fit": (
        "dn2 fit good_parts/ -o parts.dn2",
        "dn2 fit invoices.csv --id-column invoice -o invoices.dn2",
        "dn2 fit pump.csv --time time --window 60 -o pump.dn2",
    ),
    "score": (
        "dn2 score parts.dn2 incoming/",
        "dn2 score parts.dn2 incoming/ -o results.csv --report report.html",
        "dn2 score --self pump.csv --time time",
    ),
    "watch": (
        "dn2 watch parts.dn2 incoming/ -o results.jsonl",
        "dn2 watch parts.dn2 incoming/ --webhook https://plant.example/anomalies",
        "dn2 watch parts.dn2 incoming/ --mqtt mqtt://broker.example/line1",
    ),
    "evaluate": (
        "dn2 evaluate parts.dn2 --normal good/ --anomalous defects/",
        "dn2 evaluate tiles.dn2 tiles/ --masks tiles/masks/",
        "dn2 evaluate parts.dn2 --normal good/ --anomalous defects/ --plot curve.png",
    ),
    "add": (
        "dn2 add parts.dn2 more_good_parts/",
        "dn2 add parts.dn2 part_17.png part_18.png",
        "find new/ -name '*.png' | dn2 add parts.dn2 -",
    ),
    "remove": (
        "dn2 remove parts.dn2 part_17.png",
        "dn2 remove parts.dn2 part_17.png --forget",
        "dn2 remove invoices.dn2 invoices.csv:12",
    ),
    "readmit": (
        "dn2 inspect unsorted.dn2 --aside",
        "dn2 readmit unsorted.dn2 part_03.png",
        "dn2 readmit unsorted.dn2 part_03.png part_08.png",
    ),
    "feedback": (
        "dn2 feedback parts.dn2 verdicts.csv",
        "dn2 feedback parts.dn2 verdicts.csv incoming/",
        "dn2 feedback parts.dn2 verdicts.csv --json",
    ),
    "recalibrate": (
        "dn2 recalibrate parts.dn2 new_light/",
        "dn2 recalibrate parts.dn2 monday/ tuesday/",
        "dn2 recalibrate parts.dn2 new_light/ && dn2 score parts.dn2 incoming/",
    ),
    "history": (
        "dn2 history parts.dn2",
        "dn2 history parts.dn2 --json",
        "dn2 history parts.dn2 && dn2 undo parts.dn2",
    ),
    "undo": (
        "dn2 undo parts.dn2",
        "dn2 undo parts.dn2 && dn2 history parts.dn2",
        "dn2 undo parts.dn2 && dn2 score parts.dn2 incoming/",
    ),
    "inspect": (
        "dn2 inspect parts.dn2",
        "dn2 inspect unsorted.dn2 --aside --report aside.html",
        "dn2 inspect parts.dn2 --plot scores.png",
    ),
    "verify": (
        "dn2 verify parts.dn2",
        "dn2 verify parts.dn2 && dn2 score parts.dn2 incoming/",
        "dn2 verify parts.dn2 --backbone timm/resnet18.a1_in1k",
    ),
    "embed": (
        "dn2 embed incoming/ -o vectors.npz",
        "dn2 embed incoming/ --backbone lite2 -o vectors.parquet",
        "dn2 embed tickets.csv --column text -o vectors.npz",
    ),
    "export": (
        "dn2 export parts.dn2 -o decision/",
        "dn2 export parts.dn2 -o decision/ --format openvino --force",
        "dn2 export --backbone timm/resnet18.a1_in1k -o resnet18.onnx",
    ),
    "bench": (
        "dn2 bench one-class classes/",
        "dn2 bench tabular tables/ --rivals",
        "dn2 bench text labelled/ --report bench.html",
    ),
    "report": (
        "dn2 report results.csv --model parts.dn2 --root incoming/ -o report.html",
        "dn2 report results.csv --model parts.dn2 --false-alarm-rate 0.05 -o page.html",
        "dn2 report results.parquet --model invoices.dn2 -o report.html",
    ),
    "serve": (
        "dn2 serve parts.dn2",
        "dn2 serve parts.dn2 invoices.dn2 --warn-rate 0.05 --audit 100",
        "dn2 serve parts.dn2 --host 0.0.0.0 --token-file tokens.txt",
    ),
    "demo": (
        "dn2 demo",
        "dn2 demo -o try/",
        "dn2 inspect dn2-demo/digits.dn2",
    ),
}
START = (
    "dn2 fit good_parts/ -o parts.dn2",
    "dn2 score parts.dn2 incoming/ --report report.html",
    "dn2 --install-completion",
)

# Commands by purpose, in the order in which people need them.
PURPOSES = {
    "Make a model": ("fit",),
    "Use it": ("score", "watch", "evaluate"),
    "Change it": ("feedback", "add", "remove", "readmit", "recalibrate", "history", "undo"),
    "Look at it": ("inspect", "verify", "report"),
    "Put it to work": ("serve",),
    "Take it elsewhere": ("export",),
    "Research": ("embed", "bench"),
    "Try it": ("demo",),
}


BOUND = re.compile(r"\[x>=(\d+)\]")  # typer's form of a minimum


class Command(TyperCommand):
    """A command whose help lists options under headings and ends with examples."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give an option whose value may be left out, `[RULE]`, an empty one where none follows."""
        optional = {
            name for parameter in self.params if (parameter.metavar or "").startswith("[") for name in parameter.opts
        }
        for place, (word, following) in enumerate(pairwise([*args, "-"])):
            if word in optional and following.startswith("-"):
                args = [*args[:place], f"{word}=", *args[place + 1 :]]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the required parts of a command line, in order: `INPUT... -o MODEL [OPTIONS]`."""
        parameters = self.get_params(ctx)
        arguments = [_argument(parameter) for parameter in parameters if parameter.param_type_name == "argument"]
        needed = [parameter for parameter in parameters if parameter.param_type_name == "option" and parameter.required]
        return [
            *arguments,
            *(f"{min(parameter.opts, key=len)} {parameter.metavar}" for parameter in needed),
            "[OPTIONS]",
        ]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then the options of the command with those of all kinds, then of single kinds."""
        _write_options(self.get_params(ctx), ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write examples."""
        _write_examples(EXAMPLES.get(self.name or "", ()), formatter)


class Group(TyperGroup):
    """The commands by purpose."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, then the options."""
        listed = {name for names in PURPOSES.values() for name in names}
        further = tuple(name for name in self.list_commands(ctx) if name not in listed)
        for purpose, names in {**PURPOSES, "More": further}.items():
            commands = [(name, command) for name in names if (command := self.get_command(ctx, name)) is not None]
            if commands:
                with formatter.section(purpose):
                    formatter.write_dl([(name, _first_sentence(command.help or "")) for name, command in commands])
        _write_options(self.get_params(ctx), ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write examples."""
        _write_examples(START, formatter)


def example_of(command: str) -> str:
    """Return the first example of a command; empty for a command without examples."""
    return EXAMPLES.get(command, ("",))[0]


def _first_sentence(help: str) -> str:
    return help.strip().split("\n\n")[0].replace("\n", " ")


def _write_options(parameters: Iterable[Any], ctx: Any, formatter: Any) -> None:
    sections: dict[str, list[tuple[str, str]]] = {}
    for parameter in sorted(parameters, key=lambda one: one.param_type_name != "argument"):
        if parameter.param_type_name == "argument":
            sections.setdefault("Arguments", []).append((_argument(parameter), parameter.help or ""))
        elif record := parameter.get_help_record(ctx):
            flags, words = record
            heading = getattr(parameter, "rich_help_panel", None) or ALL
            sections.setdefault(heading, []).append((flags, BOUND.sub(r"[at least \1]", words)))
    for heading, records in _name_sections(sections).items():
        with formatter.section(heading):
            formatter.write_dl(records)


def _argument(parameter: Any) -> str:
    words = f"{parameter.metavar or parameter.name.upper()}{'...' * (parameter.nargs == -1)}"
    return words if parameter.required else f"[{words}]"


def _name_sections(sections: Mapping[str, list[tuple[str, str]]]) -> dict[str, list[tuple[str, str]]]:
    """Rename the heading `All` to `Options` unless there are headings of kinds beside it."""
    alone = not set(sections) - {ALL, "Arguments"}
    return {"Options" if alone and heading == ALL else heading: records for heading, records in sections.items()}


def _write_examples(examples: Iterable[str], formatter: Any) -> None:
    lines = "".join(f"  {line}\n" for line in examples)
    if lines:
        formatter.write(f"\nExamples:\n{lines}")
