"""What happens to models that someone forged: files changed, with every digest made right again.

Run: python benchmarks/forged_models.py [--only WORD]

One model of each kind is saved, and forged in every way of `forgeries`: each array of each file with other numbers,
another type, another shape or place; each file of rows with other names, values or depths; each value of `model.json`
with another; backbones that name files, devices and hubs; links, pipes and devices in the place of files.  Each forged
model is verified, loaded and described, asked to score, and its page is made, in a process of its own with 8 GiB of
addresses that notes what Python opens.  A forged model is to be refused in one line, or to score as the original does.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from common import begin

SECONDS = 5.0
ADDRESSES = 8 << 30
OUTSIDE = ("/dev/zero", "/etc/passwd", "socket")
DTYPES = {"F32": "<f4", "F64": "<f8", "I64": "<i8", "U64": "<u8", "U8": "u1", "F16": "<f2"}

Header = dict[str, Any]


class Saved(NamedTuple):
    """A saved model in memory: what `model.json` says, and the bytes of each file by name."""

    manifest: dict[str, Any]
    files: dict[str, bytes]


class Forgery(NamedTuple):
    """A forged model: its name, and what makes it of the folder of a good one."""

    name: str
    forge: Callable[[Path], None]


# Models


def make_models(folder: Path, names: Sequence[str]) -> dict[str, tuple[Path, Any]]:
    """Save a model of each kind that is named, of all if none is, with what it is asked to score."""
    import dn2

    digits = load_digits()
    for name, digit in (("good", 3), ("new", 4)):
        (folder / name).mkdir()
        for place in np.flatnonzero(digits.target == digit)[:60].tolist():
            picture = Image.fromarray((digits.images[place] * 15.9).astype(np.uint8))
            picture.resize((32, 32)).save(folder / name / f"{place:04d}.png")
    rng = np.random.default_rng(0)
    np.save(folder / "v.npy", rng.normal(size=(300, 16)).astype(np.float32))
    np.save(folder / "new.npy", rng.normal(size=(30, 16)).astype(np.float32))
    rows = "\n".join(f"r{n},{rng.normal():.4f},{rng.normal():.4f},{'xyz'[rng.integers(3)]}" for n in range(200))
    (folder / "rows.csv").write_text(f"id,a,b,c\n{rows}\n")
    words = ["pump", "valve", "order", "price", "invoice", "please", "send", "thanks", "today"]
    (folder / "texts.txt").write_text("\n".join(" ".join(rng.choice(words, 6)) for _ in range(150)))
    beats = "\n".join(f"{n},{np.sin(n / 10) + rng.normal() * 0.05:.4f}" for n in range(1500))
    (folder / "series.csv").write_text(f"time,v\n{beats}\n")
    network = write_network(folder) if not names else ""
    fits: dict[str, tuple[Any, dict[str, Any], Any]] = {
        "pictures": (folder / "good", {"backbone": "lite0@32"}, folder / "new"),
        "own network": (folder / "good", {"backbone": network}, folder / "new"),
        "contaminated": (folder / "good", {"backbone": network, "contaminated": True}, folder / "new"),
        "vectors": (folder / "v.npy", {}, folder / "new.npy"),
        "centroids": (folder / "v.npy", {"index": "kmeans:5"}, folder / "new.npy"),
        "halves": (folder / "v.npy", {"storage": "float16"}, folder / "new.npy"),
        "bytes": (folder / "v.npy", {"storage": "uint8"}, folder / "new.npy"),
        "table": (folder / "rows.csv", {"id_column": "id"}, folder / "rows.csv"),
        "messages": (folder / "texts.txt", {"backbone": "characters"}, folder / "texts.txt"),
        "series": (folder / "series.csv", {"time": "time"}, folder / "series.csv"),
    }
    models = {}
    for name in names or fits:
        inputs, options, queries = fits[name]
        place = folder / f"{name.replace(' ', '-')}.dn2"
        dn2.fit(inputs, **options).save(place)
        models[name] = place, str(queries)
    return models


def write_network(folder: Path) -> str:
    """Write an ONNX network that pools a picture to 8 x 8 x 3 values, and its recipe."""
    import onnx
    from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info

    picture = make_tensor_value_info("picture", onnx.TensorProto.FLOAT, [1, 3, 64, 64])
    vector = make_tensor_value_info("vector", onnx.TensorProto.FLOAT, [1, 192])
    pooled = make_node("AveragePool", ["picture"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8])
    graph = make_graph([pooled, make_node("Flatten", ["pooled"], ["vector"])], "tiny", [picture], [vector])
    onnx.save(make_model(graph, opset_imports=[make_opsetid("", 13)], ir_version=8), folder / "tiny.onnx")
    (folder / "tiny.json").write_text('{"size": [64, 64]}')
    return str(folder / "tiny.onnx")


# Forging


def read(folder: Path) -> Saved:
    """Read a saved model without dn2."""
    manifest = json.loads((folder / "model.json").read_text())
    return Saved(manifest, {name: (folder / name).read_bytes() for name in manifest["files"]})


def write(folder: Path, model: Saved) -> None:
    """Write a model under names and digests that are right for its bytes."""
    shutil.rmtree(folder)
    folder.mkdir()
    manifest = {**model.manifest, "contents": {}, "files": {}}
    for kind, names in model.manifest["contents"].items():
        manifest["contents"][kind] = []
        for name in names:
            digest = hashlib.sha256(model.files[name]).hexdigest()
            right = f"{kind}-{digest[:16]}.{name.rpartition('.')[2]}"
            (folder / right).write_bytes(model.files[name])
            manifest["contents"][kind].append(right)
            manifest["files"][right] = digest
    seal(folder, manifest)


def seal(folder: Path, manifest: dict[str, Any]) -> None:
    """Write `model.json` with the digest of its bytes."""
    manifest = {key: value for key, value in manifest.items() if key != "digest"}
    body = json.dumps(manifest, indent=1).encode()[:-2] + b",\n "
    digest = hashlib.sha256(body).hexdigest()
    (folder / "model.json").write_bytes(body + f'"digest": "{digest}"\n}}\n'.encode())


def split_tensors(data: bytes) -> tuple[Header, bytes]:
    """Return header and data of a safetensors file."""
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def join_tensors(header: Header, data: bytes) -> bytes:
    """Put a safetensors file together."""
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def change_file(kind: str, number: int, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Forge one file of a kind."""

    def forge(folder: Path) -> None:
        model = read(folder)
        name = model.manifest["contents"][kind][number]
        write(folder, Saved(model.manifest, {**model.files, name: change(model.files[name])}))

    return forge


