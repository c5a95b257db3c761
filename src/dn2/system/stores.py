"""Object stores, through pyarrow: URLs that a user names, and the objects below them.

Only a `StoredPath` is ever opened, and only what a user names as an input becomes one.  A text that looks like a URL,
in a list, a table, a model or results, stays a text."""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import tempfile
import weakref
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from glob import has_magic
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from dn2.errors import InputError
from dn2.extras import import_file_systems
from dn2.system.naming import ending_of, is_url, without_options
from dn2.system.processes import PerProcess, cached_property

logger = logging.getLogger("dn2")

ANONYMOUS = "anonymous"  # before the bucket, as in gs://anonymous@bucket: the store is asked without keys
OPTIONS = {"s3": ("endpoint_override", "region", "scheme"), "gs": ("endpoint_override", "scheme")}
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")  # variables, which pyarrow reads
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")  # variables, which AWS's own tools read and pyarrow does not

# Seconds until a store that does not answer is given up, which is tried so often.
CONNECT, REQUEST, ATTEMPTS = 5, 20, 3

BUCKET = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
ENDING = re.compile(r"(\.\w{1,12}){0,2}", re.ASCII)  # of a copy, which must name no other place
LINE = re.compile(r"[\t\r\n]")  # which Python leaves out of URLs
WRITTEN_OUT = re.compile(r"[%?#*\[\x00-\x1f]")  # what has a meaning in a URL
LONGEST_WORDS = 300  # characters of what a store says
AT_ONCE = 1 << 22  # bytes
READ_AT_ONCE = 16  # objects: a store answers late, and many at once
AFTER_SLASH = chr(ord("/") + 1)


