"""The page about the service: its commands, with curl, and its Python, against a service as it says."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from serve_models import Process, png, saved_parts, serving

__all__ = ["saved_parts", "serving"]

PAGE = (Path(__file__).parents[2] / "docs" / "serve.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_commands_and_the_python_of_the_page_run(
    serving: Callable[..., Process], saved_parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tritonclient.http", reason="needs tritonclient[http]: the extra dev")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "incoming").mkdir()
    for number in (1, 2):
        (tmp_path / "incoming" / f"part_0{number}.png").write_bytes(png(600 + number, strange=True))
    lines = [line.removeprefix("$ ") for block in blocks("console") for line in block.splitlines()]
    assert [line.split()[1] for line in lines if line.startswith("dn2")] == ["fit", "serve", "serve"]
    process = serving(saved_parts)
    asked = [line for line in lines if line.startswith("curl")]
    assert len(asked) == 2
    for line in asked:
        command = shlex.split(line.replace("127.0.0.1:8000", f"127.0.0.1:{process.port}"))
        answer = json.loads(subprocess.run([*command, "--silent"], check=True, capture_output=True).stdout)
        assert [row["decision"] for row in answer["results"]] == ["reject"] * len(answer["results"])
    copied, client = blocks("python")
    exec(compile(client.replace("127.0.0.1:8000", f"127.0.0.1:{process.port}"), "serve.md", "exec"), {})
    (tmp_path / "dn2-serve").symlink_to(tmp_path / "data 0")
    exec(compile(copied, "serve.md", "exec"), {})
    assert (tmp_path / "backup.sqlite").exists()
