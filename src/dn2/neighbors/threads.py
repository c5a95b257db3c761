"""How many threads search: those of faiss, and of work that is spread over as many."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

import faiss
from threadpoolctl import ThreadpoolController

from dn2.system.processes import cpu_count, one_thread_after_fork

Piece = TypeVar("Piece")
Result = TypeVar("Result")

one_thread_after_fork(faiss.omp_set_num_threads)


def spread(work: Callable[[Piece], None], pieces: Sequence[Piece], worthwhile: bool = True) -> None:
    """Work on pieces that have nothing to do with each other, on as many threads as faiss uses, if that is worthwhile.

    faiss itself then uses one thread for each piece."""
    threads = min(len(pieces), faiss.omp_get_max_threads()) if worthwhile else 1
    if threads <= 1:
        for piece in pieces:
            work(piece)
        return
    with ThreadPoolExecutor(threads, initializer=faiss.omp_set_num_threads, initargs=(1,)) as pool:
        for _ in pool.map(work, pieces):
            pass


def each_on_one(work: Callable[[Piece], Result], pieces: Iterable[Piece]) -> Iterator[Result]:
    """Work on pieces in as many threads as there are processors, each of which multiplies matrices by itself, and give
    the results in order: they are the same bits on any number of processors.

    A matrix product that is shared out among threads waits for the slowest, which a busy machine makes very slow."""
    pieces, waiting = iter(pieces), deque[Future[Result]]()
    with _libraries().limit(limits=1, user_api="blas"), ThreadPoolExecutor(cpu_count()) as pool:
        try:
            for piece in pieces:
                waiting.append(pool.submit(work, piece))
                if len(waiting) > cpu_count():
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


@cache
def _libraries() -> ThreadpoolController:
    """Return what limits the threads of libraries: to find these takes as long as to compare a picture."""
    return ThreadpoolController()


@contextmanager
def one_thread(worthwhile: bool = True) -> Iterator[None]:
    """Let faiss work on the calling thread alone inside, if that is worthwhile: to wake others takes longer than to
    compare one query with few rows, much longer where the processors are busy."""
    threads = faiss.omp_get_max_threads()
    if worthwhile:
        faiss.omp_set_num_threads(1)  # of the calling thread
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)
