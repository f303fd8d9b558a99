"""Overhead of the pack in a remote job: python3 dev/bench/remote.py [--quick]

A fake fal in a process of its own; the pack beside a bare aiohttp script, the memory of a large download, and how late
the host's event loop gets while a hundred jobs run.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from host import enter, interval_of_median, load_pack

enter()
load_pack()

import aiohttp  # noqa: E402
import psutil  # noqa: E402
from wan_duet.remote.contract.contracts import contract  # noqa: E402
from wan_duet.remote.jobs.manager import JobManager  # noqa: E402
from wan_duet.remote.jobs.request import GenerationRequest, make_request  # noqa: E402
from wan_duet.remote.jobs.wait import wait  # noqa: E402
from wan_duet.remote.settings import RemoteSettings  # noqa: E402
from wan_duet.tests.fake_providers.fal import FakeFal  # noqa: E402
from wan_duet.tests.fake_providers.provider import KEY, WallClock  # noqa: E402

ENDPOINT = "fal-ai/wan/v2.2-a14b/text-to-video"
JOB_SECONDS, POLL_SECONDS = 1.0, 0.1  # a hundredth of a real job, asked for twenty times as often
MIB = 1 << 20
JOBS, TICK = 100, 0.005
WARM_UP = 2


@contextmanager
def fake(padding: int = 0) -> Iterator[str]:
    """The address of a fake fal in another process; its results are followed by `padding` bytes."""
    command = [sys.executable, __file__, "--serve", str(padding)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def serve(padding: int) -> None:
    """Be the fake until the process is ended."""
    with FakeFal(WallClock(), queued=0.2, running=JOB_SECONDS - 0.2, padding=padding).serving() as fal:
        print(fal.url, flush=True)
        threading.Event().wait()


@contextmanager
def manager(url: str, folder: Path) -> Iterator[JobManager]:
    """The pack's jobs, against the fake at `url`."""
    bases = dict.fromkeys(["fal", "fal rest", "fal cdn"], url)
    paces = {"first_poll": POLL_SECONDS, "longest_poll": POLL_SECONDS}
    environ = {"FAL_KEY": KEY, "WAN_DUET_BUDGET_FAL": "1e6"}
    settings = RemoteSettings(
        folder / "private", folder / "output", bases, allow_loopback=True, environ=environ, **paces
    )
    made = JobManager(settings)
    try:
        yield made
    finally:
        made.close()


def request(seed: int) -> GenerationRequest:
    return make_request(contract(ENDPOINT), {"prompt": "a cat", "seed": seed}, allow_paid=True, max_cost=1.0)


async def bare(session: aiohttp.ClientSession, url: str, seed: int, path: Path) -> None:
    """The same job as anybody would write it: submit, poll, download, and nothing kept or checked."""
    body = {"prompt": "a cat", "seed": seed, "enable_safety_checker": True}
    async with session.post(f"{url}/{ENDPOINT}", json=body) as answer:
        job = await answer.json()
    while True:
        async with session.get(job["status_url"]) as answer:
            if (await answer.json())["status"] == "COMPLETED":
                break
        await asyncio.sleep(POLL_SECONDS * 1.125)  # the pack's pace with its average of chance
    async with session.get(job["response_url"]) as answer:
        result = await answer.json()
    async with session.get(result["video"]["url"]) as answer:
        with path.open("wb") as target:
            async for chunk in answer.content.iter_chunked(MIB):
                target.write(chunk)


@asynccontextmanager
async def bare_session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers={"Authorization": f"Key {KEY}"}) as session:
        yield session


