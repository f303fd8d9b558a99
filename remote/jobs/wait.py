"""Wait for a job in the host's loop, which may be closed at any moment, and see an interrupt."""

import asyncio
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
LONGEST_CANCEL = 10.0


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
                _cancel_later(handle, on_interrupt)
            raise
        if future.cancelled():  # not passed on: it would end the host's worker, not only the prompt
            raise Interrupted("The job was stopped elsewhere. Run again to make a new one.")
        if done:
            return future.result()
        if interrupted():
            raise Interrupted(await _stop(handle, future, on_interrupt))


def _cancel_later(handle: JobHandle, on_interrupt: OnInterrupt) -> None:
    """Cancel the job in the jobs' own loop, for this one is about to end."""

    def cancel(claimed: "Future[str]") -> None:
        if not claimed.cancelled() and claimed.exception() is None:
            handle.manager.cancel(claimed.result(), only_queued=on_interrupt == "cancel if queued")

    handle.claimed.add_done_callback(cancel)


async def _stop(handle: JobHandle, future: "asyncio.Future[JobOutcome]", on_interrupt: OnInterrupt) -> str:
    claimed = asyncio.wrap_future(handle.claimed)
    await asyncio.wait({claimed, future}, return_when=asyncio.FIRST_COMPLETED)
    if not claimed.done():
        return "No job was made."
    job_id = claimed.result()
    if on_interrupt == "keep":
        return f"Job {job_id} goes on and is billed: run the same graph again to collect it."
    cancelled = handle.manager.cancel(job_id, only_queued=on_interrupt == "cancel if queued")
    try:
        return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(cancelled)), LONGEST_CANCEL)
    except (asyncio.TimeoutError, RuntimeError) as error:
        return f"Job {job_id} may go on and be billed ({error or 'no answer'}): run the same graph again to collect it."