def change_manifest(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    """Forge `model.json`."""

    def forge(folder: Path) -> None:
        model = read(folder)
        change(model.manifest)
        seal(folder, model.manifest)

    return forge


def of_arrays(model: Saved) -> Iterator[Forgery]:
    """Change each array of each file."""
    for kind, names in model.manifest["contents"].items():
        if not names[0].endswith(".safetensors"):
            continue
        header, _ = split_tensors(model.files[names[0]])
        for key, entry in header.items():
            for what, change in (numbers_of(entry["dtype"]) | PLACES).items():
                if 0 in entry["shape"] and what not in PLACES:
                    continue

                def forged(data: bytes, key: str = key, change: Any = change, what: str = what) -> bytes:
                    header, rest = split_tensors(data)
                    if what in PLACES:
                        change(header, key)
                        return join_tensors(header, rest)
                    first, last = header[key]["data_offsets"]
                    array = np.frombuffer(rest[first:last], DTYPES[header[key]["dtype"]]).reshape(header[key]["shape"])
                    changed = np.ascontiguousarray(change(array.copy()))
                    return join_tensors(header, rest[:first] + changed.tobytes() + rest[last:])

                yield Forgery(f"{kind}: {key}: {what}", change_file(kind, 0, forged))


def numbers_of(dtype: str) -> dict[str, Callable[[Any], Any]]:
    """Return what may be done to the numbers of an array."""

    def filled(value: Any) -> Callable[[Any], Any]:
        return lambda array: np.full_like(array, value)

    def first(value: Any) -> Callable[[Any], Any]:
        def change(array: Any) -> Any:
            array.reshape(-1)[0] = value
            return array

        return change

    changes = {"zeros": filled(0), "reversed": lambda array: array[::-1]}
    if dtype.startswith("F"):
        huge = 6e4 if dtype == "F16" else 1e37
        values = {"NaN": np.nan, "infinity": np.inf, "huge": huge, "negative": -1}
        return (
            changes
            | {f"one {name}": first(value) for name, value in values.items()}
            | {f"all {name}": filled(value) for name, value in values.items()}
        )
    if dtype == "I64":
        values = {"negative": -1, "huge": 1 << 62, "just beyond": 1 << 20}
        return changes | {f"one {name}": first(value) for name, value in values.items()} | {"all ones": filled(1)}
    return changes | {"all 255": filled(255), "one 255": first(255)}


def _set(**values: Any) -> Callable[[Header, str], None]:
    return lambda header, key: header[key].update(values)


def _shift(by: int) -> Callable[[Header, str], None]:
    def change(header: Header, key: str) -> None:
        header[key]["data_offsets"] = [place + by for place in header[key]["data_offsets"]]

    return change


PLACES: dict[str, Callable[[Header, str], None]] = {
    "before the file": _shift(-(1 << 20)),
    "far before the file": _shift(-(1 << 40)),
    "in the header": _shift(-8),
    "behind the file": _shift(1 << 30),
    "no shape": _set(shape=[]),
    "a negative shape": _set(shape=[-1, 16]),
    "a shape beyond memory": _set(shape=[1 << 40, 16]),
    "a shape that overflows": _set(shape=[1 << 61, 8]),
    "a shape of texts": _set(shape=["1", 16]),
    "another type": _set(dtype="I64"),
    "an unknown type": _set(dtype="BF16"),
    "not there": lambda header, key: header.pop(key),
}


def of_rows(model: Saved) -> Iterator[Forgery]:
    """Change each file of rows."""
    hostile = "\x1b]0;owned\x07\x1b[2J\u202e<script>alert(1)</script>"
    for kind, names in model.manifest["contents"].items():
        if not names[0].endswith(".jsonl"):
            continue
        first = json.loads(model.files[names[0]].splitlines()[0])
        values = {"a number": 5, "a list": ["x"], "null": None, "half a character": "\ud800", "hostile": hostile}
        values |= {"very long": "A" * 100_000_000, "a NUL": "a\0b", "truth": True, "huge": 1e308, "tiny": 1e-320}
        for field in first:
            for what, value in values.items():

                def one(data: bytes, field: str = field, value: Any = value) -> bytes:
                    rows = [json.loads(line) for line in data.splitlines()]
                    rows[0][field] = value
                    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)

                yield Forgery(f"{kind}: {field}: {what}", change_file(kind, 0, one))
        whole: dict[str, Callable[[bytes], bytes]] = {
            "empty": lambda data: b"",
            "one row less": lambda data: data[: data[:-1].rfind(b"\n") + 1],
            "every row the first": lambda data: (data.splitlines()[0] + b"\n") * len(data.splitlines()),
            "deep": lambda data: b"[" * 100_000 + b"]" * 100_000 + b"\n",
            "an integer of 6,000 digits": lambda data: b'{"item":' + b"9" * 6000 + b"}\n",
            "no rows but numbers": lambda data: b"5\n" * len(data.splitlines()),
            "a million rows": lambda data: (data.splitlines()[0] + b"\n") * 1_000_000,
            "no UTF-8": lambda data: data.replace(b"a", b"\xff"),
        }
        for what, change in whole.items():
            yield Forgery(f"{kind}: {what}", change_file(kind, 0, change))


