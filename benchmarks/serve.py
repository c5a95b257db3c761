"""`dn2 serve` under load: how much of the offline throughput it keeps, what one request takes, and what kills leave.

Run: python benchmarks/serve.py [--only load alone overload kills] [--seconds 60] [--clients 64]

Pictures are JPEG files of 1920 x 1080: crops of scikit-learn's photographs, enlarged, with noise of their own.  The
service is a process of its own and so are the clients, on the same cores.  Offline is `Model.score` of the same files
in a fresh process, without a cache, in turn with the service.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

import dn2
from common import Report, Run, apart, begin, from_tests
from dn2.serve.store import Store
from score_one import make_frames

PARTS = ("load", "alone", "overload", "kills")
HEAD = "POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n"


@dataclass(frozen=True)
class Sizes:
    """How many reference pictures the model has, how many are asked about, and how wide and high they are.

    clients, seconds : of the load; most_clients : of the overload; rounds : of each figure; kills : of the service."""

    reference: int = 300
    pictures: int = 150
    size: tuple[int, int] = (1920, 1080)
    clients: int = 64
    seconds: float = 60.0
    most_clients: int = 400
    rounds: int = 3
    kills: int = 20


SMALLEST = Sizes(reference=60, pictures=4, size=(192, 108), clients=4, seconds=0.3, most_clients=6, rounds=1, kills=1)


def score_offline(model: str, folder: str, seconds: float) -> float:
    """Score the pictures of a folder again and again; return pictures a second."""
    loaded = dn2.load(model, cache=False)
    paths = sorted(Path(folder).iterdir())
    loaded.score(paths[:8], progress=False)
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        done += len(loaded.score(paths, progress=False))
    return done / (time.perf_counter() - start)


def decide_offline(model: str, folder: str) -> float:
    """Decide the pictures of a folder one by one; return the median of the seconds that each takes."""
    loaded, taken = dn2.load(model, cache=False), []
    pictures = [path.read_bytes() for path in sorted(Path(folder).iterdir())]
    loaded.score_one(pictures[0])
    for picture in pictures:
        start = time.perf_counter()
        loaded.score_one(picture)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def send(port: int, folder: str, clients: int, seconds: float) -> tuple[dict[int, int], list[float], float]:
    """Let clients send pictures, each the next as soon as it has its answer; one that is refused waits as it is told.

    Returns how many answers have each status, the seconds that each of those with 200 took, and the seconds in all."""
    requests = [HEAD.format(len(data)).encode() + data for data in map(Path.read_bytes, sorted(Path(folder).iterdir()))]
    statuses: Counter[int] = Counter()
    taken: list[float] = []

    async def client(number: int, end: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        turn = number
        while time.perf_counter() < end:
            start = time.perf_counter()
            writer.write(requests[turn % len(requests)])
            await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            status, length = int(head[9:12]), int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            statuses[status] += 1
            turn += clients
            if status == 200:
                taken.append(time.perf_counter() - start)
            elif b"retry-after: " in head:
                await asyncio.sleep(int(head.split(b"retry-after: ")[1].split(b"\r\n")[0]))
        writer.close()

    async def all_clients() -> float:
        start = time.perf_counter()
        await asyncio.gather(*(client(number, start + seconds) for number in range(clients)))
        return time.perf_counter() - start

    total = asyncio.run(all_clients())
    return dict(statuses), taken, total


@contextlib.contextmanager
def serving(model: str, data: Path) -> Iterator[Any]:
    """Serve a model inside."""
    process = from_tests("serve_models").Process(data, Path(model))
    try:
        yield process
    finally:
        if process.process.poll() is None:
            process.end()


def memory_of(process: Any) -> float:
    """Return the memory of a service now, in MiB."""
    about = Path(f"/proc/{process.process.pid}/status").read_text()
    return int(about.split("VmRSS:")[1].split()[0]) / 1024


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and keep the result."""
    run: Run[Sizes] = begin(
        __doc__, arguments, Sizes(), SMALLEST, flags={"--only": {"nargs": "+", "choices": PARTS, "default": PARTS}}
    )
    report, sizes = run.report("serve"), run.sizes
    with tempfile.TemporaryDirectory() as work:
        folder, model = Path(work) / "pictures", str(Path(work) / "parts.dn2")
        reference = Path(work) / "reference"
        for place, first, count in ((reference, 0, sizes.reference), (folder, sizes.reference, sizes.pictures)):
            place.mkdir()
            for number in range(first, first + count):
                (frame,) = make_frames(1, sizes.size, number)
                Image.fromarray(frame).save(place / f"{number:04}.jpg", quality=90)
        dn2.fit(
            reference, false_alarm_rate=0.05, cache=False, **({"backbone": "lite0@32"} if run.smallest else {})
        ).save(model)
        with serving(model, Path(work) / "data") as process:
            for part, measure in (("load", load), ("alone", alone), ("overload", overload)):
                if part in run.options.only:
                    measure(run, report, model, str(folder), process)
        if "kills" in run.options.only:
            kills(run, report, model, str(folder), Path(work))
    report.save()


