"""Requests in line: answered in order, together where many wait, and none fails another."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from dn2.errors import InputError
from dn2.model.answering import Asked
from dn2.results.rows import Row
from dn2.serve.limits import Limits, Refused
from dn2.serve.line import Answer, Line


class Slow:
    """Answers with a row an item, once it may, and remembers what it was asked at once."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.asked: list[list[str]] = []

    def __call__(self, asked: Asked) -> Answer:
        self.asked.append(list(asked.names or ()))
        assert self.may.wait(10)
        if "wrong" in (asked.names or ()):
            raise InputError("one is wrong")
        return Answer([Row(name) for name in asked.names or ()], "v")


def ask(line: Line, *names: str) -> Future[Answer]:
    return line.ask(Asked(list(names), list(names)))


def items(answer: Future[Answer]) -> list[str]:
    return [row.item for row in answer.result(10).rows]


def started(slow: Slow, line: Line) -> Future[Answer]:
    """Ask once, and wait until that is being answered, so that what comes now waits."""
    first = ask(line, "first")
    while not slow.asked:
        pass
    return first


def test_requests_that_wait_are_answered_together_each_with_its_own_rows() -> None:
    slow = Slow()
    line = Line(slow, 1, Limits())
    first = started(slow, line)
    answers = [ask(line, "a", "b"), ask(line, "c"), ask(line, "d")]
    slow.may.set()
    assert [items(one) for one in (first, *answers)] == [["first"], ["a", "b"], ["c"], ["d"]]
    assert slow.asked == [["first"], ["a", "b", "c", "d"]]
    line.close()


def test_a_fault_at_one_request_is_none_of_those_beside_it() -> None:
    def score(asked: Asked) -> Answer:
        if "first" in (asked.names or ()):
            assert may.wait(10)
        if "fault" in (asked.names or ()):
            raise ZeroDivisionError
        return Answer([Row(name) for name in asked.names or ()], "v")

    may = threading.Event()
    line = Line(score, 1, Limits())
    answers = [ask(line, name) for name in ("first", "a", "fault", "b")]
    may.set()
    assert [items(answers[place]) for place in (0, 1, 3)] == [["first"], ["a"], ["b"]]
    with pytest.raises(ZeroDivisionError):
        answers[2].result(10)
    line.close()


def test_a_request_that_is_wrong_fails_none_of_those_beside_it() -> None:
    slow = Slow()
    line = Line(slow, 1, Limits())
    started(slow, line)
    before, wrong, after = ask(line, "before"), ask(line, "wrong"), ask(line, "after")
    slow.may.set()
    assert (items(before), items(after)) == (["before"], ["after"])
    with pytest.raises(InputError, match="one is wrong"):
        wrong.result(10)
    line.close()


def test_a_request_is_asked_to_come_again_once_too_many_wait() -> None:
    slow = Slow()
    line = Line(slow, 1, Limits(waiting=2))
    started(slow, line)
    ask(line, "second")
    ask(line, "third")
    with pytest.raises(Refused) as refused:
        ask(line, "fourth")
    assert (refused.value.status, refused.value.retry_after) == (429, 1)
    slow.may.set()
    line.close()


def test_a_line_that_closes_answers_who_waits_and_takes_nobody_more() -> None:
    slow = Slow()
    line = Line(slow, 2, Limits())
    started(slow, line)
    waits = ask(line, "waits")
    threading.Timer(0.1, slow.may.set).start()
    line.close()
    assert items(waits) == ["waits"]
    with pytest.raises(Refused, match="about to end"):
        ask(line, "late")


def test_a_request_that_nobody_waits_for_any_more_is_not_answered() -> None:
    slow = Slow()
    line = Line(slow, 1, Limits())
    started(slow, line)
    gone = ask(line, "gone")
    assert gone.cancel()
    slow.may.set()
    line.close()
    assert slow.asked == [["first"]]


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (Asked([b"a"], ["a"]), Asked([b"b"], ["b"]), True),
        (Asked([b"a"], ["a"], part=["p"]), Asked([b"b"], ["b"]), False),
        (Asked([b"a"], ["a"], part=["p"]), Asked([b"b"], ["b"], part=["q"]), True),
        (Asked([{"amount": "1.5"}], ["a"]), Asked([{"amount": "1,5"}], ["b"]), False),
        (Asked({"amount": [1]}), Asked({"amount": [2]}), False),
    ],
)
def test_what_is_scored_together_cannot_change_how_the_other_is_read(one: Asked, other: Asked, alike: bool) -> None:
    assert one.is_like(other) == alike