@dataclass(frozen=True)
class Store:
    """A bucket, and how it is reached: options of its URL by name."""

    scheme: str
    bucket: str
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class StoredPath(os.PathLike[str]):
    """An object, or the folder of all objects whose keys begin with its key and a slash; as a text, its URL.

    A pickle of it is its texts alone: each process opens the store, lists and copies for itself."""

    store: Store
    key: str

    def __fspath__(self) -> str:
        key = WRITTEN_OUT.sub(lambda found: f"%{ord(found[0]):02X}", self.key)
        return f"{self.store.scheme}://{self.store.bucket}/{key}"

    __str__ = __fspath__

    def __reduce__(self) -> tuple[Any, ...]:
        return StoredPath, (self.store, self.key)

    def __truediv__(self, name: str) -> StoredPath:
        return self.found(name) or StoredPath(self.store, self._below(name))

    @property
    def name(self) -> str:
        """The last part of its key, or of a whole bucket its name."""
        return self.parts[-1]

    @property
    def parts(self) -> tuple[str, ...]:
        """The bucket and the parts of the key."""
        return (self.store.bucket, *PurePosixPath(self.key).parts)

    def within(self, path: StoredPath) -> PurePosixPath:
        """Return the path of an object in this folder."""
        return PurePosixPath(path.key[len(self.key) :].lstrip("/"))

    def is_file(self) -> bool:
        """Tell whether it is an object.  Raises InputError as `objects` does."""
        return self.objects is None

    @cached_property
    def objects(self) -> list[StoredPath] | None:
        """All objects below a folder, listed once; None where it is an object itself.

        Raises InputError where nothing is there, or the store cannot be reached or does not allow it."""
        try:
            return self._list()
        except OSError as error:
            raise InputError(f"{self} cannot be listed: {error.strerror or error}") from error

    def _list(self) -> list[StoredPath] | None:
        fs, files = import_file_systems(), self._files()
        with _in_words():
            kind = files.get_file_info(self._whole).type
            below = fs.FileSelector(self._whole, recursive=True)
            found = files.get_file_info(below) if kind == fs.FileType.Directory else []
        if kind == fs.FileType.NotFound:
            raise InputError(f"{self} does not exist; name a folder or an object of the bucket")
        if kind == fs.FileType.File:
            return None
        start = len(self.store.bucket) + 1
        keys = sorted(one.path[start:] for one in found if one.type == fs.FileType.File)
        unnamed = {key for key in keys if "" in key.split("/")}
        if unnamed:
            example = StoredPath(self.store, min(unnamed))
            logger.warning(
                "%s: %s passed over, as a part of the key is empty, such as %s", self, f"{len(unnamed):,}", example
            )
        return [_known(self.store, key, None) for key in keys if key not in unnamed]

    def found(self, path: str) -> StoredPath | None:
        """Return an object, or a folder of objects, by its path in this folder, without asking the store again."""
        key, objects = self._below(path), self.objects or []
        first, inside, behind = (bisect_left(objects, end, key=_key) for end in (key, f"{key}/", f"{key}{AFTER_SLASH}"))
        if first < len(objects) and objects[first].key == key:
            return objects[first]
        return _known(self.store, key, objects[inside:behind]) if inside < behind else None

    def _below(self, path: str) -> str:
        return f"{self.key}/{path}" if self.key else path

    @contextmanager
    def opened(self) -> Iterator[tuple[Callable[[int], bytes], int]]:
        """Open an object: gives what reads so many bytes on, and its size.  Raises OSError."""
        files = self._files()
        with _in_words():
            file = files.open_input_file(self._whole)
            size = file.size()
        with file:
            yield _told(file.read), size

    @cached_property
    def copy(self) -> StoredCopy:
        """A copy of the object, made once, that is gone when nothing holds it.  Raises InputError."""
        try:
            with self.opened() as (read, size):
                if size > shutil.disk_usage(tempfile.gettempdir()).free:
                    raise InputError(f"{self} has {size:,} bytes, more than are free in {tempfile.gettempdir()}")
                copy = self._make_copy()
                with open(copy, "wb") as file:
                    while block := read(AT_ONCE):
                        file.write(block)
                    if file.tell() != size:
                        raise OSError(errno.EIO, f"it ends after {file.tell():,} of {size:,} bytes")
            return copy
        except OSError as error:
            raise InputError(f"{self} cannot be read: {error.strerror or error}") from error

    def _make_copy(self) -> StoredCopy:
        folder, ending = tempfile.mkdtemp(prefix="dn2-"), ENDING.fullmatch(ending_of(self.name))
        copy = StoredCopy(str(self), Path(folder, f"copy{'' if ending is None else ending[0]}"))
        weakref.finalize(copy, _remove, folder, os.getpid())
        return copy

    @property
    def _whole(self) -> str:
        """The path as pyarrow takes it."""
        return f"{self.store.bucket}/{self.key}" if self.key else self.store.bucket

    def _files(self) -> Any:
        return _file_systems.get()(self.store)


@dataclass(frozen=True)
class StoredCopy(os.PathLike[str]):
    """A copy of an object, which all words call by the object's URL."""

    url: str
    path: Path

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return self.url


AnyPath = Path | StoredPath
LocalPath = Path | StoredCopy  # of a file on this machine


def _known(store: Store, key: str, objects: list[StoredPath] | None) -> StoredPath:
    """Return a path of which it is known what lies below it."""
    path = StoredPath(store, key)
    vars(path)["objects"] = objects
    return path


def _key(path: StoredPath) -> str:
    return path.key


def here(path: AnyPath) -> LocalPath:
    """Return the path of a file on this machine: of an object, a copy of it.  Raises InputError."""
    return path.copy if isinstance(path, StoredPath) else path


def copy_all(paths: Iterable[AnyPath]) -> None:
    """Copy what are objects, several at once; one that cannot be copied says so where it is read."""
    from concurrent.futures import ThreadPoolExecutor  # which takes a while to import

    with ThreadPoolExecutor(READ_AT_ONCE, "dn2-copies") as pool:
        try:
            for _ in pool.map(_try_to_copy, [path for path in paths if isinstance(path, StoredPath)]):
                pass
        finally:
            pool.shutdown(cancel_futures=True)  # an interrupted run does not wait for those that are queued


