"""An interrupt ends a wait and, if so wished, the job; a wait that is taken away ends nothing."""

import asyncio
import threading
import time
from collections.abc import Callable

import pytest
from aiohttp import web
from wan_duet.remote.errors import Interrupted, RemoteError
from wan_duet.remote.job import State
from wan_duet.remote.jobs.collect import JobOutcome
from wan_duet.remote.jobs.manager import JobHandle
from wan_duet.remote.jobs.wait import OnInterrupt, deliver, wait
from wan_duet.tests.fake_providers.faults import Handler, Lose
from wan_duet.tests.remote.conftest import REAL_SECONDS, Bench, MakeBench
from wan_duet.tests.remote.test_uploads import image_order, picture

NEVER = 1e9


def wait_for(handle: JobHandle, interrupted: Callable[[], bool], policy: OnInterrupt) -> JobOutcome:
    return asyncio.run(wait(handle, interrupted, policy))


def hold(bench: Bench, state: State) -> JobHandle:
    """A job that stays in a state, by a fake that is not done and a clock that nobody moves."""
    bench.fake.queued = NEVER if state is State.QUEUED else 0.0
    bench.fake.running = NEVER
    bench.options["deadline"] = float("inf")
    handle = bench.manager.start(bench.request())
    until(lambda: bench.manager.journal.jobs() != [] and bench.job.state is state)
    return handle


def finish(bench: Bench) -> None:
    """Let the fake be done with what it has."""
    for job in bench.fake.generations.values():
        job.queued = job.running = 0.0


def until(true: Callable[[], bool]) -> None:
    begin = time.monotonic()
    while not true():
        assert time.monotonic() < begin + REAL_SECONDS
        time.sleep(0.01)


def test_a_queued_job_is_cancelled_and_not_paid(bench: MakeBench) -> None:
    fal = bench("fal")
    handle = hold(fal, State.QUEUED)
    with pytest.raises(Interrupted, match="asked to cancel"):
        wait_for(handle, lambda: True, "cancel if queued")
    with pytest.raises(RemoteError, match="cancelled"):
        handle.future.result(REAL_SECONDS)
    fal.check(State.CANCELLED, charges=0, files=0)


def test_a_running_job_is_kept_unless_asked_otherwise(bench: MakeBench) -> None:
    fal = bench("fal")
    handle = hold(fal, State.RUNNING)
    with pytest.raises(Interrupted, match=r"goes on at fal and is billed: run the same graph again to collect"):
        wait_for(handle, lambda: True, "cancel if queued")
    assert fal.fake.count("cancel") == 0
    with pytest.raises(Interrupted, match="asked to cancel"):
        wait_for(handle, lambda: True, "cancel")
    with pytest.raises(RemoteError, match="cancelled"):
        handle.future.result(REAL_SECONDS)
    fal.check(State.CANCELLED, charges=1, files=0)


def test_a_cancelled_job_that_its_provider_forgets_at_once_is_cancelled_and_not_lost(bench: MakeBench) -> None:
    fal = bench("fal")
    handle = hold(fal, State.QUEUED)

    async def forget(request: web.Request, handle: Handler) -> web.StreamResponse:
        (job,) = fal.fake.generations.values()
        return web.json_response({"detail": "Request not found"}, status=404) if job.cancelled else await handle()

    fal.fake.fault("poll", *[forget] * 100_000)
    with pytest.raises(Interrupted, match="asked to cancel"):
        wait_for(handle, lambda: True, "cancel if queued")
    with pytest.raises(RemoteError, match=r"was cancelled at fal"):
        handle.future.result(REAL_SECONDS)
    fal.check(State.CANCELLED, charges=0, files=0)


@pytest.mark.parametrize("policy", ["cancel", "cancel if queued", "keep"])
@pytest.mark.parametrize("name", ["runware", "rivya"])
def test_a_provider_that_can_not_cancel_goes_on_and_is_collected(
    bench: MakeBench, name: str, policy: OnInterrupt
) -> None:
    one = bench(name)
    handle = hold(one, State.RUNNING)
    with pytest.raises(Interrupted, match="is billed: run the same graph again to collect"):
        wait_for(handle, lambda: True, policy)
    finish(one)
    handle.future.result(REAL_SECONDS)
    one.check(State.DOWNLOADED, charges=1, files=1)