def of_manifest(model: Saved) -> Iterator[Forgery]:
    """Change each value of `model.json`, and what it is made of."""
    odd: list[Any] = [None, True, -1, 0, 1e308, 10**12, "x", "\x1b[31m", [], {}]

    def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                yield from leaves(inner, (*path, key))
        else:
            yield path

    for number, path in enumerate(
        leaves({key: one for key, one in model.manifest.items() if key not in ("digest", "files")})
    ):
        value = odd[number % len(odd)]

        def change(manifest: dict[str, Any], path: tuple[Any, ...] = path, value: Any = value) -> None:
            for key in path[:-1]:
                manifest = manifest[key]
            manifest[path[-1]] = value

        yield Forgery(f"model.json: {'.'.join(map(str, path))} = {value!r:.20}", change_manifest(change))


def of_backbones(canary: Path) -> Iterator[Forgery]:
    """Name files, devices and hubs that a model must not reach."""
    (canary / "secret.json").write_text('{"secret": "TOPSECRET"}')
    (canary / "secret.onnx").write_bytes(b"x" * 100)
    os.mkfifo(canary / "fifo.onnx")
    (canary / "zero.onnx").symlink_to("/dev/zero")
    names = [str(canary / one) for one in ("secret.onnx", "fifo.onnx", "zero.onnx", "none.onnx")]
    names += ["timm/hf-hub:attacker/evil", "timm/local-dir:" + str(canary), f"timm/resnet18:{canary / 'secret.onnx'}"]
    names += ["attacker/evil", "attacker/evil+characters", str(canary), f"{canary}+characters", "../../etc/passwd", ""]
    for name in names:

        def change(manifest: dict[str, Any], name: str = name) -> None:
            manifest["embedder"]["backbone"] = name

        yield Forgery(f"backbone {name.replace(str(canary), 'CANARY')!r}", change_manifest(change))

    def paths(data: bytes) -> bytes:
        rows = [json.loads(line) for line in data.splitlines()]
        return b"".join(json.dumps({**row, "path": str(canary / "fifo.onnx")}).encode() + b"\n" for row in rows)

    yield Forgery("items: path: a pipe elsewhere", change_file("items", 0, paths))


