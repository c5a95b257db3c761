"""What runs in a worker of a cluster."""

from __future__ import annotations

import logging
import os
import pickle
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from dn2 import __version__
from dn2.errors import ClusterError, Dn2Error
from dn2.scale.starting import import_ray
from dn2.system.processes import limit_cpus


@dataclass(frozen=True)
class Parcel:
    """What each worker is given.

    work : called with what is shared and a part; shared : in a list, so that Ray does not open it first, the reference
    of it; tries : counts how often each part was begun, at most `most_tries` times; version : of dn2, which must be
    the worker's.
    folder : the working folder, from which paths start; of a worker that has it, too."""

    work: Callable[[Any, Any], Any]
    shared: list[Any]
    tries: Any
    most_tries: int
    folder: str
    version: str = __version__


class Tries:
    """Counts how often each part was begun: Ray begins one anew whenever its worker is lost, for ever."""

    def __init__(self) -> None:
        self._begun: Counter[int] = Counter()

    def begin(self, number: int) -> int:
        """Count a part, by its number, once more."""
        self._begun[number] += 1
        return self._begun[number]


class Said(logging.Handler):
    """Collects the warnings of dn2 in a worker, which are for whoever runs the command."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._words: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take a warning."""
        self._words.append(record.getMessage())

    def taken(self) -> list[str]:
        """Return the warnings since the last time."""
        words, self._words = self._words, []
        return words


class Worker:
    """Works on parts: `Cluster.each` has one for each process.

    An error that dn2 raises on purpose is no failure of the cluster, and comes back as what was made."""

    def __init__(self, parcel: Parcel, cpus: int) -> None:
        self._said = Said()
        logging.getLogger("dn2").handlers = [self._said]
        limit_cpus(cpus)
        with suppress(OSError):
            os.chdir(parcel.folder)
        self._parcel, self._work = parcel, parcel.work
        self._shared: Any = None

    def __call__(self, batch: Any) -> Any:
        """Work on the parts of a batch: a table of Arrow with bytes, and so is what is returned."""
        import pyarrow

        parts = zip(batch.column("number").to_pylist(), batch.column("part"), strict=True)
        return pyarrow.table({"made": [self._made(number, part.as_buffer()) for number, part in parts]})

    def _made(self, number: int, packed: Any) -> bytes:
        ray = import_ray()
        try:
            if self._parcel.version != __version__:
                raise ClusterError(
                    f"workers need dn2 {self._parcel.version}, as this machine has, and one has {__version__}"
                )
            if ray.get(self._parcel.tries.begin.remote(number)) > self._parcel.most_tries:
                raise ClusterError(
                    f"a part of the work was begun {self._parcel.most_tries} times, and each time its worker was lost; "
                    f"it is part {number + 1}, of items that most likely take more memory than a worker has"
                )
            made = True, self._work(self._opened(), pickle.loads(packed))  # noqa: S301  from the process that started it
        except Dn2Error as error:
            made = False, error
        except Exception as error:
            made = False, ClusterError(f"a worker failed with {type(error).__name__}: {' '.join(str(error).split())}")
        return pickle.dumps((*made, self._said.taken()), protocol=5)

    def _opened(self) -> Any:
        if self._shared is None:
            self._shared = import_ray().get(self._parcel.shared[0])
        return self._shared


class Crew(NamedTuple):
    """The workers that are wanted: processors and GPUs of each, and how many fit on the machines that there are."""

    cpus: int
    gpus: float
    fitting: int


def made_by(packed: Sequence[Mapping[str, Any]], parcel: Parcel, crew: Crew) -> Iterator[bytes]:
    """Let workers do parts, and give what each made of its, in order.

    packed : the number and the bytes of each part.  Ray starts more workers as machines come."""
    data = import_ray().data
    done = data.from_items(packed, override_num_blocks=len(packed)).map_batches(
        Worker,
        batch_size=1,
        batch_format="pyarrow",
        fn_constructor_args=(parcel, crew.cpus),
        compute=data.ActorPoolStrategy(min_size=1, max_size=len(packed), initial_size=crew.fitting),
        num_cpus=crew.cpus,
        **({"num_gpus": crew.gpus} if crew.gpus else {}),
    )
    return (row["made"] for row in done.iter_rows())


class Driver:
    """Does what `made_by` does in a process of the cluster, for a client outside of it."""

    def __init__(self, packed: Sequence[Mapping[str, Any]], parcel: Parcel, crew: Crew) -> None:
        self._made = made_by(packed, parcel, crew)

    def next(self) -> bytes | None:
        """Return what was made of the next part; None behind the last."""
        return next(self._made, None)


def unpack(packed: bytes) -> tuple[Any, list[str]]:
    """Return what a worker made of a part, and what it warned of, or raise the error that it met."""
    is_made, made, words = pickle.loads(packed)  # noqa: S301  from a worker
    if is_made:
        return made, words
    raise made
