"""A model's whole decision as files that need no dn2."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dn2 import __version__
from dn2.errors import InputError
from dn2.kinds.registry import room_of
from dn2.model.state import State
from dn2.networks import openvino
from dn2.networks.onnx_writing import check_onnx, to_onnx
from dn2.system.interface import command, option
from dn2.system.naming import is_possible

FORMATS = ("onnx", "openvino")
FORMAT = 1
ABOUT = "decision.json"
FILES = {"onnx": ("decision.onnx",), "openvino": ("decision.xml", "decision.bin")}
BESIDE = ("region.png",)  # of some models


def export(now: State, target: Path, formats: str | Iterable[str] | None, overwrite: bool) -> dict[str, Any]:
    """Write a folder; see `Model.export`.  Returns what its JSON says."""
    asked = _check_formats(formats)
    check_target(target, overwrite)
    room = room_of(now.kind.name, "export")
    if room is None:
        raise InputError(f"models of pictures are exported, and this is one of {now.kind.many}")
    if "onnx" in asked:
        check_onnx()
    decision = room.Decision.of(now.kind, now)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as temporary:
            made = Path(temporary) / "made"
            made.mkdir()
            about = _write(made, decision, asked, None if now.origin is None else now.origin.digest)
            _put(made, target)
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror or error}") from error
    return about


def _write(folder: Path, decision: Any, formats: tuple[str, ...], digest: str | None) -> dict[str, Any]:
    runs = {}
    if "onnx" in formats:
        (folder / FILES["onnx"][0]).write_bytes(to_onnx(decision.graph))
    if "openvino" in formats:
        openvino.save(decision.graph, folder / FILES["openvino"][0])
    for name in formats:
        runs[FILES[name][0]] = openvino.open_file(folder / FILES[name][0])
    beside = decision.files()
    for name, content in beside.items():
        (folder / name).write_bytes(content)
    proof, written = decision.prove(runs), [*(file for name in formats for file in FILES[name]), *beside]
    about: dict[str, Any] = {
        "format": FORMAT,
        "dn2": __version__,
        "model": digest,
        **decision.about(),
        "proof": proof,
        "files": {file: _digest(folder / file) for file in written},
    }
    (folder / ABOUT).write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return about


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_target(target: Path, overwrite: bool) -> None:
    """Raise InputError unless an export can be written: to a new or empty folder, or over another export."""
    if not is_possible(target) or not target.name:
        raise InputError(f"the export {str(target)!r} cannot be written: that is no path of a folder")
    if not os.path.lexists(target):
        return
    if not target.is_dir() or target.is_symlink():
        raise InputError(f"{target} is no folder; give another name{command(' with -o', '')}")
    there = {path.name for path in target.iterdir()}
    if not there:
        return
    if ABOUT not in there or there - {ABOUT, *BESIDE, *(file for files in FILES.values() for file in files)}:
        raise InputError(f"{target} holds other files than an export; give another name{command(' with -o', '')}")
    if not overwrite:
        raise InputError(
            f"{target} is an export already; give another name, or {command('--force', 'overwrite=True')} to replace it"
        )


def _check_formats(formats: str | Iterable[str] | None) -> tuple[str, ...]:
    asked = FORMATS if formats is None else (formats,) if isinstance(formats, str) else tuple(formats)
    if not asked or (unknown := sorted(set(asked) - set(FORMATS))):
        raise InputError(f"{option('format')} must be {' or '.join(FORMATS)}, got {unknown[0] if asked else 'none'!r}")
    return tuple(name for name in FORMATS if name in asked)


def _put(made: Path, target: Path) -> None:
    """Put a folder in its place; what is there already goes in one step."""
    if target.exists():
        old = made.with_name("old")
        os.rename(target, old)
        try:
            os.rename(made, target)
        except OSError:
            os.rename(old, target)
            raise
        shutil.rmtree(old)
    else:
        os.rename(made, target)


def summary(about: Mapping[str, Any]) -> list[str]:
    """Say what was written, and how it compares with the model."""
    lines = []
    for name, proof in about["proof"].items():
        apart = proof.get("largest_map_difference", proof["largest_score_difference"])
        what = "maps" if "largest_map_difference" in proof else "scores"
        equal = proof["decisions_equal"]
        lines.append(
            f"{name}: {what} differ by at most {apart:.1e}, and {equal} of {proof['pictures']} decisions are the same"
        )
    return lines
