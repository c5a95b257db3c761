"""`model.json`, the root of a saved model: its fields, and its own digest."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dn2.errors import InputError, ModelError
from dn2.store.mapped import require_regular
from dn2.system.interface import command

FORMAT, LATEST_FORMAT = 2, 1_000_000
MANIFEST = "model.json"
MANIFEST_LIMIT = 16 << 20  # bytes
LONGEST_VERSION = 20
VERSION = "version"  # how the names begin of manifests that were replaced
FILE_NAME = re.compile(r"[a-z]+(-[a-z]+)*-[0-9a-f]{16}\.(jsonl|safetensors)|version-[0-9a-f]{16}\.json")


def seal(manifest: Mapping[str, Any]) -> tuple[bytes, str]:
    """Write a manifest so that its last line is the digest of all bytes before.

    Raises InputError for a manifest that is too long to be read again."""
    text = json.dumps(manifest, indent=1, default=lambda number: number.item())  # a parameter may be NumPy's
    body = text.removesuffix("\n}").encode() + b",\n "
    if len(body) > MANIFEST_LIMIT - 100:
        raise InputError(
            f"the model's {MANIFEST} takes {len(body):,} bytes, and at most {MANIFEST_LIMIT:,} are read again; leave "
            "out columns, or shorten their names"
        )
    digest = hashlib.sha256(body).hexdigest()
    return body + f'"digest": "{digest}"\n}}\n'.encode(), digest


def read_manifest(folder: Path, name: str = MANIFEST) -> dict[str, Any]:
    """Read and check `model.json`, or that of a version.  Raises ModelError if it is missing, damaged or of a later
    format."""
    path = folder / name
    try:
        with open(require_regular(path), "rb") as file:
            data = file.read(MANIFEST_LIMIT + 1)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ModelError(f"{folder}: {name} cannot be read: {error.strerror}") from error
        why = f"{folder} is no dn2 model: its {name} cannot be read ({error.strerror})"
        if not os.path.lexists(folder):
            why = f"there is no model {folder}: the folder does not exist"
        made = command("dn2 fit INPUT -o MODEL", "dn2.fit(inputs).save(path)")
        raise ModelError(f"{why}; make one with {made}") from error
    try:
        manifest = json.loads(data)
        version = manifest["format"]
        if len(data) > MANIFEST_LIMIT or type(version) is not int or not 1 <= version <= LATEST_FORMAT:
            raise ValueError(f"format {version!r}")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{path} is damaged: it is not the JSON that dn2 writes; restore it or fit again") from error
    if version < FORMAT:
        raise ModelError(f"{folder} has format {version}, from before the first release; fit it again")
    if version > FORMAT:
        readable_from = str(manifest.get("readable_from", "of a later release"))[:LONGEST_VERSION]
        raise ModelError(
            f"{folder} has format {version}, this dn2 reads {FORMAT}; "
            f"it takes dn2 {readable_from}: pip install --upgrade dn2"
        )
    body, _, _ = data.rpartition(b'"digest"')
    digest = hashlib.sha256(body).hexdigest()
    if data != body + f'"digest": "{digest}"\n}}\n'.encode():
        raise ModelError(f"{path} is damaged: its bytes do not match its digest; restore it or fit again")
    _check_names(path, manifest)
    return dict(manifest)


def _check_names(path: Path, manifest: Mapping[str, Any]) -> None:
    """Raise ModelError unless each file lies in the folder and has a digest, and each mapped kind has files."""
    try:
        files, contents = manifest["files"], manifest["contents"]
        mapped = manifest.get("mapped", [])
        if not (isinstance(files, dict) and isinstance(contents, dict) and isinstance(mapped, list)):
            raise TypeError("files and contents must be objects, mapped a list")
        if not set(mapped) <= set(contents):
            raise ValueError("mapped must list kinds of files")
        named = {name for names in contents.values() for name in names}
        strange = [name for name in named | set(files) if name not in files or not FILE_NAME.fullmatch(name)]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} does not list the model's files as dn2 does; fit again") from error
    if strange:
        raise ModelError(f"{path} names a file {min(strange)!r} that dn2 would not write; fit again")
