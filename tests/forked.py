"""Work in a forked child of the test."""

from __future__ import annotations

import os
import pickle
import signal
import traceback
from collections.abc import Callable
from multiprocessing.connection import wait
from typing import Any

LONGEST = 60  # seconds; a child that hangs would hang for ever


def in_child(work: Callable[[], Any]) -> Any:
    """Do some work in a forked child and return what it gives.  Fails if the child hangs, or ends otherwise."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            answer: Any = work()
        except BaseException as error:  # which must not go on into the tests that follow
            answer = "".join(traceback.format_exception(error))
        with open(writer, "wb") as file:
            file.write(pickle.dumps(answer))
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        hangs = not wait([file], LONGEST)
        if hangs:
            os.kill(child, signal.SIGKILL)
        written = file.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert not hangs, "the child hangs"
    assert status == 0
    return pickle.loads(written)  # noqa: S301