async def overhead(pairs: int, folder: Path) -> list[float]:
    """Seconds of a job by the pack over those of the bare script, pair by pair, each first by turns."""
    ratios = []
    folder.mkdir()
    with fake() as url, manager(url, folder) as jobs:
        async with bare_session() as session:
            for pair in range(-WARM_UP, pairs):
                seconds = {}
                for way in ("pack", "bare") if pair % 2 else ("bare", "pack"):
                    begin = time.perf_counter()
                    if way == "pack":
                        await wait(jobs.start(request(pair + WARM_UP)), lambda: False)
                    else:
                        await bare(session, url, pair + WARM_UP, folder / "bare.mp4")
                    seconds[way] = time.perf_counter() - begin
                if pair >= 0:
                    ratios.append(seconds["pack"] / seconds["bare"])
                    print(
                        f"{pair + 1:4d}   {seconds['pack']:.3f} s   {seconds['bare']:.3f} s   {ratios[-1]:.3f}",
                        flush=True,
                    )
    return ratios


def rss_growth(mib: int, folder: Path) -> float:
    """MiB of memory that downloading `mib` MiB adds at its peak, after a small job has loaded what a job needs."""
    process, peak, stop = psutil.Process(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not stop.wait(0.005):
            peak = max(peak, process.memory_info().rss)

    with fake() as url, manager(url, folder / "small") as jobs:
        jobs.start(request(1)).future.result(60)
    with fake(mib * MIB) as url, manager(url, folder / "large") as jobs:
        before = process.memory_info().rss
        watcher = threading.Thread(target=watch)
        watcher.start()
        (path,) = jobs.start(request(1)).future.result(600).files
        stop.set()
        watcher.join()
        assert path.stat().st_size > mib * MIB
    return (peak - before) / MIB


async def latest(beside: Awaitable[object]) -> tuple[float, float]:
    """The latest that the loop came round while something went on `beside` it, in ms; and how many seconds it took."""
    gc.collect()  # as the host does after a prompt: what its start has left is collected beside nobody's jobs
    begin, late, task = time.perf_counter(), 0.0, asyncio.ensure_future(beside)
    while not task.done():
        before = time.perf_counter()
        await asyncio.sleep(TICK)
        late = max(late, time.perf_counter() - before - TICK)
    await task
    return late * 1000, time.perf_counter() - begin


async def hundred(jobs: JobManager, first_seed: int) -> None:
    """A hundred jobs at once, as nodes wait for them."""
    handles = []
    for seed in range(first_seed, first_seed + JOBS):
        handles.append(jobs.start(request(seed)))
        await asyncio.sleep(0)  # the host, too, comes back to its loop between two nodes
    await asyncio.gather(*(wait(handle, lambda: False) for handle in handles))


async def loop_lag(rounds: int, folder: Path) -> tuple[list[float], list[float]]:
    """The latest that the host's loop came round, in ms: with a hundred jobs, and with nothing for as long after it."""
    busy, idle = [], []
    with fake() as url, manager(url, folder) as jobs:
        await wait(jobs.start(request(-1)), lambda: False)
        print("\nround  100 jobs    none")
        for number in range(rounds):
            late, seconds = await latest(hundred(jobs, number * JOBS))
            busy.append(late)
            idle.append((await latest(asyncio.sleep(seconds)))[0])
            print(f"{number + 1:4d}   {busy[-1]:6.1f} ms  {idle[-1]:6.1f} ms", flush=True)
    return busy, idle


def main() -> int:
    """Print the figures, and as the last line all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="5 pairs in place of 15, 256 MiB of 1024, 3 rounds of 9")
    parser.add_argument("--serve", type=int, metavar="PADDING", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print("pair   pack      bare      ratio")
        ratios = asyncio.run(overhead(5 if options.quick else 15, folder / "pairs"))
        growth = rss_growth(256 if options.quick else 1024, folder)
        busy, idle = asyncio.run(loop_lag(3 if options.quick else 9, folder / "hundred"))
    low, high = interval_of_median(ratios)
    print(f"\nmemory: {growth:.1f} MiB more at its peak")
    figures = {
        "overhead_ratio": round(statistics.median(ratios), 3),
        "overhead_interval": [round(low, 3), round(high, 3)],
        "rss_growth_mb": round(growth, 1),
        "loop_lag_ms": round(statistics.median(busy), 1),
        "loop_lag_worst_ms": round(max(busy), 1),
        "idle_lag_ms": round(statistics.median(idle), 1),
        "idle_lag_worst_ms": round(max(idle), 1),
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
