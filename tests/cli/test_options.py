"""Flags are the options of the kinds: nothing is written down twice, and help says whose each is."""

from __future__ import annotations

import re

import pytest
import typer.main

from dn2.cli.app import app
from dn2.cli.help import EXAMPLES
from dn2.cli.options import ALL, Flag, flags_of, help_of
from dn2.kinds.options import Several, options_in
from dn2.kinds.registry import KINDS, kinds_that_compare_themselves, kinds_that_embed, options_of

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def parameters(command: str) -> dict:
    return {one.name: one for one in COMMANDS[command].params}


def section(help: str, heading: str) -> str:
    """Return what stands under a heading of a help text, in one line."""
    return " ".join(help.partition(f"\n{heading}:\n")[2].partition("\n\n")[0].split())


@pytest.mark.parametrize("kind", KINDS)
def test_every_option_of_a_kind_is_a_flag_of_fit(kind: str) -> None:
    flags = parameters("fit")
    for name, option in options_in(options_of(kind)).items():
        flag = flags[name]
        assert flag.opts == [f"--{name.replace('_', '-')}"]
        assert flag.multiple == (option.type == Several)
        assert flag.default is None  # so that what is given is told from what is not
        for sentence in re.split(r"(?<=\.) ", option.words(lambda name: f"--{name.replace('_', '-')}")):
            assert sentence in flag.help


def test_what_all_kinds_have_stands_under_all_and_what_some_have_under_their_names() -> None:
    headings = {flag.option.name: flag.heading for flag in flags_of(KINDS)}
    assert headings["false_alarm_rate"] == headings["memory"] == ALL
    assert headings["groups"] == "Pictures"
    assert headings["drop_columns"] == "Tables"
    assert headings["backbone"] == "Pictures and messages"
    assert headings["id_column"] == "Messages, tables and series"
    sizes = [len(flag.kinds) for flag in flags_of(KINDS)]
    assert sizes == sorted(sizes, reverse=True)


def test_helps_that_differ_are_told_apart_and_the_same_are_not_repeated() -> None:
    flags: dict[str, Flag] = {flag.option.name: flag for flag in flags_of(KINDS)}
    words = flags["id_column"].option.help
    assert re.match(r"Messages: .*\. Tables: .*\. Series: .*\.", words)
    assert flags["contaminated"].option.help.count("Anomalies are among the items") == 1
    assert flags["normalize"].option.choices == ("none", "unit", "root-unit")


def test_help_says_defaults_and_names_other_options_as_flags() -> None:
    options = options_in(options_of("image"))
    assert help_of(options["recall"]).endswith("Default: 0.999.")
    assert help_of(options["drop"]).startswith("With --contaminated, ")
    assert help_of(options_in(options_of("table"))["drop_columns"]).endswith("Repeat it for several.")


def test_embed_and_score_have_the_options_that_they_have_a_use_for() -> None:
    embedding = {
        name for kind in kinds_that_embed() for name, option in options_in(options_of(kind)).items() if option.embeds
    }
    assert embedding == {"backbone", "precision", "white", "column", "id_column"}
    assert set(parameters("embed")) - {"help"} == embedding | {"inputs", "output", "kind", "exclude", "on", "cache"}
    (alone,) = kinds_that_compare_themselves()
    assert set(options_in(options_of(alone))) <= set(parameters("score"))


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_fits_its_width_and_ends_with_three_examples(
    dn2_command, monkeypatch: pytest.MonkeyPatch, command: str, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for flag in ("-h", "--help"):
        done = dn2_command(command, flag)
        assert (done.status, done.err) == (0, "")
        lines = done.out.splitlines()
        assert lines[-4:] == ["Examples:", *(f"  {line}" for line in EXAMPLES[command])]
        assert max(map(len, lines)) <= width
        assert lines[0].startswith(f"Usage: dn2 {command} ")
        assert "list[str]" not in done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_of_a_command_are_commands_that_are_understood(command: str) -> None:
    import shlex

    for line in EXAMPLES[command]:
        for part in re.split(r" (?:&&|\|) ", line):
            program, name, *arguments = shlex.split(part)
            if program == "dn2":
                COMMANDS[name].make_context(name, arguments)


def test_the_help_of_dn2_shows_completion_and_examples(dn2_command) -> None:
    out = dn2_command("-h").out
    assert "--install-completion" in out
    assert out.splitlines()[-3:] == [
        "  dn2 fit good_parts/ -o parts.dn2",
        "  dn2 score parts.dn2 incoming/ --report report.html",
        "  dn2 --install-completion",
    ]


def test_usage_names_what_a_command_needs_in_order(dn2_command) -> None:
    assert dn2_command("fit", "-h").out.splitlines()[0] == "Usage: dn2 fit INPUT... -o MODEL [OPTIONS]"
    usage = "Usage: dn2 report RESULTS --model MODEL -o FILE [OPTIONS]"
    assert dn2_command("report", "-h").out.splitlines()[0] == usage
    assert dn2_command("evaluate", "-h").out.splitlines()[0] == "Usage: dn2 evaluate MODEL [DATA] [OPTIONS]"
