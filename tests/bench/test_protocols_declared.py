"""Kinds declare their protocols, and `dn2 bench` is made of what they declare."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from dn2.cli.bench import choose_options, choose_protocol, protocol_flags
from dn2.errors import InputError
from dn2.extras import import_above
from dn2.kinds.image.options import ImageOptions
from dn2.kinds.options import Options, options_in
from dn2.kinds.protocols import options_of_protocol, protocols

TOY = {
    "__init__.py": '"""Toys."""\n',
    "options.py": '''"""What may be asked of toys."""

from dataclasses import dataclass
from typing import ClassVar

from dn2.kinds.options import Options


@dataclass(frozen=True, kw_only=True)
class ToyOptions(Options):
    """The options of toys."""

    heading: ClassVar[str] = "Toys"
''',
    "kind.py": '''"""Toys in files."""


class ToyKind:
    """A kind that nothing but the bench is asked of."""

    suffixes = frozenset({".toy"})
''',
    "bench/__init__.py": '''"""The protocol on toys."""

from dataclasses import dataclass

from dn2.kinds.options import option
from dn2.kinds.protocols import Protocol, ProtocolOptions


@dataclass(frozen=True, kw_only=True)
class PlayOptions(ProtocolOptions):
    """What may be asked of it."""

    wheels: int = option(4, "Wheels of a toy.", metavar="N", minimum=1)


PROTOCOLS = (Protocol("play", "Toys at play", "A box of toys.", PlayOptions, f"{__name__}.play:run"),)
''',
    "bench/play.py": '''"""Play."""

from dn2.bench.result import Measurement, Result


def run(data, options, progress_of):
    """Measure."""
    result = Result("Toys at play", "toy")
    result.measurements.append(Measurement("dn2", data.name, "", None, options.wheels, 0.75))
    return result
''',
}


@pytest.fixture
def toys(tmp_path: Path) -> Path:
    for name, text in TOY.items():
        path = tmp_path / "kinds" / "toy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def bench(toys: Path, *arguments: str) -> str:
    """Run `dn2 bench` where the folder of a kind, and a line of the registry, were added."""
    code = (
        f"import sys, dn2.kinds\nfrom dn2.kinds import registry\ndn2.kinds.__path__.append({str(toys / 'kinds')!r})\n"
        "registry.KINDS += ('toy',)\nfrom dn2.cli import main\nsys.argv = ['dn2', 'bench', *sys.argv[1:]]\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=toys,
        env=os.environ | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_a_new_kind_with_a_bench_appears_on_the_command_line(toys: Path) -> None:
    help = bench(toys, "--help")
    assert "Toys: play" in " ".join(help.split())
    assert "A box of toys." in " ".join(help.split())
    assert "--wheels N" in help
    assert "| box | 75.00 |" in bench(toys, "play", "box", "--wheels", "3")
    assert (toys / "dn2-bench" / "play.csv").read_text().splitlines()[1] == "dn2,box,,,3,0.750000,measured"


def test_what_declares_protocols_imports_nothing_heavy() -> None:
    code = "import sys, dn2.kinds.protocols as p; p.protocols(); print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", protocols())
def test_what_runs_a_protocol_is_there(name: str) -> None:
    module, _, function = protocols()[name].protocol.runner.partition(":")
    assert callable(getattr(import_above(module), function))


@pytest.mark.parametrize("name", protocols())
def test_the_options_of_a_protocol_have_a_value_that_they_can_have(name: str) -> None:
    protocol = protocols()[name].protocol
    for option in options_of_protocol(protocol.options).values():
        assert option.help.endswith(".")
        assert option.default is None or option.checked(option.default) == option.default
    assert choose_options(protocol, {}) == protocol.options()


def test_an_option_of_fit_is_the_same_in_the_bench() -> None:
    for one in protocols().values():
        for name, own in options_of_protocol(one.protocol.options).items():
            same = options_in(ImageOptions if one.kind == "image" else Options).get(name)
            if same is not None and own.type == same.type:
                assert own == same
    assert len(fields(protocols()["one-class"].protocol.options)) == 10


def test_flags_stand_under_the_kinds_whose_protocols_have_them() -> None:
    flags = {flag.option.name: flag for flag in protocol_flags(protocols())}
    headings = {name: flag.heading for name, flag in flags.items()}
    assert headings["neighbors"] == headings["rivals"] == "All"
    assert headings["classes"] == headings["backbone"] == "Pictures"
    assert headings["reference"] == "Series"
    assert headings["cache"] == "Pictures and messages"
    assert flags["neighbors"].option.help.endswith("Not for neighbors, patches.")
    assert flags["classes"].option.help == "Use only this class. Repeat it for several. Not for patches."


@pytest.mark.parametrize(
    ("protocol", "given", "words"),
    [
        ("series", {"seeds": 3}, "seeds does not belong to series, but to one-class, .*, text, tabular: leave it out"),
        ("text", {"reference": 3}, "reference does not belong to text, but to series: leave it out"),
        ("groups", {"rivals": True}, "rivals does not belong to groups, but to one-class, multimodal, few-shot, text"),
        ("one-class", {"backbone": ("a", "b")}, "one-class takes one (--)?backbone, got 2; use the protocol backbones"),
        ("one-class", {"preset": "slow"}, "preset must be one of fast, default, accurate, got 'slow'"),
        ("tabular", {"seeds": 0}, "seeds must be an integer of at least 1, got 0"),
    ],
)
def test_an_option_that_cannot_be_is_one_error(protocol: str, given: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        choose_options(choose_protocol(protocol), given)


def test_several_backbones_go_with_the_protocol_that_compares_them() -> None:
    options = choose_options(choose_protocol("backbones"), {"backbone": ("a", "b", "a")})
    assert options.backbone == ("a", "b")  # type: ignore[attr-defined]
