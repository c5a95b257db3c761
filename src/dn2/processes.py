"""What a process cannot hand on: neither to the child that it forks nor in a pickle."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from functools import cache, partial
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """Something that each process makes for itself at its first use: threads, locks, open files.

    make : makes it; this is all that a copy or a pickle carries.

    A forked child has its parent's memory and none of its threads: whoever asks or ends them there waits for ever.  So
    what the parent made is left alone in the child, where it is never even ended."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[int, _Made[T]] = {}  # by process

    def get(self) -> T:
        """Return this process's own, from any of its threads."""
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
    """What one process made, if it has done so; its lock is its own, too: a parent's may be held by no one's thread."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.things: list[T] = []


class cached_property(Generic[T]):
    """What `functools` has from Python 3.12 on: without a lock, which a forked child may find held by no thread."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __get__(self, one: Any, _: type) -> T:
        value: T = one.__dict__.setdefault(self._compute.__name__, self._compute(one))
        return value


@cache
def one_thread_after_fork(set_threads: Callable[[int], object]) -> None:
    """Let a library work on one thread in forked children, where its OpenMP waits for ever for the parent's threads.

    set_threads : sets how many the library uses when the calling thread asks it to work.  It is called once in each
    child, by its only thread; the threads that the child starts have new ones to help them."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=partial(set_threads, 1))
