"""Requests in line for a model: answered one by one, and together where many wait."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import NamedTuple

from dn2.model.answering import Asked, together
from dn2.results.rows import Row
from dn2.serve.limits import Limits, Refused

MOST_TOGETHER = 32  # items that are scored together
SECONDS_TO_WAIT = 1  # that a request is asked to wait for when the line is full


class Answer(NamedTuple):
    """Scored items; version : of the model that scored them."""

    rows: Sequence[Row]
    version: str


class _Waiting(NamedTuple):
    asked: Asked
    answer: Future[Answer]


class Line:
    """Threads that answer requests in the order in which they came.

    answer : scores what is asked about; threads : how many answer.
    One request is answered by one thread, as many at once as there are threads.  Where more wait, one thread takes
    several together, which costs less where the search among many reference items takes longest."""

    def __init__(self, answer: Callable[[Asked], Answer], threads: int, limits: Limits) -> None:
        self._score, self._limits = answer, limits
        self._waiting: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._is_open = True
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        return len(self._waiting)

    def ask(self, asked: Asked) -> Future[Answer]:
        """Put a request in line.  Raises Refused where too many wait, or the service ends."""
        with self._changed:
            if not self._is_open:
                raise Refused(503, "the service is about to end", SECONDS_TO_WAIT)
            if len(self._waiting) >= self._limits.waiting:
                raise Refused(429, f"{len(self._waiting):,} requests wait; come again", SECONDS_TO_WAIT)
            waiting = _Waiting(asked, Future())
            self._waiting.append(waiting)
            self._changed.notify()
        return waiting.answer

    def close(self) -> None:
        """Answer who waits, and end."""
        with self._changed:
            self._is_open = False
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while taken := self._take():
            self._answer(taken)

    def _take(self) -> list[_Waiting]:
        """Take the next request, and those like it where more wait than there are threads; none once it is closed."""
        with self._changed:
            while not self._waiting:
                if not self._is_open:
                    return []
                self._changed.wait()
            several = len(self._waiting) > len(self._threads)
            taken = [self._waiting.popleft()]
            n_items = len(taken[0].asked.items)
            while several and self._waiting and taken[0].asked.is_like(self._waiting[0].asked):
                n_items += len(self._waiting[0].asked.items)
                if n_items > MOST_TOGETHER:
                    break
                taken.append(self._waiting.popleft())
            return taken

    def _answer(self, taken: Sequence[_Waiting]) -> None:
        taken = [one for one in taken if one.answer.set_running_or_notify_cancel()]
        if not taken:
            return
        try:
            answer = self._score(together([one.asked for one in taken]))
        except BaseException as error:
            if len(taken) == 1:
                taken[0].answer.set_exception(error)
            else:  # of one of them, which must not fail the others
                for one in taken:
                    self._answer_alone(one)
            return
        start = 0
        for one in taken:
            end = start + len(one.asked.items) if len(taken) > 1 else len(answer.rows)
            one.answer.set_result(answer._replace(rows=answer.rows[start:end]))
            start = end

    def _answer_alone(self, one: _Waiting) -> None:
        try:
            one.answer.set_result(self._score(one.asked))
        except BaseException as error:
            one.answer.set_exception(error)