def _try_to_copy(path: StoredPath) -> None:
    with suppress(InputError):
        _ = path.copy


def parse_url(url: str) -> StoredPath:
    """Return what a URL of a user's names, without looking it up.

    Raises InputError for keys in it, for an option that the store does not have, and for a glob."""
    shown = without_options(url)
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:  # whose words may be of a key
        raise InputError(f"{shown!r} is no URL of an object store, such as s3://BUCKET/PATH?region=NAME") from None
    user, _, bucket = parts.netloc.rpartition("@")
    if user not in ("", ANONYMOUS):
        raise InputError(
            f"{shown!r} must have no keys in it, where they are seen; set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or GOOGLE_APPLICATION_CREDENTIALS"
        )
    if not BUCKET.fullmatch(bucket) or parts.fragment or LINE.search(url):
        raise InputError(f"{shown!r} must be s3://BUCKET/PATH or gs://BUCKET/PATH, where # is written %23 and ? %3F")
    if has_magic(parts.path):
        raise InputError(f"{shown!r}: globs match no objects; name the folder, or write * as %2A and [ as %5B")
    scheme = "s3" if parts.scheme == "s3" else "gs"
    if unknown := [name for name in options if name not in OPTIONS[scheme]]:
        known = ", ".join(OPTIONS[scheme])
        raise InputError(f"{shown!r} has the option {unknown[0]!r:.40}, and a URL of {scheme} has {known}")
    said = options | ({ANONYMOUS: ANONYMOUS} if user else {})
    return StoredPath(Store(scheme, bucket, tuple(sorted(said.items()))), unquote(parts.path).strip("/"))


def name_stored(path: Any) -> Any:
    """Return what a user names with a path in place of a URL, and anything else unchanged.  Raises InputError."""
    return parse_url(path) if isinstance(path, str) and is_url(path) else path


def _connect(store: Store) -> Any:
    """Open a store.  Raises OSError, and MissingExtra without pyarrow."""
    fs, options = import_file_systems(), dict(store.options)
    is_anonymous = options.pop(ANONYMOUS, None) is not None
    with _in_words():
        if store.scheme == "gs":
            limit = timedelta(seconds=CONNECT)
            return fs.GcsFileSystem(anonymous=is_anonymous, retry_time_limit=limit, **options)
        if "endpoint_override" not in options:
            options = _endpoint() | options
        if "endpoint_override" not in options and not any(map(os.environ.get, REGIONS)):
            options.setdefault("region", fs.resolve_s3_region(store.bucket))
        return fs.S3FileSystem(
            anonymous=is_anonymous,
            connect_timeout=CONNECT,
            request_timeout=REQUEST,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
            **options,
        )


def _endpoint() -> dict[str, str]:
    """Return the options for the endpoint that a variable of the environment names."""
    url = urlsplit(next(filter(None, map(os.environ.get, ENDPOINTS)), ""))
    return {"endpoint_override": url.netloc, "scheme": url.scheme} if url.netloc else {}


_file_systems = PerProcess(lambda: cache(_connect))


@contextmanager
def _in_words() -> Iterator[None]:
    """Make OSError, with its words in one line, of whatever pyarrow raises inside."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, "it does not exist in the store") from error
    except (OSError, ValueError, NotImplementedError) as error:  # the last two are pyarrow's own
        words = " ".join(str(error).split())
        raise OSError(errno.EIO, f"{words:.{LONGEST_WORDS}}") from error


def _told(read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    def reading(size: int) -> bytes:
        with _in_words():
            return read(size)

    return reading


def _remove(folder: str, owner: int) -> None:
    if owner == os.getpid():  # and not in a forked child, whose parent still reads it
        shutil.rmtree(folder, ignore_errors=True)