def of_folders() -> Iterator[Forgery]:
    """Put something else in the place of a file."""

    def in_place_of(kind: str, put: Callable[[Path], None]) -> Callable[[Path], None]:
        def forge(folder: Path) -> None:
            name = (
                kind if kind == "model.json" else json.loads((folder / "model.json").read_text())["contents"][kind][0]
            )
            put(folder / name)

        return forge

    def link(to: str) -> Callable[[Path], None]:
        return lambda path: (path.unlink(), path.symlink_to(to))[1]

    def moved(path: Path) -> None:
        outside = path.parent.parent / f"outside-{path.name}"
        shutil.move(path, outside)
        path.symlink_to(outside)

    def sized(size: int) -> Callable[[Path], None]:
        return lambda path: os.truncate(path, size)

    ways: dict[str, Callable[[Path], None]] = {
        "a link to itself elsewhere": moved,
        "a link to /etc/passwd": link("/etc/passwd"),
        "a link to /dev/zero": link("/dev/zero"),
        "a pipe": lambda path: (path.unlink(), os.mkfifo(path))[1],
        "a folder": lambda path: (path.unlink(), path.mkdir())[1],
        "missing": lambda path: path.unlink(),
        "cut off": sized(100),
        "20 GB of holes": sized(20 << 30),
    }
    for kind in ("model.json", "items", "reference", "reference-scores"):
        for what, put in ways.items():
            yield Forgery(f"{kind}: {what}", in_place_of(kind, put))
    texts: dict[str, bytes] = {
        "deep": b"[" * (5 << 20) + b"]" * (5 << 20),
        "five million objects": b'{"format":2,"a":[' + b"{}," * (5 << 20) + b"{}]}",
        "60 MB": b'{"format":2,"a":"' + b"x" * (60 << 20) + b'"}',
        "an integer of a million digits": b'{"format":' + b"9" * (1 << 20) + b"}",
        "UTF-16": '{"format": 2}'.encode("utf-16"),
    }
    for what, text in texts.items():
        yield Forgery(f"model.json: {what}", lambda folder, text=text: (folder / "model.json").write_bytes(text))
    yield Forgery(
        "the reference a thousand times",
        change_manifest(
            lambda manifest: manifest["contents"].update(reference=manifest["contents"]["reference"] * 1000)
        ),
    )


def forgeries(name: str, model: Saved, canary: Path) -> Iterator[Forgery]:
    """List the forgeries of one model."""
    yield from of_arrays(model)
    if name in ("vectors", "table"):
        yield from of_rows(model)
    if name in ("pictures", "contaminated", "vectors", "table", "messages", "series"):
        yield from of_manifest(model)
    if name == "vectors":
        yield from of_folders()
    if name in ("pictures", "messages"):
        yield from of_backbones(canary / name)


# Trying