def load(run: Run[Sizes], report: Report, model: str, folder: str, process: Any) -> None:
    """Measure the throughput of many clients beside that of the same work offline, and memory."""
    sizes = run.sizes
    report.say(f"\n{sizes.clients} clients for {sizes.seconds:g} s, {sizes.rounds} rounds in turn with Model.score:")
    ratios = []
    for _ in range(sizes.rounds):
        offline = apart(score_offline, model, folder, sizes.seconds / 2, here=run.smallest)
        apart(send, process.port, folder, sizes.clients, min(5.0, sizes.seconds), here=run.smallest)
        before = memory_of(process)
        statuses, taken, total = apart(send, process.port, folder, sizes.clients, sizes.seconds, here=run.smallest)
        after = memory_of(process)
        served = statuses.get(200, 0) / total
        ratios.append(served / offline)
        taken.sort()
        report.say(
            f"  offline {offline:.1f}/s, served {served:.1f}/s, ratio {ratios[-1]:.2f}; answers {statuses}; median "
            f"{1e3 * taken[len(taken) // 2]:.0f} ms, 99 % within {1e3 * taken[int(0.99 * len(taken))]:.0f} ms; memory "
            f"{before:.0f} MiB after 5 s, {after:.0f} MiB at the end"
        )
        report.claim(set(statuses) == {200}, f"answers {statuses}")
    report.say(f"  median ratio {statistics.median(ratios):.2f}")


def alone(run: Run[Sizes], report: Report, model: str, folder: str, process: Any) -> None:
    """Measure what one request takes where nobody else asks, beside `Model.score_one`."""
    report.say(f"\none request at a time, {run.sizes.rounds} rounds in turn with Model.score_one of the same bytes:")
    ratios = []
    for _ in range(run.sizes.rounds):
        offline = apart(decide_offline, model, folder, here=run.smallest)
        _, taken, _ = apart(send, process.port, folder, 1, min(10.0, run.sizes.seconds), here=run.smallest)
        served = statistics.median(taken)
        ratios.append(served / offline)
        report.say(f"  offline {1e3 * offline:.1f} ms, served {1e3 * served:.1f} ms, ratio {ratios[-1]:.2f}")
    report.say(f"  median ratio {statistics.median(ratios):.2f}")


def overload(run: Run[Sizes], report: Report, model: str, folder: str, process: Any) -> None:
    """Send from more clients than may wait."""
    sizes = run.sizes
    seconds = min(20.0, sizes.seconds)
    statuses, _, total = apart(send, process.port, folder, sizes.most_clients, seconds, here=run.smallest)
    memory = memory_of(process)
    (healthy,) = urllib.request.urlopen(f"{process.address}/healthz").read().split()
    report.say(
        f"\n{sizes.most_clients} clients for {total:.0f} s, 128 of which may wait: answers {statuses}, "
        f"{statuses.get(200, 0) / total:.1f}/s with 200; memory {memory:.0f} MiB; then health is {healthy.decode()}"
    )
    report.claim(set(statuses) <= {200, 429}, f"answers {statuses}")


def kills(run: Run[Sizes], report: Report, model: str, folder: str, work: Path) -> None:
    """Kill the service again and again while items are judged; look for every verdict that it acknowledged."""
    picture = min(Path(folder).iterdir()).read_bytes()
    acknowledged: dict[str, str] = {}
    with serving(model, work / "kills") as process:

        def judge(stops: threading.Event) -> None:
            with contextlib.suppress(OSError):
                while not stops.is_set():
                    address = f"{process.address}/v1/score?keep=true"
                    asked = urllib.request.Request(address, picture, {"content-type": "image/jpeg"})
                    (row,) = json.load(urllib.request.urlopen(asked, timeout=30))["results"]
                    verdict = random.choice(["normal", "defect", "unsure"])
                    said = urllib.request.Request(
                        f"{process.address}/v1/items/{row['id']}/verdict",
                        json.dumps({"verdict": verdict}).encode(),
                        {"content-type": "application/json"},
                    )
                    urllib.request.urlopen(said, timeout=30).close()
                    acknowledged[row["id"]] = verdict

        for _ in range(run.sizes.kills):
            stops = threading.Event()
            threads = [threading.Thread(target=judge, args=[stops]) for _ in range(8)]
            for thread in threads:
                thread.start()
            time.sleep(random.uniform(0.5, 2.0))
            process.kill()
            stops.set()
            for thread in threads:
                thread.join()
            process.start()
    store = Store(work / "kills", 1 << 40)
    kept = {one.id: one.verdict for one in store.judged("parts")}
    store.close()
    lost = [id for id, verdict in acknowledged.items() if kept.get(id) != verdict]
    report.say(
        f"\nkilled {run.sizes.kills} times under load: {len(acknowledged):,} verdicts acknowledged, {len(lost)} lost"
    )
    report.claim(not lost, f"{len(lost)} verdicts lost")


if __name__ == "__main__":
    main(sys.argv[1:])
