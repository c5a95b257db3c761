"""An object store for tests: moto's server of S3, in a thread of this process."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

BUCKET = "parts"
ACCOUNT = "123456789012"  # moto's


@dataclass
class SmallStore:
    """A bucket, how a URL reaches it, and the requests that came, such as `GET /parts/a.png`, without their queries.

    backend : moto's, by which objects come and go without a request."""

    backend: Any
    query: str
    requests: list[str] = field(default_factory=list)

    def url(self, key: str) -> str:
        """Return the URL of an object or a folder, with what it takes to reach it."""
        return f"s3://{BUCKET}/{key}?{self.query}"

    def put(self, key: str, data: bytes) -> None:
        """Write an object."""
        self.backend.put_object(BUCKET, key, data)

    def put_folder(self, folder: Path, prefix: str = "") -> None:
        """Write the files below a folder as objects."""
        for file in folder.rglob("*"):
            if file.is_file():
                self.put(f"{prefix}{file.relative_to(folder).as_posix()}", file.read_bytes())

    def deny(self, key: str) -> None:
        """Let nobody read an object."""
        statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject"}
        policy = {"Statement": [{**statement, "Resource": f"arn:aws:s3:::{BUCKET}/{key}"}]}
        self.backend.put_bucket_policy(BUCKET, json.dumps(policy).encode())

    def remove(self, key: str) -> None:
        """Remove an object."""
        self.backend.delete_object(BUCKET, key)


class _Heard(logging.Handler):
    def __init__(self, requests: list[str]) -> None:
        super().__init__()
        self._requests = requests

    def emit(self, record: logging.LogRecord) -> None:
        if found := re.search(r"(GET|HEAD|PUT|POST) (/[^ ?]*)", record.getMessage()):
            self._requests.append(f"{found[1]} {found[2]}")


@pytest.fixture(scope="module")
def store() -> Iterator[SmallStore]:
    """Serve an empty bucket on loopback."""
    pytest.importorskip("pyarrow.fs", reason="object stores are read by pyarrow")
    server_of = pytest.importorskip("moto.server", reason="the store is moto's")
    from moto.s3.models import s3_backends

    server = server_of.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    heard = logging.getLogger("werkzeug")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("AWS_ACCESS_KEY_ID", "an-id"), ("AWS_SECRET_ACCESS_KEY", "a-secret")):
            patch.setenv(name, value)
        patch.setattr(heard, "handlers", [])
        patch.setattr(heard, "propagate", False)
        heard.setLevel(logging.INFO)
        server.start()
        host, port = server.get_host_and_port()
        backend = s3_backends[ACCOUNT]["aws"]
        backend.reset()
        backend.create_bucket(BUCKET, "us-east-1")
        made = SmallStore(backend, f"endpoint_override={host}:{port}&scheme=http&region=us-east-1")
        heard.addHandler(_Heard(made.requests))
        yield made
        server.stop()