def work() -> None:
    """Try each model whose folder and queries come in a line, and answer in a line."""
    import logging

    import dn2
    from dn2.cli.app import app  # noqa: F401  so that what it imports is not counted
    from dn2.model.loading import verify

    logging.disable()
    opened: list[str] = []

    def audit(event: str, given: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(given[0], str):
            opened.append(given[0])
        elif event in ("socket.connect", "socket.getaddrinfo"):
            opened.append(f"{event} {given[1:]}")

    sys.addaudithook(audit)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    for line in sys.stdin:
        folder, queries = json.loads(line)
        opened.clear()
        steps = [time.perf_counter()]
        verified, answer, scores, loads = "whole", "loaded", [], False
        try:
            verify(Path(folder))
        except dn2.Dn2Error as error:
            verified = str(error)
        except BaseException as error:
            verified = f"OTHER {error!r}"
        try:
            steps.append(time.perf_counter())
            model = dn2.load(folder)
            model.describe()
            loads = True
            steps.append(time.perf_counter())
            results = model.score(queries)
            scores = [(row.anomaly_score, row.p_value) for row in results]
            steps.append(time.perf_counter())
            results.to_html(f"{folder}.html")
        except dn2.Dn2Error as error:
            answer = str(error)
        except BaseException as error:
            answer = f"OTHER {error!r}"
        steps.append(time.perf_counter())
        seconds = max(np.diff(steps).tolist())  # of the slowest step
        outside = [
            path for path in opened if "CANARY" in path or path.startswith(("/dev/zero", "/etc/passwd", "socket"))
        ]
        print(json.dumps([verified[:500], answer[:500], scores, seconds, outside, loads]), flush=True)


class Worker:
    """A process that tries models; a new one after a crash or a timeout."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def tried(self, folder: Path, queries: str) -> list[Any] | str:
        """Return what `work` answers of a model, or what became of the process."""
        if self.process is None:
            command = [sys.executable, __file__, "--work"]
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write((json.dumps([str(folder), queries]) + "\n").encode())
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], 8 * SECONDS)
        line = self.process.stdout.readline() if ready else b""
        if line:
            return list(json.loads(line))
        status = self.close()
        return f"no answer within {8 * SECONDS:.0f} s" if not ready else f"the process ended with {status}"

    def close(self) -> int | None:
        """End the process; returns what it ended with."""
        if self.process is None:
            return None
        with self.process as process:
            process.kill()
            status = process.wait()
        self.process = None
        return status


@dataclass(frozen=True)
class Sizes:
    """Which models are forged, all if none is named, and with which word in the names of the forgeries."""

    models: tuple[str, ...] = ()
    only: str = ""


SMALLEST = Sizes(models=("vectors",), only=": null")


def main(arguments: Sequence[str] | None = None) -> None:
    """Forge models, try them, print what became of them."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST, {"--work": {"action": "store_true"}})
    given = run.sizes
    if run.options.work:
        work()
        return
    report = run.report("forged_models")
    counts: Counter[str] = Counter()
    slowest = (0.0, "")
    with tempfile.TemporaryDirectory() as place, contextlib.closing(Worker()) as worker:
        folder = Path(place)
        for name, (good, queries) in make_models(folder, given.models).items():
            canary = folder / "CANARY" / name
            canary.mkdir(parents=True)
            expected = worker.tried(good, queries)
            assert expected[:2] == ["whole", "loaded"], expected
            for forgery in forgeries(name, read(good), folder / "CANARY"):
                title = f"{name}: {forgery.name}"
                if given.only not in title:
                    continue
                forged = folder / "forged.dn2"
                shutil.rmtree(forged, ignore_errors=True)
                shutil.copytree(good, forged)
                forgery.forge(forged)
                found = worker.tried(forged, queries)
                outcome, words = judge(found, expected)
                counts[outcome] += 1
                seconds = found[3] if isinstance(found, list) else 8 * SECONDS
                slowest = max(slowest, (seconds, title))
                if outcome.isupper() or outcome.startswith("OVER"):
                    report.say(f"{outcome}: {title}: {words}")
    report.say()
    report.say(f"{sum(counts.values()):,} forged models: " + "; ".join(f"{n:,} {what}" for what, n in counts.items()))
    report.say(f"slowest: {slowest[0]:.1f} s, {slowest[1]}")
    if run.options.output or given == Sizes():
        report.save()


def judge(found: list[Any] | str, expected: list[Any] | str) -> tuple[str, str]:
    """Say what became of a forged model, and in which words."""
    if isinstance(found, str):
        return "CRASHED OR HUNG", found
    verified, answer, scores, seconds, outside, loads = found
    if outside:
        return "REACHED OUTSIDE", ", ".join(outside)[:200]
    if verified.startswith("OTHER") or answer.startswith("OTHER"):
        return "OTHER EXCEPTION", f"{verified} | {answer}"[:300]
    if seconds > SECONDS:
        return f"OVER {SECONDS:.0f} S", f"{seconds:.1f} s, {answer}"[:200]
    if "\n" in answer:
        return "MORE THAN ONE LINE", answer[:200]
    if answer != "loaded" and loads:
        return "loads, and takes no such queries", ""
    if answer != "loaded":
        return ("refused, by verify too", answer) if verified != "whole" else ("REFUSED, BUT VERIFIED", answer)
    known = [np.array(one, float) for one in (scores, expected[2])]  # NaN where there is none
    same = known[0].shape == known[1].shape and np.allclose(*known, rtol=1e-3, atol=1e-6, equal_nan=True)
    return ("scores as the original", "") if same else ("SCORES OTHERWISE", verified)


if __name__ == "__main__":
    main()