def test_an_interrupt_while_a_submit_is_under_way_waits_for_its_answer(bench: MakeBench) -> None:
    runware = bench("runware", submit_timeout=0.5, deadline=float("inf"))
    runware.fake.queued = NEVER
    runware.fake.fault("submit", Lose("hang"))
    handle = runware.manager.start(runware.request())
    until(lambda: runware.manager.journal.jobs() != [] and runware.job.state is State.SUBMITTING)
    with pytest.raises(Interrupted, match="run the same graph again to collect"):
        wait_for(handle, lambda: True, "cancel")
    finish(runware)
    handle.future.result(REAL_SECONDS)
    runware.check(State.DOWNLOADED, charges=1, files=1)


class Slow:
    """Does what is asked once `answer` is set, or after a while that is far longer than a stop may take."""

    def __init__(self) -> None:
        self.answer = threading.Event()

    async def __call__(self, request: web.Request, handle: Handler) -> web.StreamResponse:
        await asyncio.to_thread(self.answer.wait, 8.0)
        return await handle()


def test_the_run_ends_before_a_slow_provider_answers_and_the_job_is_cancelled_all_the_same(
    bench: MakeBench, caplog: pytest.LogCaptureFixture
) -> None:
    fal = bench("fal", call_timeout=30.0)
    handle, slow = hold(fal, State.QUEUED), Slow()
    fal.fake.fault("cancel", slow)
    with pytest.raises(Interrupted, match="Remote Jobs shows what becomes of it"):
        wait_for(handle, lambda: True, "cancel if queued")
    assert fal.job.state is State.QUEUED
    slow.answer.set()
    with pytest.raises(RemoteError, match="cancelled"):
        handle.future.result(REAL_SECONDS)
    fal.check(State.CANCELLED, charges=0, files=0)
    until(lambda: "fal was asked to cancel job" in caplog.text)


def test_a_cancel_that_fails_after_the_run_has_ended_is_logged_and_the_job_collected(
    bench: MakeBench, caplog: pytest.LogCaptureFixture
) -> None:
    fal = bench("fal", call_timeout=30.0)
    handle, slow = hold(fal, State.QUEUED), Slow()

    async def refuse(request: web.Request, handle: Handler) -> web.StreamResponse:
        await asyncio.to_thread(slow.answer.wait, 8.0)
        return web.json_response({"detail": "no"}, status=401)

    fal.fake.fault("cancel", refuse)
    with pytest.raises(Interrupted, match="Remote Jobs shows what becomes of it"):
        wait_for(handle, lambda: True, "cancel if queued")
    slow.answer.set()
    until(lambda: "may go on and be billed (" in caplog.text)
    finish(fal)
    fal.run()
    fal.check(State.DOWNLOADED, charges=1, files=1)


def test_the_run_ends_before_a_slow_submit_is_answered_and_the_job_is_cancelled_then(bench: MakeBench) -> None:
    fal = bench("fal", submit_timeout=30.0)
    fal.fake.queued, slow = NEVER, Slow()
    fal.options["deadline"] = float("inf")
    fal.fake.fault("submit", slow)
    handle = fal.manager.start(fal.request())
    until(lambda: fal.manager.journal.jobs() != [] and fal.job.state is State.SUBMITTING)
    with pytest.raises(Interrupted, match="Remote Jobs shows what becomes of it"):
        wait_for(handle, lambda: True, "cancel if queued")
    assert fal.job.state is State.SUBMITTING
    slow.answer.set()
    with pytest.raises(RemoteError, match="cancelled"):
        handle.future.result(REAL_SECONDS)
    fal.check(State.CANCELLED, charges=0, files=0)


def test_the_run_ends_while_a_file_is_sent_and_nothing_is_asked_for(bench: MakeBench) -> None:
    fal = bench("fal", upload_timeout=30.0)
    slow = Slow()
    fal.fake.fault("upload", slow)
    handle = fal.manager.start(image_order(fal, picture()))
    until(lambda: fal.fake.count("upload") == 1)
    with pytest.raises(Interrupted, match="was not sent"):
        wait_for(handle, lambda: True, "cancel if queued")
    assert not slow.answer.is_set() and fal.fake.count("submit") == 0
    slow.answer.set()
    fal.check(State.CANCELLED, charges=0, files=0)


