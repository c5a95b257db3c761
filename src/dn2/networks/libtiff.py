"""The errors that libtiff reports while it decodes: kept from stderr, and collected.

Left alone, libtiff writes its errors to the process's stderr, one for each damaged row and none with the file's name,
and Pillow returns a damaged fax (CCITT) as if it were whole.  Handlers of libtiff's own tell more than stderr would,
per thread, and leave the stderr of a program that uses dn2 as it is."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from PIL import _imaging

from dn2.networks.semaphore import WeightedSemaphore
from dn2.system.processes import PerProcess

LONGEST = 200
FAX = b"Fax"  # the prefix of the decoders whose warnings report damage, too: short rows, data that ends

# void handler(const char *module, const char *format, va_list arguments); a va_list is passed on by its address in the
# calling conventions of all processors that Pillow is built for.
_Handler = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
_Extender = ctypes.CFUNCTYPE(None, ctypes.c_void_p)

_listening = threading.local()
# While a fax is decoded no other picture is opened, at which Pillow would remove the handler of warnings.
_AT_ONCE = 1 << 16
_decoding = PerProcess(partial(WeightedSemaphore, _AT_ONCE))


@contextmanager
def hear_damage(*, fax: bool) -> Iterator[list[str]]:
    """Collect the first damage that libtiff reports in this thread, and keep its reports from stderr.

    fax : collect its warnings as well.
    Where Pillow was built so that its libtiff cannot be reached (on Windows), the list stays empty."""
    with _decoding.get().taken(_AT_ONCE if fax else 1):
        _listening.heard, _listening.to_warnings = (heard := list[str]()), fax
        try:
            yield heard
        finally:
            del _listening.heard


def _listens() -> bool:
    return hasattr(_listening, "heard")


def _hear(module: bytes | None, form: bytes | None, arguments: int | None) -> None:
    if not _listening.heard:
        text = ctypes.create_string_buffer(LONGEST)
        ctypes.pythonapi.PyOS_vsnprintf(
            text, ctypes.c_size_t(LONGEST), ctypes.c_char_p(form), ctypes.c_void_p(arguments)
        )
        words = (module or b"libtiff") + b": " + text.value
        _listening.heard.append(words.decode(errors="replace"))


def _install_handlers() -> tuple[Any, ...]:
    """Set the handlers for the rest of the process; threads that collect nothing report to the previous handlers.

    Returns the handlers, which must live as long as libtiff may call them; () where libtiff cannot be reached."""
    try:
        library = ctypes.CDLL(_imaging.__file__)
        set_errors, set_warnings = library.TIFFSetErrorHandler, library.TIFFSetWarningHandler
        set_extender = library.TIFFSetTagExtender
    except (AttributeError, OSError):
        return ()
    previous: dict[str, Any] = {}

    def error(module: bytes | None, form: bytes | None, arguments: int | None) -> None:
        if _listens():
            _hear(module, form, arguments)
        elif "errors" in previous:
            previous["errors"](module, form, arguments)

    def warning(module: bytes | None, form: bytes | None, arguments: int | None) -> None:
        if _listens() and (module or b"").startswith(FAX):
            _hear(module, form, arguments)
            set_warnings(None)  # one is enough

    def opened(file: int | None) -> None:
        # Called for each file, after Pillow has switched off the warnings, as it does for each picture.
        if _listens() and _listening.to_warnings:
            set_warnings(handlers[1])
        if "opened" in previous:
            previous["opened"](file)

    handlers = _Handler(error), _Handler(warning), _Extender(opened)
    for name, install, handler in (("errors", set_errors, handlers[0]), ("opened", set_extender, handlers[2])):
        install.restype = ctypes.c_void_p
        if address := install(handler):
            previous[name] = type(handler)(address)
    return handlers


HANDLERS = _install_handlers()
