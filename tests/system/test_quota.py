"""The quotas of containers and services: what control groups say is followed, by dn2 and by the libraries it loads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dn2
from dn2.system import processes, quota
from dn2.system.quota import read_quota

V2 = "42 32 0:38 {root} /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate"
V1 = "33 32 0:30 {root} /sys/fs/cgroup/cpu,cpuacct ro,nosuid - cgroup cgroup rw,cpu,cpuacct"
OTHER = "22 27 0:21 / /proc rw,relatime - proc proc rw"


def make_root(folder: Path, own: str, mounts: str, files: dict[str, str]) -> str:
    """Write what the kernel shows: /proc/self/cgroup, /proc/self/mountinfo, and files below /sys/fs/cgroup."""
    shown = {"proc/self/cgroup": own, "proc/self/mountinfo": f"{OTHER}\n{mounts}\n"}
    for name, text in (shown | {f"sys/fs/cgroup/{name}": text for name, text in files.items()}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return str(folder)


def v1(quota: int, period: int = 100_000, group: str = "cpu,cpuacct") -> dict[str, str]:
    return {f"{group}/cpu.cfs_quota_us": f"{quota}\n", f"{group}/cpu.cfs_period_us": f"{period}\n"}


CASES = {
    "a container that sees its own group as the root": (
        "0::/\n",
        V2.format(root="/"),
        {"cpu.max": "200000 100000\n"},
        2,
    ),
    "half a processor": ("0::/\n", V2.format(root="/"), {"cpu.max": "50000 100000\n"}, 1),
    "one and a half": ("0::/\n", V2.format(root="/"), {"cpu.max": "150000 100000\n"}, 2),
    "a period of its own": ("0::/\n", V2.format(root="/"), {"cpu.max": "30000 10000\n"}, 3),
    "no quota": ("0::/\n", V2.format(root="/"), {"cpu.max": "max 100000\n"}, None),
    "the root group of a host, which has no such file": ("0::/\n", V2.format(root="/"), {}, None),
    "a service, whose slice has less": (
        "0::/dn2.slice/serve.service\n",
        V2.format(root="/"),
        {"dn2.slice/cpu.max": "300000 100000", "dn2.slice/serve.service/cpu.max": "800000 100000"},
        3,
    ),
    "a service, whose slice has no quota": (
        "0::/dn2.slice/serve.service\n",
        V2.format(root="/"),
        {"dn2.slice/cpu.max": "max 100000", "dn2.slice/serve.service/cpu.max": "800000 100000"},
        8,
    ),
    "a container that sees the host's path of its group": (
        "0::/docker/ab12\n",
        V2.format(root="/docker/ab12"),
        {"cpu.max": "200000 100000"},
        2,
    ),
    "a group whose name begins as that of what is mounted": (
        "0::/docker/ab12\n",
        V2.format(root="/docker/ab"),
        {"cpu.max": "200000 100000", "12/cpu.max": "100000 100000"},
        2,
    ),
    "a group outside of what is mounted": ("0::/../other\n", V2.format(root="/"), {"cpu.max": "200000 100000"}, None),
    "version 1": ("4:cpu,cpuacct:/\n", V1.format(root="/"), v1(250_000), 3),
    "version 1 without a quota": ("4:cpu,cpuacct:/\n", V1.format(root="/"), v1(-1), None),
    "version 1 in a container": (
        "9:cpuset:/docker/ab12\n4:cpu,cpuacct:/docker/ab12\n0::/\n",
        V1.format(root="/docker/ab12"),
        v1(100_000),
        1,
    ),
    "both versions at once, of which either may have it": (
        "4:cpu,cpuacct:/a\n0::/b\n",
        V1.format(root="/") + "\n" + V2.format(root="/").replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified"),
        v1(200_000) | v1(700_000, group="cpu,cpuacct/a") | {"unified/b/cpu.max": "400000 100000"},
        2,
    ),
    "a period of 0": ("4:cpu,cpuacct:/\n", V1.format(root="/"), v1(100_000, 0), None),
    "a quota of 0": ("0::/\n", V2.format(root="/"), {"cpu.max": "0 100000"}, None),
    "words instead of numbers": ("0::/\n", V2.format(root="/"), {"cpu.max": "two of them"}, None),
    "an empty file": ("0::/\n", V2.format(root="/"), {"cpu.max": ""}, None),
    "no groups at all": ("", "", {}, None),
    "lines that are cut off": ("0:\n:\n\n4:cpu", "1 2 - cgroup2\nx - \n- cgroup cpu", {"cpu.max": "1 1"}, None),
}


@pytest.mark.parametrize(("own", "mounts", "files", "expected"), CASES.values(), ids=CASES)
def test_the_smallest_quota_of_a_process_is_found_and_rounded_up(
    tmp_path: Path, own: str, mounts: str, files: dict[str, str], expected: int | None
) -> None:
    assert read_quota(make_root(tmp_path, own, mounts, files)) == expected


def test_a_system_without_control_groups_has_no_quota(tmp_path: Path) -> None:
    assert read_quota(str(tmp_path)) is None


@settings(max_examples=30)
@given(own=st.text(), mounts=st.text(), text=st.text())
def test_whatever_the_files_say_is_no_error(
    tmp_path_factory: pytest.TempPathFactory, own: str, mounts: str, text: str
) -> None:
    folder = tmp_path_factory.getbasetemp() / "odd"
    own, mounts, text = (one.encode("utf-8", "replace").decode() for one in (own, mounts, text))
    found = read_quota(make_root(folder, f"0::/\n{own}", f"{V2.format(root='/')}\n{mounts}", {"cpu.max": text}))
    assert found is None or found >= 1


def test_the_count_of_processors_follows_the_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "visible_cpus", lambda: 64)
    monkeypatch.setattr(quota, "QUOTA", 2)
    assert processes.cpu_count() == 2
    monkeypatch.setattr(processes, "_most_cpus", [1])
    assert processes.cpu_count() == 1
    monkeypatch.setattr(processes, "_most_cpus", [])
    monkeypatch.setattr(quota, "QUOTA", None)
    assert processes.cpu_count() == 64
    monkeypatch.setattr(quota, "QUOTA", 100)
    assert processes.cpu_count() == 64


# Scores, if asked to, in a container of one processor, and prints what works in how many threads.  The kernel's files
# are read from a folder where that has them.
IN_A_CONTAINER = """
import builtins, json, os, sys
root, real = sys.argv[1], builtins.open
builtins.open = lambda path, *more, **by: real(root + path if os.path.exists(root + str(path)) else path, *more, **by)
if "numpy first" in sys.argv:
    import numpy
