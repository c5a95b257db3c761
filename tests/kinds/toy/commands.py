"""The command line of a copy of dn2 with the toy kind, in which `tests/kinds/test_one_folder.py` runs this."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cli.conftest import Command, dn2_command
from small_models import own_cache

__all__ = ["dn2_command", "own_cache"]


def test_the_commands_have_the_toy(dn2_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("normal.colors").write_text("\n".join(f"#00{green:02x}00" for green in range(190, 230)))
    Path("new.colors").write_text("#00c800\n#ff0000\n")
    help_ = dn2_command("fit", "--help").out
    assert "Colours" in help_
    assert "--shade" in help_
    fitted = dn2_command("fit", "normal.colors", "-o", "c.dn2", "--shade", "0.5")
    assert fitted.status == 0, fitted.err
    scored = dn2_command("score", "c.dn2", "new.colors", "--report", "r.html")
    assert scored.status == 0, scored.err
    assert re.search(r"new\.colors:2 .* yes .*most by red", scored.out)
    assert "new.colors:2" in Path("r.html").read_text()
    refused = dn2_command("fit", "normal.colors", "-o", "d.dn2", "--kind", "toy", "--window", "9")
    assert refused.status == 2
    assert "--window belongs to the kind series, and the items here are of the kind toy" in refused.err
