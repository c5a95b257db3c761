"""Nothing is sent, and nothing is written but what was asked for: commands and imports under an audit hook."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import small_tables
from made_messages import messages
from small_models import places_of, write_backbone, write_digits
from small_series import short_pump

# Runs commands one after the other and notes each connection, each process started, and each file or folder opened for
# writing, made, renamed or removed.  The hook cannot be taken off, so no library does any of it unseen from Python.
AUDITED = r"""
import json, os, sys
log = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)  # which a forked child has, too
def note(event, what):
    os.write(log, (json.dumps([event, what]) + "\n").encode())
SOCKETS = {"socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo",
           "socket.gethostbyname", "socket.gethostbyaddr"}
PROCESSES = {"subprocess.Popen", "os.posix_spawn", "os.exec", "os.system"}
PATHS = {"os.mkdir": 0, "os.rename": 1, "os.link": 1, "os.symlink": 1, "os.truncate": 0, "os.remove": 0, "os.rmdir": 0,
         "sqlite3.connect": 0}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
def audit(event, given):
    if event in SOCKETS or event in PROCESSES:
        note(event, repr(given)[:200])
    elif event == "open" and isinstance(given[0], (str, bytes)) and given[2] & WRITES:
        note(event, os.path.realpath(os.fsdecode(given[0])))
    elif event in PATHS and isinstance(given[PATHS[event]], (str, bytes, os.PathLike)):
        note(event, os.path.realpath(os.fsdecode(given[PATHS[event]])))
sys.addaudithook(audit)
work = json.loads(sys.argv[1])
for one in work:
    if isinstance(one, str):
        exec(one, {})
        continue
    from dn2.cli import main
    sys.argv = ["dn2", *one]
    try:
        main()
    except SystemExit as ended:
        note("status", ended.code or 0)
"""

# PyPI's torchvision does not find its operators beside a CPU build of PyTorch: see small_timm.
OPERATORS = """
import torch
operators = torch.library.Library("torchvision", "FRAGMENT")
for name in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, name):
        operators.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""

EXTRAS = {
    "matplotlib": "from dn2.results.drawing import import_figure; import_figure()",
    "pyarrow": "from dn2.extras import import_pyarrow; import_pyarrow()",
    "sentence_transformers": f"{OPERATORS}\nimport dn2; dn2.TextEmbedder('minilm').transform(['a message'])",
    "ray": "from dn2.scale.starting import import_ray; import_ray()",
    "paho": "from dn2.extras import import_paho; import_paho()",
    "timm": f"{OPERATORS}\nfrom dn2.networks.timm import import_timm; import_timm()",
    "pyod": "from dn2.kinds.table.bench.protocol import find_methods; import pyod.models.knn; find_methods(2, True)",
    "stumpy": "import dn2.kinds.series.bench.methods as methods; import stumpy",
    "cleanlab": "import dn2.kinds.text.bench.protocol; from cleanlab.outlier import OutOfDistribution",
}


class Audit(NamedTuple):
    """What a process did: the exit status of each command, its connections and processes, and what it wrote."""

    statuses: list[int]
    connections: list[tuple[str, str]]
    written: set[str]


