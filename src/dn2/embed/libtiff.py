"""What libtiff says of a file while it decodes: kept from stderr, and heard.

Left alone, libtiff writes its errors to the process's stderr, one for each damaged row and none with the file's name,
and Pillow returns a damaged fax (CCITT) as if it were whole.  An error handler of libtiff's own tells more than stderr
would, per thread, and leaves the stderr of a program that uses dn2 as it is."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import _imaging

LONGEST = 200

# void handler(const char *module, const char *format, va_list arguments); a va_list is passed on by its address in the
# calling conventions of all processors that Pillow is built for.
_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
_listening = threading.local()


@contextmanager
def errors_heard() -> Iterator[list[str]]:
    """Collect the first error that libtiff reports in this thread, instead of letting it write all of them.

    Where Pillow was built so that its libtiff cannot be reached (on Windows), nothing is heard."""
    _listening.errors = errors = list[str]()
    try:
        yield errors
    finally:
        del _listening.errors


def _installed() -> Any:
    """Set the handler for the rest of the process; errors outside of `errors_heard` go where they went before."""
    try:
        install = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
    except (AttributeError, OSError):
        return None
    install.argtypes, install.restype = [_HANDLER], ctypes.c_void_p
    before: list[Any] = []

    def hear(module: bytes | None, form: bytes | None, arguments: int | None) -> None:
        errors = getattr(_listening, "errors", None)
        if errors is None:
            for other in before:
                other(module, form, arguments)
        elif not errors:
            text = ctypes.create_string_buffer(LONGEST)
            ctypes.pythonapi.PyOS_vsnprintf(
                text, ctypes.c_size_t(LONGEST), ctypes.c_char_p(form), ctypes.c_void_p(arguments)
            )
            errors.append(f"{(module or b'libtiff').decode(errors='replace')}: {text.value.decode(errors='replace')}")

    handler = _HANDLER(hear)
    address = install(handler)
    if address:
        before.append(_HANDLER(address))
    return handler


HANDLER = _installed()  # which must live as long as libtiff may call it; None where libtiff cannot be reached
