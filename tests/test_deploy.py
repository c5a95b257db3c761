"""What lies in deploy/: it starts commands that there are, with options that they have, and without rights."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path, PurePosixPath

import pytest
import typer

from dn2.cli.app import app

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
PORT = "8000"

# Each of these keeps a service from something that dn2 does not do.
HARDENED = {
    "AmbientCapabilities": "",
    "CapabilityBoundingSet": "",
    "LockPersonality": "yes",
    "NoNewPrivileges": "yes",
    "PrivateDevices": "yes",
    "PrivateTmp": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHome": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectSystem": "strict",
    "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes",
}


def service(unit: Path) -> configparser.SectionProxy:
    """Read the section of a unit that says what is run."""
    parser = configparser.RawConfigParser(strict=False)  # a setting may be given twice
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(unit)
    assert set(parser) == {"DEFAULT", "Unit", "Service", "Install"}
    return parser["Service"]


def instructions() -> list[tuple[str, str]]:
    """Read the Dockerfile: each instruction and what it is given."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines()) if word]


def started() -> dict[str, list[str]]:
    """Return what units, containers and the page start: the words after `dn2`, by where they stand."""
    found = {unit.name: shlex.split(service(unit)["ExecStart"])[1:] for unit in UNITS}
    compose = re.sub(r">-\n\s+", "", (DEPLOY / "compose.yaml").read_text())
    page = (ROOT / "docs" / "deploy.md").read_text().replace("\\\n", " ")
    for place, commands in (
        ("compose.yaml", re.findall(r"^    command: (.+)$", compose, re.MULTILINE)),
        ("deploy.md", re.findall(r"^\$ docker run .* dn2 (\w.*)$", page, re.MULTILINE)),
    ):
        found |= {f"{place}, {number}": shlex.split(command) for number, command in enumerate(commands)}
    return found


def test_what_is_started_is_found() -> None:
    found = started()
    assert {name for name in found if name.endswith(".service")} == {"dn2-serve.service", "dn2-watch.service"}
    assert [sum(name.startswith(place) for name in found) >= 2 for place in ("compose.yaml", "deploy.md")] == [True] * 2


@pytest.mark.parametrize("words", started().values(), ids=started())
def test_a_service_starts_a_command_with_options_that_it_has(words: list[str]) -> None:
    name, *arguments = words
    if name not in COMMANDS:
        pytest.skip(f"there is no dn2 {name}")
    there = {
        option
        for parameter in COMMANDS[name].params
        for option in [*parameter.opts, *parameter.secondary_opts]
        if option.startswith("-")
    }
    assert {word.partition("=")[0] for word in arguments if word.startswith("-")} <= there


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_has_no_rights_that_it_does_not_need(unit: Path) -> None:
    settings = service(unit)
    assert {name: settings.get(name) for name in HARDENED} == HARDENED
    assert settings["User"] == "dn2"
    assert settings["Restart"] == "on-failure"
    assert PurePosixPath(settings["StateDirectory"]).parts[0] == "dn2"
    assert re.fullmatch(r"\d+%", settings["CPUQuota"])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_understands_a_unit(unit: Path, tmp_path: Path) -> None:
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/opt/dn2/bin/dn2", "/bin/true"))  # it looks for the program, too
    done = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_image_runs_as_a_user_without_rights_and_is_asked_whether_it_lives() -> None:
    last = instructions()[max(place for place, (word, _) in enumerate(instructions()) if word == "FROM") :]
    words = dict(last)
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", words["USER"])
    assert words["EXPOSE"] == PORT
    assert f"'127.0.0.1', {PORT}" in words["HEALTHCHECK"]
    assert [words["ENTRYPOINT"], words["CMD"]] == ['["dn2"]', '["--help"]']
    served = [command for command in started().values() if command[0] == "serve"]
    assert [command[command.index("--port") + 1] for command in served] == [PORT] * len(served)


def test_what_the_image_is_built_from_is_there_and_sent_to_it() -> None:
    sent = [line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"]
    copied = [
        one for word, rest in instructions() if word == "COPY" and "--from" not in rest for one in rest.split()[:-1]
    ]
    assert sorted(copied) == sorted(sent)
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_image_installs_extras_that_there_are() -> None:
    (extras,) = re.findall(r"whl\)\[([\w,]+)\]", (DEPLOY / "Dockerfile").read_text())
    there = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    if not COMMANDS.keys() >= {"serve", "watch"}:
        pytest.skip("there is no dn2 serve or no dn2 watch")
    assert set(extras.split(",")) <= set(there)