import dn2
builtins.open = real
import faiss, numpy as np, threading
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_info
if "scored" in sys.argv:
    frames = list(np.random.default_rng(0).integers(0, 255, (12, 40, 40, 3), dtype=np.uint8))
    model = dn2.fit(frames, cache=False, backbone="lite0@32")
    model.score(frames)
    model.score_one(frames[0])
threads = len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else 0
KMeans(2, n_init=1).fit(np.eye(600, dtype=np.float32))
of_others = []
other = threading.Thread(target=lambda: of_others.append(faiss.omp_get_max_threads()))
other.start(); other.join()
print(json.dumps([threads, [pool["num_threads"] for pool in threadpool_info()], of_others]))
"""


def in_a_container(root: str, how: str = "", **environment: str) -> tuple[int, list[int], list[int]]:
    """Return the threads of a process, those of each library, and those of faiss in another thread."""
    source = str(Path(dn2.__file__).parents[1])
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", IN_A_CONTAINER, root, how],
        env=kept | {"PYTHONPATH": source} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    threads, pools, of_others = json.loads(done.stdout)
    return threads, pools, of_others


@pytest.fixture
def of_one(tmp_path: Path) -> str:
    """The kernel's files in a container of one processor."""
    return make_root(tmp_path, "0::/\n", V2.format(root="/"), {"cpu.max": "100000 100000"})


def test_no_library_has_more_threads_than_the_quota_allows(of_one: str) -> None:
    threads, pools, of_others = in_a_container(of_one, "scored")
    assert threads <= 4  # this one, OpenVINO's, and that of its core
    assert len(pools) >= 3
    assert set(pools + of_others) == {1}


@pytest.mark.skipif(quota.visible_cpus() < 2, reason="one processor has no need of it")
def test_a_library_that_was_loaded_before_dn2_works_on_no_more_either(of_one: str) -> None:
    _, pools, of_others = in_a_container(of_one, "numpy first")
    assert set(pools + of_others) == {1}


def test_the_number_of_threads_that_the_user_gives_stays(of_one: str) -> None:
    _, pools, of_others = in_a_container(of_one, OMP_NUM_THREADS="2")
    assert of_others == [2]
    assert max(pools) == 2
