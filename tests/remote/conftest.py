"""A fake of each provider, and managers that talk to it in virtual time."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from wan_duet.remote.contract.contracts import contract
from wan_duet.remote.contract.pricing import Reservation
from wan_duet.remote.job import Job, State
from wan_duet.remote.jobs.collect import JobOutcome
from wan_duet.remote.jobs.manager import JobManager
from wan_duet.remote.jobs.request import GenerationRequest, make_request
from wan_duet.remote.settings import Clock, RemoteSettings
from wan_duet.tests.fake_providers.fal import FakeFal
from wan_duet.tests.fake_providers.provider import KEY, Fake, VirtualClock
from wan_duet.tests.fake_providers.rivya import FakeRivya
from wan_duet.tests.fake_providers.runware import FakeRunware

FAKES: dict[str, type[Fake]] = {"runware": FakeRunware, "fal": FakeFal, "rivya": FakeRivya}
ENDPOINTS = {
    "runware": "runware/wan22_a14b_turbo",
    "fal": "fal-ai/wan/v2.2-a14b/text-to-video",
    "rivya": "rivya/wan22_a14b_turbo",
}
PROMPTS = {"runware": "positivePrompt", "fal": "prompt", "rivya": "prompt"}
SEEDS = {"runware": "seed", "fal": "seed", "rivya": "params.seed"}
KEYS = {"RUNWARE_API_KEY": KEY, "FAL_KEY": KEY, "RIVYA_API_KEY": KEY}
BUDGETS = {"WAN_DUET_BUDGET_RUNWARE": "100000", "WAN_DUET_BUDGET_FAL": "100000", "WAN_DUET_BUDGET_RIVYA": "100000"}
ENVIRON = {**KEYS, **BUDGETS}
MAX_COST = 12.0  # reserved for what has no known price, and not below what has one
AGREED: dict[str, Any] = {"allow_paid": True, "allow_upload": True, "max_cost": MAX_COST}
NOTHING = Reservation(0.0, "USD", "free", 0.0, "")
REAL_SECONDS = 20.0


@dataclass
class FakeClock(Clock):
    """The fake's virtual time: sleeping makes it pass. `skew` is a wall clock that was set by hand."""

    virtual: VirtualClock = field(default_factory=VirtualClock)
    skew: float = 0.0

    def now(self) -> float:
        return self.virtual.seconds + self.skew

    def monotonic(self) -> float:
        return self.virtual.seconds

    async def sleep(self, seconds: float) -> None:
        self.virtual.advance(seconds)
        await asyncio.sleep(0.001)


@dataclass
class Bench:
    """One fake, and managers whose journal is in `folder`; each `restart` is a new process in all but name."""

    name: str
    fake: Any
    folder: Path
    options: dict[str, Any]
    clock: FakeClock
    managers: list[JobManager] = field(default_factory=list)

    @property
    def settings(self) -> RemoteSettings:
        url = self.fake.url
        bases = dict.fromkeys(
            ["runware", "runware schemas", "fal", "fal rest", "fal platform", "fal cdn", "rivya"], url
        )
        settings: dict[str, Any] = {
            "private": self.folder / "private",
            "output": self.folder / "output",
            "bases": bases,
            "submit_timeout": 1.0,
            "call_timeout": 2.0,
            "allow_loopback": True,
            "clock": self.clock,
            "environ": ENVIRON,
        }
        return RemoteSettings(**(settings | self.options))

    def restart(self) -> JobManager:
        self.managers.append(JobManager(self.settings))
        return self.managers[-1]

    @property
    def manager(self) -> JobManager:
        return self.managers[-1] if self.managers else self.restart()

    def request(self, values: dict[str, Any] | None = None, endpoint: str = "", **consent: Any) -> GenerationRequest:
        """A short request with everything allowed."""
        given = {PROMPTS[self.name]: "a cat", SEEDS[self.name]: 5, **(values or {})}
        allowed = {**AGREED, **consent}
        return make_request(contract(endpoint or ENDPOINTS[self.name]), given, **allowed)

    def run(self, wanted: GenerationRequest | None = None, **reports: Any) -> JobOutcome:
        return self.manager.start(wanted or self.request(), **reports).future.result(REAL_SECONDS)

    @property
    def job(self) -> Job:
        """The only job in the journal."""
        (job,) = self.manager.journal.jobs()
        return job

    def check(self, state: State, charges: int, files: int) -> None:
        """What every test asks: where the job is, what it cost, what was delivered, and that nothing half is left."""
        assert self.job.state is state
        assert len(self.fake.charges) == charges
        output = list((self.folder / "output").glob("*"))
        assert [path.suffix for path in output if path.suffix == ".part"] == []
        assert len(output) == files
        if state is State.DOWNLOADED:
            assert {file["path"] for file in self.job.files} == set(map(str, output))


MakeBench = Callable[..., Bench]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[MakeBench]:
    """bench("fal", **settings): a fake of that provider and a fresh journal."""
    with ExitStack() as stack:

        def make(name: str, **options: Any) -> Bench:
            clock = FakeClock()
            fake = FAKES[name](clock=clock.virtual)
            stack.enter_context(fake.serving())
            made = Bench(name, fake, tmp_path / name, options, clock)
            stack.callback(lambda: [manager.close() for manager in made.managers])
            return made

        yield make


@pytest.fixture(params=list(FAKES))
def any_bench(request: pytest.FixtureRequest, bench: MakeBench) -> Bench:
    """One bench for each provider."""
    return bench(request.param)
