"""Changes that people make to a model in service: their verdicts taken into it, and a version taken back."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any

from dn2.errors import Dn2Error, ModelError
from dn2.inputs.verdicts import Verdict
from dn2.model.loading import load
from dn2.model.model import Model
from dn2.serve.limits import Refused
from dn2.serve.packing import unpack
from dn2.serve.served import SHOWN_LENGTH, ServedModel
from dn2.serve.service import AUDIT, Service
from dn2.serve.store import Kept
from dn2.store.manifest import read_manifest
from dn2.store.versions import undo, versions_of
from dn2.system.naming import identity

_changing = threading.Lock()  # one change at a time: each takes a model in memory


def take_in(service: Service, served: ServedModel, person: str) -> dict[str, Any]:
    """Take the verdicts that people gave into a model, as a new version, which is served from then on.

    Returns what came of it, in words and as `Feedback.as_dict`.  Raises Refused."""
    with _changing:
        settle(service, served)
        kept = service.store.judged(served.name)
        if not kept:
            raise Refused(409, "there are no verdicts to take in: judge items first")
        before, is_saved = "", False
        try:
            before = _present(served)
            service.store.taking(served.name, before, [one.id for one in kept])
            model = load(served.folder, cache=False)
            named = _named(model, kept)
            verdicts = [
                Verdict(
                    name,
                    one.verdict or "",
                    audit=one.why == AUDIT,
                    kind=one.kind,
                    part=one.record.get("part") or "",
                    per=one.record.get("per") or "",
                )
                for name, one in named.items()
            ]
            contents = {name: unpack(service.store.content(one.id) or b"") for name, one in named.items()}
            heard = model.feedback(verdicts, contents, progress=False)
            model.save(served.folder)
            is_saved = True
        except (Dn2Error, OSError) as error:
            raise Refused(409, f"the verdicts were not taken in: {error}") from error
        finally:
            if not is_saved:  # whatever the folder holds by now
                service.store.settle(served.name, before)
        version = _version(model)
        words = heard.words() or ["nothing to learn from these verdicts"]
        service.store.took_in(served.name, person, version, words, [one.id for one in kept])
        served.look()
    return {"version": version, "words": words, "feedback": heard.as_dict()}


def take_back(service: Service, served: ServedModel, person: str) -> dict[str, Any]:
    """Take the last change of a model back; the verdicts that were in it wait once more.  Raises Refused."""
    with _changing:
        try:
            settle(service, served)
            undone, before = versions_of(served.folder)[-1], _present(served)
            version = undo(served.folder)
        except (Dn2Error, OSError) as error:
            raise Refused(409, f"nothing was taken back: {error}") from error
        served.look()
        words = [f"taken back: {undone.change}; {version.items:,} reference items now"]
        service.store.took_back(served.name, person, before, served.version, words)
    return {"version": served.version, "words": words}


def settle(service: Service, served: ServedModel) -> None:
    """Let the verdicts wait once more that a kill or a fault kept from being taken in, and no others."""
    with suppress(Dn2Error, OSError):  # the model cannot be read now: later
        service.store.settle(served.name, _present(served))


def _present(served: ServedModel) -> str:
    """Return the version that the folder holds."""
    return str(read_manifest(served.folder)["digest"])[:SHOWN_LENGTH]


def _version(model: Model) -> str:
    if model.origin is None:
        raise ModelError("a model that was saved knows where")
    return model.origin.digest[:SHOWN_LENGTH]


def _named(model: Model, kept: Sequence[Kept]) -> dict[str, Kept]:
    """Name items as they were sent, or with their ids where another was called so."""
    taken = {*model.state.told.known(), *(identity(item.name) for item in model.items)}
    named: dict[str, Kept] = {}
    for one in kept:
        path = PurePosixPath(one.record["item"])
        name = str(one.record["item"])
        if identity(name) in taken:
            name = f"{name.removesuffix(path.suffix)}-{one.id}{path.suffix}"
        taken.add(identity(name))
        named[name] = one
    return named
