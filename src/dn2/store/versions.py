"""The versions of a saved model: what it was before each change, whose files stay while it is listed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from dn2.errors import InputError, ModelError
from dn2.store.manifest import FILE_NAME, MANIFEST, VERSION, read_manifest
from dn2.store.mapped import require_regular
from dn2.store.writing import lock_folder, write_whole

MOST_VERSIONS = 20  # that are listed beside the model as it is
MOST_READ = 1_000  # of a model that another release may have written
NOTHING_NOTED: Mapping[str, Any] = {"change": None, "versions": []}  # of a model that is new where it is saved


class Version(NamedTuple):
    """A model as it was at some time.

    change : what was done then, empty for the fit; at : when, an ISO 8601 text, empty for the fit.
    items : of its reference set.
    file, digest : its `model.json` as it was kept, and the SHA-256 of that; empty for the model as it is."""

    change: str
    at: str
    items: int
    file: str = ""
    digest: str = ""


class Replaced(NamedTuple):
    """A saved model that another replaces.

    digest : of the model; change : what was done to it, empty where it stays as it is, so that no version is kept.
    forgets : whether no version is kept, as they hold what is to be forgotten."""

    digest: str
    change: str = ""
    forgets: bool = False


def versions_of(folder: Path) -> list[Version]:
    """List the versions of a saved model, the oldest first; the last is the model as it is.

    Raises ModelError for a model that is missing or damaged."""
    manifest = read_manifest(folder)
    return [*_listed(folder, manifest), _version_of(manifest)]


def noted(folder: Path, replaced: Replaced) -> dict[str, Any]:
    """Keep the saved model in a folder as a version; return what `model.json` says of versions once it is replaced."""
    manifest = read_manifest(folder)
    if replaced.forgets:
        return {"change": _now(replaced.change), "versions": []}
    if not replaced.change:
        return {name: manifest[name] for name in NOTHING_NOTED}
    data = (folder / MANIFEST).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    own = _version_of(manifest)._replace(file=f"{VERSION}-{digest[:16]}.json", digest=digest)
    write_whole(folder / own.file, data)
    versions = [*_listed(folder, manifest), own]
    versions = versions[max(0, len(versions) - MOST_VERSIONS) :]
    return {"change": _now(replaced.change), "versions": [list(version) for version in versions]}


def named_by(folder: Path, manifest: Mapping[str, Any]) -> set[str]:
    """Return the names of all files that a model and its listed versions name."""
    named = {MANIFEST, *manifest["files"]}
    for version in _listed(folder, manifest):
        named |= {version.file, *read_manifest(folder, version.file)["files"]}
    return named


def undo(folder: Path) -> Version:
    """Put the last version of a saved model back in its place; return what it is.

    Raises InputError for a model without earlier versions, ModelError for one whose files are damaged."""
    with lock_folder(folder):
        manifest = read_manifest(folder)
        versions = _listed(folder, manifest)
        if not versions:
            raise InputError(f"{folder} has no earlier version: it is as it was fitted, or was copied or forgot since")
        last = versions[-1]
        data = require_regular(folder / last.file).read_bytes()
        kept = read_manifest(folder, last.file)
        lost = [name for name in kept["files"] if not (folder / name).is_file() and not name.startswith(VERSION)]
        if hashlib.sha256(data).hexdigest() != last.digest or lost:
            raise ModelError(f"the last version of {folder} is damaged: {lost[0] if lost else last.file}; restore it")
        write_whole(folder / MANIFEST, data)
    return _version_of(kept)


def _listed(folder: Path, manifest: Mapping[str, Any]) -> list[Version]:
    """Return the versions before the present one that are still kept.  Raises ModelError for another list."""
    try:
        versions = [Version(str(what), str(at), int(n), *kept) for what, at, n, *kept in manifest["versions"]]
        if len(versions) > MOST_READ:
            raise ValueError(f"{len(versions):,} versions")
        if not all(FILE_NAME.fullmatch(version.file) and version.file.startswith(VERSION) for version in versions):
            raise ValueError("a file that is no version's")
    except (LookupError, TypeError, ValueError) as error:
        raise ModelError(f"{folder / MANIFEST} does not list versions as dn2 does; fit again") from error
    return [version for version in versions if (folder / version.file).is_file()]


def _version_of(manifest: Mapping[str, Any]) -> Version:
    change = manifest.get("change") or {"what": "", "at": ""}
    return Version(str(change["what"]), str(change["at"]), int(manifest["calibration"]["n_reference"]))


def _now(change: str) -> dict[str, str]:
    return {"what": change, "at": datetime.now(UTC).isoformat(timespec="seconds")}
