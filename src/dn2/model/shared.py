"""A model as the workers of a cluster open it: each once, from its folder, or from a copy that is sent along."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dn2.errors import ClusterError, ModelError
from dn2.extras import import_above
from dn2.model.state import State
from dn2.model.writing import write
from dn2.neighbors.blocks import Block
from dn2.store.cache import Cache
from dn2.store.manifest import MANIFEST, read_manifest
from dn2.system.processes import cached_property

MOST_SENT = 1 << 30  # bytes of a model that is sent to workers that do not see its folder


@dataclass(frozen=True, eq=False)
class SharedModel:
    """A saved model.

    folder, digest : of it; files : their bytes by name, for workers that do not see the folder; empty where that is
    too much, or where all workers are on this machine.
    backbone : the name that the user gave in place of the model's; cache : of this process, for each of theirs."""

    folder: Path
    digest: str
    files: Mapping[str, bytes] = field(repr=False)
    backbone: str | None
    cache: Cache | None

    @cached_property
    def state(self) -> State:
        """The model, opened at first use."""
        with self._found() as folder:
            read = import_above("dn2.model.loading").read
            return read(folder, self.cache, self.backbone).state  # type: ignore[no-any-return]

    @cached_property
    def blocks(self) -> list[Block]:
        """The blocks of its reference set, mapped at first use."""
        with self._found() as folder:
            return import_above("dn2.model.loading").read_blocks(folder)  # type: ignore[no-any-return]

    @contextmanager
    def _found(self) -> Iterator[Path]:
        """Give the folder of the model, or of a copy; what is mapped from its files stays when they are gone."""
        if _digest(self.folder) == self.digest:
            yield self.folder
            return
        if not self.files:
            raise ClusterError(
                f"a worker does not see the model {self.folder}, which is too large to be sent along: put it where all "
                "machines of the cluster see it, under the same path"
            )
        with tempfile.TemporaryDirectory(prefix="dn2-model-", ignore_cleanup_errors=True) as folder:
            for name, content in self.files.items():
                Path(folder, name).write_bytes(content)
            yield Path(folder)


@contextmanager
def shared(now: State, is_remote: bool) -> Iterator[SharedModel]:
    """Give a model to workers inside, saved for them unless it is as a saved model has it.

    is_remote : whether some of the workers are on other machines."""
    with tempfile.TemporaryDirectory(prefix="dn2-model-") as folder:
        origin = now.origin
        if origin is None or not now.is_saved or _digest(origin.folder) != origin.digest:
            origin = write(now, Path(folder, "model"), overwrite=False)
        cache = getattr(now.kind.embedder, "opened_cache", None)
        sent = _content(origin.folder) if is_remote else {}
        yield SharedModel(origin.folder, origin.digest, sent, origin.backbone, cache)


def _digest(folder: Path) -> str | None:
    try:
        return str(read_manifest(folder)["digest"])
    except ModelError:
        return None


def _content(folder: Path) -> dict[str, bytes]:
    names = [MANIFEST, *read_manifest(folder)["files"]]
    if sum((folder / name).stat().st_size for name in names) > MOST_SENT:
        return {}
    return {name: (folder / name).read_bytes() for name in names}
