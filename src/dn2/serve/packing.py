"""Items as they were sent, as bytes and back."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any


def pack(item: Any) -> bytes:
    """Return an item as it was sent, a picture, a group of them or JSON, as bytes."""
    if isinstance(item, bytes):
        return b"P" + item
    if isinstance(item, tuple):
        return b"G" + json.dumps([b64encode(picture).decode() for picture in item]).encode()
    return b"J" + json.dumps(item).encode()


def unpack(content: bytes) -> Any:
    """Return the item that `pack` was given."""
    form, data = content[:1], content[1:]
    if form == b"P":
        return data
    return tuple(map(b64decode, json.loads(data))) if form == b"G" else json.loads(data)
