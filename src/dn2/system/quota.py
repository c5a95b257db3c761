"""How many processors' time a container, or a service of systemd, gives this process: the quotas of control groups."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator

# OpenBLAS (numpy, scipy), OpenMP (faiss, scikit-learn), pyarrow and PyTorch ask for the first when they load, and would
# otherwise take as many threads as the host has processors, whatever the quota.  OpenVINO is told at each network, and
# the threads of tokenizers follow the quota by themselves.
THREADS = "OMP_NUM_THREADS"
THREADS_OF_SOME = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def read_quota(root: str = "/") -> int | None:
    """Return the processors that the quotas of this process's control groups come to, rounded up; None without one.

    root : of the file system, in which /proc and the mounted control groups lie.
    The smallest quota counts, of the process's own group and of all above it that are mounted here, in version 1 and 2.
    What cannot be read or understood is no quota."""
    quotas = [quota for group in _groups(root) if (quota := _quota_of(*group)) is not None]
    return max(1, math.ceil(min(quotas))) if quotas else None


def visible_cpus() -> int:
    """Count the processors that this process may run on, whatever its quota."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_libraries(quota: int | None) -> None:
    """Let libraries work on no more threads than a quota allows, unless the user said how many, or it allows all.

    It is for the libraries that load from now on, and for the threads that numpy started, if it was loaded before."""
    if quota is None or quota >= visible_cpus() or THREADS in os.environ:
        return
    os.environ[THREADS] = str(quota)
    if "numpy" in sys.modules and not any(name in os.environ for name in THREADS_OF_SOME):
        from threadpoolctl import threadpool_limits

        threadpool_limits(quota)


def _groups(root: str) -> Iterator[tuple[str, bool]]:
    """Give the folder of each control group that may hold a quota of this process, and whether it is of version 2."""
    own = {}  # path of the group by whether it is of version 2
    for line in _lines(root, "proc/self/cgroup"):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" or "cpu" in controllers.split(","):
            own[number == "0"] = path
    for line in _lines(root, "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        is_unified = kind[:1] == ["cgroup2"]
        if len(fields) < 5 or not (is_unified or (kind[:1] == ["cgroup"] and "cpu" in kind[-1].split(","))):
            continue
        mounted, point = fields[3].rstrip("/"), os.path.join(root, fields[4].lstrip("/"))
        path = own.get(is_unified, "/")
        # In a container the group is the root of what is mounted, by another path or by the host's, or lies below it.
        below = path[len(mounted) :] if f"{path}/".startswith(f"{mounted}/") else ""
        names = [name for name in below.split("/") if name]
        if ".." not in names:
            for depth in range(len(names) + 1):
                yield os.path.join(point, *names[:depth]), is_unified


def _quota_of(folder: str, is_unified: bool) -> float | None:
    """Return the processors of a group's quota; None without one."""
    if is_unified:
        words = " ".join(_lines(folder, "cpu.max")).split()
        quota, period = words if len(words) == 2 else ("max", "")
    else:
        quota, period = ("".join(_lines(folder, f"cpu.cfs_{name}_us")).strip() for name in ("quota", "period"))
    try:
        processors = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max", or a file that is absent
        return None
    return processors if processors > 0 else None  # -1 in version 1


def _lines(folder: str, name: str) -> list[str]:
    try:
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []


QUOTA = read_quota()  # once in a process: files of the kernel, which may be slow to read