def audited(folder: Path, *work: list[str] | str) -> Audit:
    """Run commands, or lines of Python, in a folder that is empty but for their inputs; with an empty home.

    Nothing of the environment tells that this is a test: some libraries are silent where they see that."""
    home, temporary = folder / "home", folder / "temporary"
    for one in (home, temporary):
        one.mkdir(exist_ok=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",  # of Python itself, beside its modules
        **{name: os.environ[name] for name in ("PYTHONPATH", "OPENBLAS_CORETYPE") if name in os.environ},
    }
    log = folder.parent / "audit.jsonl"
    log.write_bytes(b"")
    command = [sys.executable, "-c", AUDITED, json.dumps(work), str(log)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    audit = Audit([], [], {str(path) for path in home.rglob("*")})  # whoever wrote it
    for event, what in map(json.loads, log.read_text().splitlines()):
        if event == "status":
            audit.statuses.append(what)
        elif re.fullmatch(r"\.dn2-[0-9a-f]{16}\.tmp", os.path.basename(what)):
            assert not os.path.exists(what)  # it became an output
        elif what.startswith("/"):
            audit.written.add(what.removesuffix(".tmp"))
        elif event == "socket.bind" and "('::1', 0)" in what:  # by which Ray asks whether there is IPv6
            pass
        elif "'fc-list'" not in what:  # which matplotlib asks for fonts
            audit.connections.append((event, what))
    return audit


def strays(audit: Audit, folder: Path, *outputs: str) -> list[str]:
    """List what was written outside of dn2's cache, of the folder for temporary files, and of the outputs."""
    cache = folder / "home" / ".cache"
    inside = [cache / "dn2", folder / "temporary", *(folder / name for name in outputs), Path("/dev"), Path("/proc")]
    return [
        path
        for path in sorted(audit.written)
        if Path(path) not in (folder, cache) and not any(Path(path).is_relative_to(one) for one in inside)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder by its real path."""
    (tmp_path / "folder").mkdir()
    return (tmp_path / "folder").resolve()


def test_commands_on_pictures_send_and_leave_nothing(folder: Path) -> None:
    zeros, fours = places_of(0), places_of(4)
    write_digits(folder / "good", zeros[:24])
    write_digits(folder / "more", zeros[30:32])
    write_digits(folder / "classes" / "good", zeros[:8])
    write_digits(folder / "classes" / "bad", fours[:4])
    write_backbone(folder)
    plot = ["--plot", "plot.png"] if importlib.util.find_spec("matplotlib") else []
    audit = audited(
        folder,
        ["fit", "good", "-o", "m.dn2", "--backbone", "lite0@32"],
        ["score", "m.dn2", "more", "-o", "r.csv", "--report", "r.html"],
        ["watch", "m.dn2", "more", "--once", "--settle", "0.1", "-o", "log.jsonl", "--state", "journal.sqlite"],
        ["report", "r.csv", "--model", "m.dn2", "--root", "more", "-o", "later.html"],
        ["evaluate", "m.dn2", "--normal", "more", "--anomalous", "classes/bad", *plot],
        ["add", "m.dn2", "more"],
        ["remove", "m.dn2", "more/none.png"],
        ["remove", "m.dn2", "0292.png"],
        ["inspect", "m.dn2"],
        ["verify", "m.dn2"],
        ["embed", "more", "-o", "v.npz", "--backbone", "lite0@32"],
        ["fit", "good", "-o", "own.dn2", "--backbone", "tiny.onnx", "--contaminated", "--drop", "0.2"],
        ["readmit", "own.dn2", "none.png"],
        ["bench", "one-class", "classes", "--backbone", "tiny.onnx", "-o", "bench", "--seeds", "1"],
        ["export", "--backbone", "lite0", "-o", "net.onnx"],
        ["export", "m.dn2", "-o", "decision"],
        ["--help"],
    )
    outputs = "m.dn2", "r.csv", "r.html", "plot.png", "later.html", "v.npz", "own.dn2", "bench", "decision"
    watched = "log.jsonl", "journal.sqlite"
    assert audit.connections == []
    beside = [path for path in strays(audit, folder, *outputs, *watched) if f"{folder}/.decision-" not in path]
    assert (beside, list(folder.glob(".*-*"))) == ([], [])  # an export is made beside its place, and then put there
    assert audit.statuses == [0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 2, 0, 2, 0, 0]
    assert list((folder / "temporary").iterdir()) == []


def test_commands_on_rows_messages_and_vectors_send_and_leave_nothing(folder: Path) -> None:
    small_tables.write(small_tables.frame(60), folder / "rows.csv")
    small_tables.write(small_tables.frame(8, 1), folder / "new.parquet")
    messages(60, seed=0, first=0).to_csv(folder / "messages.csv", index=False)
    small_tables.write(short_pump(), folder / "pump.csv")
    audit = audited(
        folder,
        ["fit", "rows.csv", "--id-column", "part", "-o", "rows.dn2"],
        ["score", "rows.dn2", "new.parquet", "-o", "r.jsonl", "--report", "r.html"],
        ["fit", "messages.csv", "--column", "body", "-o", "text.dn2", "--backbone", "characters"],
        ["score", "text.dn2", "messages.csv", "--report", "t.html"],
        ["fit", "pump.csv", "--time", "time", "-o", "pump.dn2"],
        ["score", "pump.dn2", "pump.csv", "--report", "s.html"],
        ["score", "--self", "pump.csv", "--time", "time"],
        ["embed", "messages.csv", "--column", "body", "--backbone", "characters", "-o", "v.npz"],
        ["fit", "v.npz", "-o", "v.dn2"],
        ["inspect", "v.dn2"],
        ["verify", "pump.dn2"],
    )
    outputs = "rows.dn2", "r.jsonl", "r.html", "text.dn2", "t.html", "pump.dn2", "s.html", "v.npz", "v.dn2"
    assert audit.connections == []
    assert strays(audit, folder, *outputs) == []
    assert audit.statuses == [0] * 11


@pytest.mark.parametrize("library", EXTRAS)
def test_an_extra_sends_and_leaves_nothing(folder: Path, library: str) -> None:
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    audit = audited(folder, "import dn2; [getattr(dn2, name) for name in dn2.__all__]", EXTRAS[library])
    assert audit.connections == []
    assert strays(audit, folder) == []


def test_the_settings_that_a_user_has_for_figures_are_read(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    settings = folder / "home" / ".config" / "matplotlib"
    settings.mkdir(parents=True)
    (settings / "matplotlibrc").write_text("lines.linewidth: 7\n")
    line = "import matplotlib; assert matplotlib.rcParams['lines.linewidth'] == 7"
    audited(folder, EXTRAS["matplotlib"], line)


def test_the_audit_sees_a_connection_and_a_file(folder: Path) -> None:
    audit = audited(
        folder,
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'', ('127.0.0.1', 9))",
        "open('stray', 'w').close()",
    )
    assert [event for event, _ in audit.connections] == ["socket.sendto"]
    assert strays(audit, folder) == [str(folder / "stray")]
