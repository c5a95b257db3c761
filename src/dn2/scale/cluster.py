"""A cluster of Ray: parts of the work are given to its workers by Ray Data, which schedules them and bears losses."""

from __future__ import annotations

import logging
import os
import pickle
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from dn2.errors import ClusterError, InputError
from dn2.neighbors.search.index import Index
from dn2.scale.partitions import HasBlocks, partitioned
from dn2.scale.starting import import_ray, in_short, start
from dn2.scale.worker import Crew, Driver, Parcel, Tries, made_by, unpack
from dn2.system.interface import option
from dn2.system.naming import absolute

logger = logging.getLogger("dn2")

CLUSTER = re.compile(r"ray(://(?P<host>[\w.-]+)(:(?P<port>\d{1,5}))?)?(\?(?P<worker>[\w.&=]*))?")
OF_WORKER = re.compile(r"(cpus|gpus)=(\d+(?:\.\d+)?)")
CLIENT_PORT = 10001
MOST_CPUS = 8  # of one worker: more workers read and decode side by side better than more threads
MOST_TRIES = 20  # of a part; each but the last ended with its worker or node


class Named(NamedTuple):
    """A cluster as a user names it.

    address : for Ray, None for the cluster that the environment names in `RAY_ADDRESS`, or else this machine.
    cpus : of each worker, None for as many as suit the machines; gpus : of each, perhaps a share of one."""

    address: str | None
    cpus: int | None
    gpus: float

    @classmethod
    def of(cls, on: Any) -> Named:
        """Read `ray` or `ray://HOST:PORT`, and perhaps what each worker has: `?cpus=4&gpus=0.5`.

        Raises InputError for anything else."""
        found = CLUSTER.fullmatch(on) if isinstance(on, str) else None
        asked = [OF_WORKER.fullmatch(one) for one in ((found and found["worker"]) or "").split("&") if one]
        if found is None or not all(asked):
            raise InputError(
                f"{option('on')} must be ray or ray://HOST:PORT, perhaps with what each worker has, such as "
                f"?cpus=4&gpus=0.5, got {on!r}"
            )
        given = {one[1]: float(one[2]) for one in asked if one is not None}
        cpus = int(given["cpus"]) if given.get("cpus") else None
        host = None if found["host"] is None else f"ray://{found['host']}:{found['port'] or CLIENT_PORT}"
        return cls(host or os.environ.get("RAY_ADDRESS") or None, cpus, given.get("gpus", 0.0))


@contextmanager
def opened(on: str) -> Iterator[Cluster]:
    """Connect to a cluster inside, or start one of this machine alone; a connection that there is already is used.

    on : see `Named.of`.
    Raises InputError for any other name, MissingExtra, and ClusterError where the cluster cannot be reached."""
    named, ray = Named.of(on), import_ray()
    mine = not ray.is_initialized()
    if mine:
        start(ray, named.address)
    try:
        yield Cluster(ray, named)
    finally:
        if mine:
            ray.shutdown()


@dataclass(frozen=True)
class Cluster:
    """The workers of a cluster; see `dn2.system.workers.Workers`."""

    ray: Any
    named: Named

    def each(self, work: Callable[[Any, Any], Any], shared: Any, parts: Iterable[Any]) -> Iterator[Any]:
        """See `Workers`.

        Parts whose worker or node is lost are done again.  All parts are in the cluster's memory, or on its disks,
        before the first is done."""
        packed = [{"number": number, "part": pickle.dumps(part, protocol=5)} for number, part in enumerate(parts)]
        if not packed:
            return
        cpus = self.named.cpus or self._usual_cpus()
        tries = self.ray.remote(num_cpus=0)(Tries).remote()
        parcel = Parcel(work, [self.ray.put(shared)], tries, MOST_TRIES, absolute("."))
        told: set[str] = set()
        crew = Crew(cpus, self.named.gpus, max(1, min(len(packed), self.cpus // cpus)))
        try:
            for made, words in map(unpack, self._made(packed, parcel, crew)):
                for one in [one for one in words if one not in told]:
                    logger.warning(one)
                told.update(words)
                yield made
        except (self.ray.exceptions.RayError, SystemError) as error:
            raise ClusterError(f"the cluster failed: {in_short(error)}") from error

    def _made(self, packed: Sequence[Mapping[str, Any]], parcel: Parcel, crew: Crew) -> Iterator[bytes]:
        """Let workers do parts, from here, or where Ray only has a client here, from a process of the cluster."""
        if not self.ray.util.client.ray.is_connected():
            yield from made_by(packed, parcel, crew)
            return
        driver = self.ray.remote(num_cpus=0)(Driver).remote(self.ray.put(packed), parcel, crew)
        while (made := self.ray.get(driver.next.remote())) is not None:
            yield made

    def partitioned(self, reference: HasBlocks, count: int) -> AbstractContextManager[Index]:
        """See `Workers`."""
        return partitioned(self.ray, reference, count, self.cpus)

    @property
    def is_remote(self) -> bool:
        """Whether some workers are on other machines."""
        return {node["NodeManagerAddress"] for node in self.ray.nodes()} != {self.ray.util.get_node_ip_address()}

    @property
    def cpus(self) -> int:
        """The processors of all machines."""
        return int(self.ray.cluster_resources().get("CPU", 1))

    def _usual_cpus(self) -> int:
        """Return how many processors a worker has: those of the smallest machine, but not more than `MOST_CPUS`."""
        sizes = [int(node["Resources"].get("CPU", 0)) for node in self.ray.nodes() if node["Alive"]]
        return min(min((size for size in sizes if size), default=1), MOST_CPUS)
