"""Things that a process can pass on neither to a forked child nor in a pickle: threads, locks, open files."""

from __future__ import annotations

import ctypes
import mmap
import os
import threading
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from dn2.system import quota

if TYPE_CHECKING:
    from dn2.arrays import Array  # with numpy, which commands do without until they run

T = TypeVar("T")


class PerProcess(Generic[T]):
    """An object that each process makes for itself at its first use, such as threads, locks or open files.

    make : makes the object; a copy or a pickle carries nothing else.

    A forked child has its parent's memory but not its threads: using or ending the threads there waits for ever.  So
    the child never uses the parent's object, and never frees it."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[int, _Made[T]] = {}  # by process

    def get(self) -> T:
        """Return this process's object; safe from any of its threads."""
        process = os.getpid()
        made = self._made.get(process) or self._made.setdefault(process, _Made())
        if not made.things:
            with made.lock:
                if not made.things:
                    made.things.append(self._make())
        return made.things[0]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._make,)

    def __del__(self, process: Callable[[], int] = os.getpid) -> None:
        for owner, made in self._made.items():
            if owner != process():
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(made))  # keeps it for good, as nothing in Python does


class _Made(Generic[T]):
    """The object of one process, in a list that is empty before it is made.

    lock : the process's own, since a parent's lock may be held by a thread that the child lacks."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.things: list[T] = []


class cached_property(Generic[T]):
    """`functools.cached_property` as of Python 3.12: without a lock, which a forked child may find held for ever."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __get__(self, instance: Any, _: type) -> T:
        value: T = instance.__dict__.setdefault(self._compute.__name__, self._compute(instance))
        return value


@cache
def one_thread_after_fork(set_threads: Callable[[int], object]) -> None:
    """Let a library work on one thread in forked children, where its OpenMP waits for ever for the parent's threads.

    set_threads : sets the number of threads that the library uses for calls from the current thread.  It is called once
    in each child, by its only thread; threads that the child starts later get new helper threads."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=partial(set_threads, 1))


@cache
def _trim() -> Callable[[int], int] | None:
    """Return what lets the allocator of C give memory back; None where it has no such."""
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    return found


def give_memory_back() -> None:
    """Give memory that is free to the system: the allocator keeps what each thread has freed, for the same thread."""
    if (trim := _trim()) is not None:
        trim(0)


def give_pages_back(used: Array) -> None:
    """Give the memory of an array, or of some rows, to the system before the whole is freed: its numbers may be lost.

    used : contiguous, in memory that this process alone has."""
    assert used.flags.c_contiguous
    if os.name == "posix" and hasattr(mmap, "MADV_DONTNEED"):
        first = -(-used.ctypes.data // mmap.PAGESIZE) * mmap.PAGESIZE
        last = (used.ctypes.data + used.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
        if last > first:
            ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), mmap.MADV_DONTNEED)


_most_cpus: list[int] = []


def limit_cpus(most: int) -> None:
    """Let this process use no more than so many processors, as one of several workers on a machine does."""
    _most_cpus[:] = [most]


def cpu_count() -> int:
    """Count the processors that this process may use: what it may run on, and what its container's quota comes to."""
    return min([quota.visible_cpus(), *([quota.QUOTA] if quota.QUOTA else []), *_most_cpus])
