"""A real server whose remote nodes talk to the fakes."""

import json
import shutil
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from wan_duet.dev.client import Client, Prompt
from wan_duet.dev.server import Server
from wan_duet.remote.providers import PROVIDERS
from wan_duet.tests.fake_providers.fal import FakeFal
from wan_duet.tests.fake_providers.provider import Fake, WallClock
from wan_duet.tests.fake_providers.rivya import FakeRivya
from wan_duet.tests.fake_providers.runware import FakeRunware
from wan_duet.tests.nodes.graph import Graph, Node
from wan_duet.tests.remote.conftest import ENVIRON, MAX_COST

HERE = Path(__file__).resolve().parent
FAKES: dict[str, type[Fake]] = {"runware": FakeRunware, "fal": FakeFal, "rivya": FakeRivya}
BASES = {"runware schemas": "runware", "fal rest": "fal", "fal platform": "fal", "fal cdn": "fal"}
SECONDS = 60.0
QUERY = "SELECT id, state, request FROM jobs WHERE fingerprint <> '' ORDER BY created, rowid"

seeds = count(1000)  # beyond those of the workflows


@dataclass
class Bench:
    """The fakes by name, and the server whose nodes know no other providers."""

    fakes: dict[str, Any]
    server: Server
    private: Path
    output: Path
    marks: Iterator[Path] = field(repr=False)

    @property
    def client(self) -> Client:
        return Client(self.server.url)

    def forget(self) -> None:
        """Empty ledgers, full accounts, and providers that are quick and well."""
        self.fakes["rivya"].credits = FakeRivya.credits
        for fake in self.fakes.values():
            fake.charges.clear()
            fake.seen.clear()
            fake.faults.clear()
            fake.queued, fake.running, fake.fails_with = 0.0, 0.2, None

    def finish(self) -> None:
        """Let the providers be done with what they have."""
        for fake in self.fakes.values():
            for job in fake.generations.values():
                job.queued = job.running = 0.0

    def charges(self) -> int:
        return sum(len(fake.charges) for fake in self.fakes.values())

    def jobs(self, seed: int) -> list[tuple[str, str]]:
        """Id and state of the jobs with a seed, oldest first."""
        try:
            with closing(sqlite3.connect(f"file:{self.private / 'jobs.sqlite'}?mode=ro", uri=True)) as journal:
                rows = journal.execute(QUERY).fetchall()
        except sqlite3.OperationalError:  # no job was ever made
            return []
        read = ((id, state, json.loads(request)) for id, state, request in rows)
        return [(i, state) for i, state, r in read if seed in (r.get("seed"), r.get("params", {}).get("seed"))]

    def state(self, seed: int) -> str:
        """The state of the only job with a seed."""
        ((_, state),) = self.jobs(seed)
        return state

    def files(self, seed: int) -> list[Path]:
        """The results of the jobs with a seed."""
        return [path for id, _ in self.jobs(seed) for path in self.output.glob(f"{id}_*")]


def until(true: Callable[[], Any]) -> None:
    begin = time.monotonic()
    while not true():
        assert time.monotonic() < begin + SECONDS
        time.sleep(0.05)


def paid(prompt: Prompt) -> Prompt:
    """The prompt with everything allowed."""
    for node in prompt.values():
        given = node["inputs"]
        given |= {name: True for name in ("allow_paid", "allow_upload") if name in given}
        given |= {name: MAX_COST for name in ("max_cost_usd", "max_cost_credits") if given.get(name) == 0}
    return prompt


NODES = {
    "runware": ("WanDuet_RunwareWan22Turbo", {"duration": -1, "number_results": 1, "allow_upload": False}),
    "fal": ("WanDuet_FalTextToVideo", {"variant": "A14B", "aspect_ratio": "provider default", "num_frames": -1}),
    "rivya": ("WanDuet_RivyaWan22Turbo", {"aspect_ratio": "provider default", "allow_upload": False}),
}


def text_to_video(graph: Graph, provider: str, seed: int, **more: Any) -> Node:
    """A node of a provider, paid for."""
    kind, own = NODES[provider]
    limit = {f"max_cost_{PROVIDERS[provider].unit.lower()}": MAX_COST}
    usual = {"prompt": "a cat", "resolution": "provider default", "seed": seed, "allow_paid": True, **limit}
    return graph.add(kind, **{**usual, **own, **more})


@pytest.fixture(scope="session")
def start_bench(
    start_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Bench]]:
    """A function that starts a server with fakes, or once more with those of another bench."""
    with ExitStack() as stack:

        def start(before: Bench | None = None, environ: dict[str, str] = ENVIRON) -> Bench:
            folder = tmp_path_factory.mktemp("remote")
            providers = before.fakes if before else stack.enter_context(fakes())
            private = before.private if before else folder / "private"
            name = before.output.name if before else f"test-{uuid.uuid4().hex[:8]}"
            server = start_server(
                "--extra-model-paths-config", str(write_pack(folder, providers, private, name, environ))
            )
            output = server.base / "output" / name
            stack.callback(shutil.rmtree, output, ignore_errors=True)
            bench = Bench(providers, server, private, output, (folder / f"mark{n}" for n in count()))
            bench.forget()
            return bench

        yield start


@contextmanager
def fakes() -> Iterator[dict[str, Any]]:
    """Every fake, by its provider's name, answering on a port."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(kind(clock=WallClock(), queued=0.0, running=0.0).serving())
            for name, kind in FAKES.items()
        }


def write_pack(
    folder: Path, fakes: dict[str, Any], private: Path, output: str, environ: dict[str, str] = ENVIRON
) -> Path:
    """Write the test's own node pack and the file that names its folder."""
    nodes = folder / "custom_nodes"
    nodes.mkdir()
    shutil.copy(HERE / "in_server.py", nodes / "fakes.py")
    shutil.copy(HERE.parents[1] / "fuzz" / "values.py", nodes / "values.py")
    urls = {name: fake.url for name, fake in fakes.items()}
    settings = {
        "private": str(private),
        "output": output,
        "bases": {**urls, **{name: urls[fake] for name, fake in BASES.items()}},
        "first_poll": 0.05,
        "longest_poll": 0.2,
        "call_timeout": 3.0,
        "environ": environ,
    }
    (nodes / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    paths = folder / "paths.yaml"
    paths.write_text(f"fakes:\n  custom_nodes: {nodes}\n", encoding="utf-8")
    return paths


@pytest.fixture(scope="session")
def session_bench(start_bench: Callable[..., Bench]) -> Bench:
    return start_bench()


@pytest.fixture
def bench(session_bench: Bench) -> Iterator[Bench]:
    session_bench.forget()
    yield session_bench
    session_bench.finish()
    session_bench.client.interrupt()
    until(lambda: not any(session_bench.client.request("/queue").values()))


@pytest.fixture
def seed() -> int:
    """One that no other test uses."""
    return next(seeds)
