"""Nothing that a user, a file or a model says steers the terminal that a command prints to."""

from __future__ import annotations

import json
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dn2
from dn2.system.printing import line_of, printable, printable_json
from small_models import places_of, reseal, write_digits

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp\u2028\r"
STEERING = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def assert_quiet(done) -> None:
    """Only ends of lines are left of what could steer a terminal, and no line begins with what a name brought in."""
    strange = {one for one in done.out + done.err if unicodedata.category(one) in STEERING and one not in "\n"}
    assert strange == set()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_names_of_pictures_do_not_steer_the_terminal(world: Path, dn2_command) -> None:
    folder = Path(f"{HOSTILE}good")
    for path in write_digits(folder, places_of(0)[:20]):
        path.rename(folder / f"{HOSTILE}{path.name}")
    Path("new").mkdir()
    Path(f"new/{HOSTILE}a.png").write_bytes(b"no picture")
    shutil.copy(next(folder.iterdir()), f"new/{HOSTILE}b.png")
    model, tiny = f"{HOSTILE}.dn2", world / "tiny.onnx"
    commands = (
        ["fit", folder, "-o", model, "--backbone", tiny],
        ["inspect", model],
        ["inspect", model, "--items"],
        ["verify", model],
        ["score", model, "new"],
        ["score", model, "new", "--json"],
        ["score", model, "new", "-o", f"{HOSTILE}.csv", "--report", f"{HOSTILE}.html"],
        ["evaluate", model, "--normal", folder, "--anomalous", "new"],
        ["add", model, "new"],
        ["add", model, folder],
        ["remove", model, f"{HOSTILE}none"],
        ["remove", model, f"{HOSTILE}b.png"],
        ["report", f"{HOSTILE}.csv", "--model", model, "-o", f"{HOSTILE}2.html"],
        ["embed", "new", "-o", f"{HOSTILE}.npz", "--backbone", tiny],
        ["embed", "new", "-o", "v.npz", "--backbone", f"{HOSTILE}.onnx"],
        ["score", HOSTILE, HOSTILE],
        ["fit", HOSTILE, "-o", HOSTILE, "--index", HOSTILE],
        [HOSTILE],
        ["score", model, "new", f"--{HOSTILE}"],
    )
    for command in commands:
        assert_quiet(dn2_command(*command))
    names = dn2_command("inspect", model, "--items").out.splitlines()
    assert len(names) == 20
    assert all(r"\x1b]0;owned\x07\x1b[2J" in name for name in names)


def test_tables_do_not_steer_the_terminal(here: Path, dn2_command) -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            f"{HOSTILE}id": [f"{HOSTILE}{row}" for row in range(60)],
            f"{HOSTILE}number": rng.normal(size=60),
            f"{HOSTILE}category": [f"{HOSTILE}{row % 3}" for row in range(60)],
            f"{HOSTILE}constant": HOSTILE,
        }
    )
    strange = rows.head(5).assign(**{f"{HOSTILE}number": 99.0, f"{HOSTILE}category": f"{HOSTILE}new"})
    rows.to_parquet("rows.parquet")
    strange.to_parquet("new.parquet")
    for command in (
        ["fit", "rows.parquet", "--id-column", f"{HOSTILE}id", "-o", "rows.dn2"],
        ["inspect", "rows.dn2"],
        ["inspect", "rows.dn2", "--items"],
        ["score", "rows.dn2", "new.parquet"],
        ["score", "rows.dn2", "new.parquet", "--json"],
        ["fit", "rows.parquet", "--id-column", f"{HOSTILE}ids", "-o", "rows.dn2"],
        ["fit", "rows.parquet", "--drop-columns", HOSTILE, "-o", "rows.dn2"],
    ):
        assert_quiet(dn2_command(*command))
    assert r"\x1b]0;owned" in dn2_command("score", "rows.dn2", "new.parquet").out


def test_what_a_forged_model_says_does_not_steer_the_terminal(folder: Path, world: Path, dn2_command) -> None:
    def forge(manifest: dict, key: str) -> None:
        manifest[key] = dict.fromkeys(manifest[key], HOSTILE) if isinstance(manifest[key], dict) else HOSTILE

    for key in json.loads((folder / "model.json").read_text()):
        copy = Path(shutil.copytree(folder, f"{key}.dn2"))
        if key != "digest":
            reseal(copy, lambda manifest, key=key: forge(manifest, key))
        for command in (["inspect", copy], ["verify", copy], ["score", copy, world / "more"]):
            assert_quiet(dn2_command(*command))
    reseal(folder, lambda manifest: manifest.update(format=99, readable_from=HOSTILE))
    done = dn2_command("inspect", folder)
    assert_quiet(done)
    assert done.status == 2


def test_json_on_the_terminal_stays_json(world: Path, saved: Path, dn2_command) -> None:
    Path("new").mkdir()
    name = f"{HOSTILE}\U000e0041é.png"
    shutil.copy(next((world / "other").iterdir()), f"new/{name}")
    done = dn2_command("score", saved, "new", "--json")
    assert_quiet(done)
    assert json.loads(done.out)["item"] == name
    assert "é" in done.out


def test_what_is_printed_of_a_text() -> None:
    assert printable("plain é 日本 👩\u200d👧") == "plain é 日本 👩\u200d👧"
    assert printable("\x1b[2J\n\x7f\x9b\u202e\ud800\u2029") == r"\x1b[2J\n\x7f\x9b\u202e\ud800\u2029"
    assert json.loads(printable_json('"\x7f\u202e\U000e0041\u2028"')) == "\x7f\u202e\U000e0041\u2028"
    assert printable_json('"\U000e0041"') == r'"\udb40\udc41"'
    assert line_of(" one\n two  three\x1b\n") == r"one two  three\x1b"
    assert len(line_of("x" * 10_000_000)) < 5_000


def test_a_fault_of_dn2_is_told_apart_from_an_anomaly(saved: Path, world: Path, dn2_command, monkeypatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(HOSTILE)

    monkeypatch.setattr(dn2.Model, "score", fail)
    done = dn2_command("score", saved, world / "more", "--fail-on-anomaly")
    assert_quiet(done)
    assert done.status == 2
    assert done.err.endswith("dn2: this is a fault of dn2's; please report it with the lines above\n")
