"""Wait for a job in the host's loop, which may be closed at any moment, and see an interrupt."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import Literal

from ..errors import Interrupted
from .collect import JobOutcome
from .manager import JobHandle, JobManager
from .record import OnUpdate
from .request import GenerationRequest

OnInterrupt = Literal["cancel if queued", "cancel", "keep"]
TICK = 0.25
LONGEST_STOP = 1.5  # seconds that a provider may take to answer before the run ends without it

log = logging.getLogger("wan_duet")


def never() -> bool:
    """No interrupt."""
    return False


async def deliver(
    manager: JobManager,
    generation: GenerationRequest,
    *,
    report: OnUpdate | None = None,
    interrupted: Callable[[], bool] = never,
    on_interrupt: OnInterrupt = "cancel if queued",
) -> JobOutcome:
    """The files of a request, by a new job or by the one that it has already; what a node calls.

    `report` is called in the jobs' thread. Raises RemoteError, or Interrupted once `interrupted()` is true.
    """
    if interrupted():  # while its files were made ready
        raise Interrupted("No job was made.")
    return await wait(manager.start(generation, report), interrupted, on_interrupt)


async def wait(
    handle: JobHandle, interrupted: Callable[[], bool], on_interrupt: OnInterrupt = "cancel if queued"
) -> JobOutcome:
    """The job's outcome; Interrupted once `interrupted()` has been seen to be true.

    A cancelled wait only lets go (a sibling failed, the host's loop ends): the job goes on and can be collected. If it
    was cancelled because a sibling saw the interrupt first, that counts here too.
    """
    future = asyncio.wrap_future(handle.future)
    while True:
        try:
            done, _ = await asyncio.wait({future}, timeout=TICK)
        except asyncio.CancelledError:
            if interrupted() and on_interrupt != "keep":
                _cancel(handle, on_interrupt).cancel()  # nobody is left to be told
            raise
        if future.cancelled():  # not passed on: it would end the host's worker, not only the prompt
            raise Interrupted("The job was stopped elsewhere. Run again to make a new one.")
        if done:
            return future.result()
        if interrupted():
            raise Interrupted(await _stop(handle, on_interrupt))


async def _stop(handle: JobHandle, on_interrupt: OnInterrupt) -> str:
    """Say what becomes of the job, as far as that is known soon; a provider that is slow is asked all the same."""
    try:
        return await asyncio.wait_for(asyncio.wrap_future(_cancel(handle, on_interrupt)), LONGEST_STOP)
    except asyncio.TimeoutError:
        return "The job may go on and be billed: Remote Jobs shows what becomes of it, and the same graph collects it."


def _cancel(handle: JobHandle, on_interrupt: OnInterrupt) -> "Future[str]":
    """Stop the job in the jobs' own loop, for the caller's may end; what becomes of it is logged if nobody waits."""
    said: Future[str] = Future()

    def say(text: str) -> None:
        if said.set_running_or_notify_cancel():
            said.set_result(text)
        else:
            log.warning("%s", text)

    def cancel(claimed: "Future[str]") -> None:
        if claimed.cancelled():
            return say("No job was made.")
        job_id = claimed.result()
        if on_interrupt == "keep":
            return say(f"Job {job_id} goes on and is billed: run the same graph again to collect it.")
        asked = handle.manager.cancel(job_id, only_queued=on_interrupt == "cancel if queued")
        asked.add_done_callback(lambda asked: say(_answer(asked, job_id)))

    handle.claimed.add_done_callback(cancel)
    handle.future.add_done_callback(lambda _: handle.claimed.cancel())  # of a job that failed before it was made
    return said


def _answer(asked: "Future[str]", job_id: str) -> str:
    error = RuntimeError("the jobs were closed") if asked.cancelled() else asked.exception()
    kept = f"Job {job_id} may go on and be billed ({error}): run the same graph again to collect it."
    return kept if error else asked.result()
