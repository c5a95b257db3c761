"""Services of small models, for tests: as an application in this process, or as a process of its own."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

import dn2
from dn2.model.answering import Policy
from dn2.serve.app import make_app
from dn2.serve.limits import Limits
from dn2.serve.running import Settings, open_service
from dn2.serve.service import Service

SECONDS_TO_START = 60


def vectors(n: int, seed: int = 0) -> Any:
    """Draw vectors, (n, 4)."""
    return np.random.default_rng(seed).normal(size=(n, 4))


def png(seed: int, *, strange: bool = False) -> bytes:
    """Make a picture as the bytes of a file: even noise, with a black square where it is strange."""
    pixels = np.random.default_rng(seed).integers(110, 130, (40, 40, 3), np.uint8)
    if strange:
        pixels[8:32, 8:32] = 0
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="session")
def saved_vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a saved model of vectors, of which copies are served."""
    folder = tmp_path_factory.mktemp("served") / "points.dn2"
    dn2.fit(vectors(300), names=[f"point {n}" for n in range(300)]).save(folder)
    return folder


@pytest.fixture(scope="session")
def saved_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a saved model of pictures, of which copies are served."""
    folder = tmp_path_factory.mktemp("served") / "parts.dn2"
    pictures = {f"good {seed}.png": png(seed) for seed in range(120)}
    dn2.fit(pictures, backbone="lite0@32", false_alarm_rate=0.02, cache=False).save(folder)
    return folder


Opening = Callable[..., tuple[TestClient, Service]]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opening]:
    """Return what opens a service of saved models in this process: its client, and the service."""
    services: list[Service] = []

    def open_models(
        *models: Path,
        policy: Policy = Policy(),  # noqa: B008  nothing changes it
        limits: Limits = Limits(),  # noqa: B008
        tokens: str = "",
        keep: int = 1 << 30,
    ) -> tuple[TestClient, Service]:
        file = None
        if tokens:
            file = tmp_path / "tokens"
            file.write_text(tokens)
        settings = Settings(models, "127.0.0.1", 0, tmp_path / "data", keep, file, policy, limits)
        service = open_service(settings)
        services.append(service)
        app = make_app(service, is_local=not tokens)
        return TestClient(app, base_url="http://localhost", follow_redirects=False), service

    yield open_models
    for service in services:
        service.close()


class Process:
    """A service as a process of its own."""

    def __init__(self, data: Path, *models: Path, options: tuple[str, ...] = ()) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._command = [sys.executable, "-m", "dn2", "serve", *map(str, models), "--data", str(data)]
        self._command += ["--port", str(self.port), *options]
        self.start()

    @property
    def address(self) -> str:
        """Where it is reached."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
        end = time.monotonic() + SECONDS_TO_START
        while True:
            try:
                urllib.request.urlopen(f"{self.address}/readyz", timeout=5).close()
                return
            except OSError:
                assert self.process.poll() is None, self.process.communicate()[1]
                assert time.monotonic() < end
                time.sleep(0.02)

    def kill(self) -> None:
        """Kill it, as a power cut would."""
        self.process.kill()
        self.process.communicate()

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Let it end; return its exit status, and what it said."""
        self.process.send_signal(number)
        said = self.process.communicate(timeout=60)[1]
        return self.process.returncode, said


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Return what starts a service of saved models as a process."""
    started: list[Process] = []

    def start(*models: Path, options: tuple[str, ...] = ()) -> Process:
        process = Process(tmp_path / f"data {len(started)}", *models, options=options)
        started.append(process)
        return process

    yield start
    for one in started:
        if one.process.poll() is None:
            one.kill()
        elif one.process.stderr is not None:
            one.process.stderr.close()
