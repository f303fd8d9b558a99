"""The right to submit: a process that waits for a busy provider keeps the others away, and never sends beside them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from wan_duet.remote.errors import RemoteError
from wan_duet.remote.job import Job, State
from wan_duet.remote.jobs.journal import Journal
from wan_duet.tests.fake_providers.faults import Answer
from wan_duet.tests.remote.conftest import NOTHING, Bench, FakeClock
from wan_duet.tests.remote.test_submit_faults import BUSY

LONG = {"Retry-After": "60"}  # longer than the submit itself may take


@dataclass
class Watched(FakeClock):
    """After each wait, `then` is told how long it was."""

    then: Callable[[float], None] = field(default=lambda seconds: None)

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        await asyncio.to_thread(self.then, seconds)


def watch(bench: Bench, then: Callable[[float], None]) -> None:
    bench.options["clock"] = bench.clock = Watched(bench.clock.virtual, then=then)


def test_the_lease_covers_every_wait_and_the_try_after_it(any_bench: Bench) -> None:
    left: list[float] = []

    def measure(seconds: float) -> None:
        if seconds >= 60.0:
            left.append(any_bench.job.lease - any_bench.clock.now())

    watch(any_bench, measure)
    any_bench.fake.fault("submit", *[Answer(429, BUSY[any_bench.name], LONG)] * 4)
    any_bench.run()
    assert len(left) == 4 and min(left) > any_bench.settings.submit_timeout
    any_bench.check(State.DOWNLOADED, charges=1, files=1)


def test_a_process_that_was_taken_over_while_it_waited_sends_nothing_more(any_bench: Bench) -> None:
    """As after a laptop's sleep: another process has found the lease run out, and is asking what became of the job."""

    def take_over(seconds: float) -> None:
        if seconds >= 60.0:
            assert any_bench.manager.journal.take_over(any_bench.job.id, any_bench.job.lease)

    watch(any_bench, take_over)
    any_bench.fake.fault("submit", Answer(429, BUSY[any_bench.name], LONG))
    if any_bench.name == "rivya":  # asking is sending again under the same key
        any_bench.run()
        assert any_bench.fake.count("submit") == 2
        return any_bench.check(State.DOWNLOADED, charges=1, files=1)
    with pytest.raises(RemoteError, match="force_new"):
        any_bench.run()
    assert any_bench.fake.count("submit") == 1
    any_bench.check(State.LOST if any_bench.name == "runware" else State.UNKNOWN, charges=0, files=0)


def test_a_process_that_keeps_its_lease_is_believed_for_as_long_as_it_does(any_bench: Bench) -> None:
    generation, waits = any_bench.request(), 0
    journal = any_bench.manager.journal
    wanted = Job("", generation.fingerprint, any_bench.name, generation.contract.endpoint, "default", {}, State.PLANNED)
    other = journal.claim(wanted)
    assert journal.begin_submit(other.id, any_bench.clock.now() + 10.0, "", NOTHING)

    def renew(seconds: float) -> None:
        nonlocal waits
        waits += 1
        if waits == 200:
            journal.update(other.id, state=State.REJECTED)
        elif waits < 200:
            assert journal.renew_submit(other.id, any_bench.job.lease, any_bench.clock.now() + 10.0)

    watch(any_bench, renew)
    any_bench.restart()
    with pytest.raises(RemoteError, match="given up by another process"):
        any_bench.run(generation)
    assert any_bench.fake.seen == []


def test_a_submit_is_taken_over_only_as_it_was_found(tmp_path: Path) -> None:
    """Between the look and the deed the other process may have renewed its lease, or got its answer."""
    journal = Journal(tmp_path, lambda: 0.0)
    job = journal.claim(Job("", "f", "fal", "e", "default", {}, State.PLANNED))
    assert journal.begin_submit(job.id, 10.0, "", NOTHING) and journal.renew_submit(job.id, 10.0, 20.0)
    assert not journal.take_over(job.id, 10.0)
    assert not journal.renew_submit(job.id, 10.0, 30.0) and journal.get(job.id).lease == 20.0
    journal.update(job.id, state=State.SUBMITTED)
    assert not journal.take_over(job.id, 20.0)
    assert journal.get(job.id).state is State.SUBMITTED


def test_a_lease_far_in_the_future_is_not_waited_for(any_bench: Bench) -> None:
    """The clock was set back since."""
    generation = any_bench.request()
    wanted = Job("", generation.fingerprint, any_bench.name, generation.contract.endpoint, "default", {}, State.PLANNED)
    other = any_bench.manager.journal.claim(wanted)
    assert any_bench.manager.journal.begin_submit(other.id, any_bench.clock.now() + 1e9, "", NOTHING)
    with pytest.raises(RemoteError, match="force_new"):
        any_bench.run(generation)
    any_bench.check(State.LOST if any_bench.name == "runware" else State.UNKNOWN, charges=0, files=0)
