"""Ray, imported and started so that it sends nothing and says nothing by itself."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dn2.errors import ClusterError, MissingExtra
from dn2.system.interface import option

logger = logging.getLogger("dn2")

SETTINGS = {
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # of which it would warn
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
}
QUIETLY = {"log_to_driver": False, "logging_level": logging.CRITICAL}
LOCALLY = {"include_dashboard": False}
LOGGERS = ("ray", "ray.data")
FAILURES = (ConnectionError, RuntimeError, ValueError, TimeoutError)


def import_ray() -> Any:
    """Import Ray, without its statistics of use, which it sends unless it is told not to.  Raises MissingExtra."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtra(f"{option('on', 'ray')} needs Ray; run: pip install 'dn2[ray]'") from error
    driver: Any = importlib.import_module("ray._private.worker")
    driver.print_to_stdstream = _note  # which prints to stdout, told so or not
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    return ray


def start(ray: Any, address: str | None, **settings: Any) -> None:
    """Connect to a cluster, or start one of this machine, which obeys whoever has its token.

    settings : further ones of `ray.init`.  Raises ClusterError."""
    try:
        with _silent():
            ray.init(address or "local", **QUIETLY, **({} if address else LOCALLY), **settings)
    except FAILURES as error:
        where = f"the cluster {address}" if address else "Ray on this machine"
        raise ClusterError(
            f"{where} cannot be used: {in_short(error)}; see that it runs, and that RAY_AUTH_MODE and its token "
            "are here as they are there"
        ) from error


def in_short(error: BaseException) -> str:
    """Return the last line of what an error says that says anything."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]


@contextmanager
def _silent() -> Iterator[None]:
    """Let nobody write to stderr inside: Ray does so from C++, even that it was told to say less."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _note(data: Mapping[str, Any], *_: Any, **__: Any) -> None:
    """Take what Ray says of its workers, such as that it starts a lost one again."""
    logger.debug("%s", " ".join(map(str, data.get("lines", ()))))