def test_an_interrupt_before_the_submit_sends_nothing(bench: MakeBench) -> None:
    rivya = bench("rivya")
    rivya.fake.fault("credits", Lose("hang"))
    handle = rivya.manager.start(rivya.request())
    until(lambda: rivya.manager.journal.jobs() != [] and rivya.fake.count("credits") == 1)
    with pytest.raises(Interrupted, match="was not sent"):
        wait_for(handle, lambda: True, "cancel if queued")
    rivya.check(State.CANCELLED, charges=0, files=0)
    assert rivya.fake.count("submit") == 0


def test_who_waits_for_a_job_that_somebody_else_stops_is_told(bench: MakeBench) -> None:
    """A CancelledError would end the host's worker, not only the prompt."""
    rivya = bench("rivya")
    rivya.fake.fault("credits", Lose("hang"))
    handles = [rivya.manager.start(rivya.request(prompt_id=prompt)) for prompt in ("a", "b")]
    assert len({handle.claimed.result(REAL_SECONDS) for handle in handles}) == 1

    async def stop_one_of_two() -> None:
        other = asyncio.create_task(wait(handles[1], lambda: False))
        with pytest.raises(Interrupted, match="was not sent"):
            await wait(handles[0], lambda: True, "cancel")
        with pytest.raises(Interrupted, match="stopped elsewhere"):
            await other

    asyncio.run(stop_one_of_two())
    rivya.check(State.CANCELLED, charges=0, files=0)


def test_an_interrupt_while_downloading_loses_nothing(any_bench: Bench) -> None:
    any_bench.fake.fault("download", Lose("hang"))
    any_bench.options["call_timeout"] = 0.4
    handle = any_bench.manager.start(any_bench.request())
    until(lambda: any_bench.fake.count("download") == 1)
    with pytest.raises(Interrupted):
        wait_for(handle, lambda: True, "cancel")
    handle.future.result(REAL_SECONDS)
    any_bench.check(State.DOWNLOADED, charges=1, files=1)


def test_a_wait_that_is_taken_away_leaves_the_job_alone(any_bench: Bench) -> None:
    """A sibling node failed, or the interrupt flag was consumed elsewhere: the host's loop is closed under the wait."""
    handle = hold(any_bench, State.RUNNING)

    async def sibling_fails() -> None:
        waiting = asyncio.create_task(wait(handle, lambda: False))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(sibling_fails())
    finish(any_bench)
    any_bench.run()
    any_bench.check(State.DOWNLOADED, charges=1, files=1)
    assert any_bench.fake.count("cancel") == 0


def test_a_loop_that_is_kept_busy_holds_no_job_up(any_bench: Bench) -> None:
    async def sampler_beside_it() -> JobOutcome:
        handle = any_bench.manager.start(any_bench.request())
        until(lambda: any_bench.manager.journal.jobs() != [] and any_bench.job.state is State.DOWNLOADED)
        return await wait(handle, lambda: False)

    asyncio.run(sampler_beside_it())
    any_bench.check(State.DOWNLOADED, charges=1, files=1)


@pytest.mark.parametrize(("policy", "cancels"), [("cancel if queued", 1), ("keep", 0)])
def test_an_interrupt_that_a_sibling_saw_first_counts_for_all(
    bench: MakeBench, policy: OnInterrupt, cancels: int
) -> None:
    fal = bench("fal")
    handle = hold(fal, State.QUEUED)
    seen: list[bool] = []

    async def sibling_is_first() -> None:
        waiting = asyncio.create_task(wait(handle, lambda: bool(seen), policy))
        await asyncio.sleep(0.05)
        seen.append(True)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(sibling_is_first())
    until(lambda: fal.fake.count("cancel") == cancels)
    if cancels:
        until(lambda: fal.job.state is State.CANCELLED)


def test_an_interrupt_before_the_job_is_made_makes_none(any_bench: Bench) -> None:
    with pytest.raises(Interrupted, match="No job was made"):
        asyncio.run(deliver(any_bench.manager, any_bench.request(), interrupted=lambda: True))
    assert not any_bench.fake.seen
