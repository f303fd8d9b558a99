"""Jobs whose submit got no answer: attached by the id that the provider shows, or cleared away together."""

import re
from dataclasses import dataclass, replace
from typing import NoReturn

from ..errors import RemoteError
from ..job import Job, State
from ..providers.base import SEVERAL, Provider
from .journal import Journal

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{3,99}")  # it becomes part of an address
ASKED_IN_VAIN = ("network", "auth", "storage")  # nothing was learnt about the job


@dataclass(frozen=True)
class ClearedJob:
    """The fate of one job: `found` at its provider, dropped with `no trace` there or unknown, or kept as it is.

    It is kept if it couldn't be asked about, may be `at work` unseen, or is one of several `like` it.
    """

    job: Job
    verdict: str


FOUND, NO_TRACE, UNKNOWN = "found", "no trace", "unknown"
KEPT, AT_WORK, LIKE = "kept", "at work", "like"


async def attach(journal: Journal, provider: Provider, job: Job, remote_id: str) -> Job:
    """The job under the provider's id, if the provider has such a one; ValueError for what can't be attached."""
    remote_id = remote_id.strip()
    if not ID.fullmatch(remote_id):
        raise ValueError(f"request_id is {remote_id!r}. Copy the id of the request from {provider.name}'s dashboard.")
    if job.state not in (State.UNKNOWN, State.LOST) or job.remote_id not in ("", remote_id):
        there = f", there {job.remote_id}" if job.remote_id else ""
        raise ValueError(f"job {job.id} is {job.state.value}{there}. Only a job whose answer was lost is attached.")
    if remote_id in await journal.run(journal.remote_ids, job.provider, job.id):
        raise ValueError(f"request_id is {remote_id!r}, which another job of the list has already.")
    progress = await provider.poll(replace(job, remote_id=remote_id, urls=None))
    if progress.state is None:
        text = f"{provider.name} knows no request {remote_id} of {job.endpoint}"
        raise RemoteError("not_found", text, advice="Copy its id from the dashboard. The job is as it was.")
    return await journal.run(journal.update, job.id, state=State.SUBMITTED, remote_id=remote_id, urls=None, error="")


async def clear(journal: Journal, provider: Provider, job: Job) -> ClearedJob:
    """Ask once more about a job, without sending it again; drop it unless the provider has it or may have it.

    RemoteError if it can't be asked.
    """
    now, longest = provider.settings.clock.now(), provider.settings.deadline
    sending = job.state is State.SUBMITTING
    if sending and not (now >= job.lease and await journal.run(journal.take_over, job.id, job.lease)):
        return ClearedJob(job, KEPT)
    try:
        taken = await journal.run(journal.remote_ids, job.provider, job.id)
        accepted = await provider.reconcile(job, _not_again, taken)
    except RemoteError as error:
        if error.kind in ASKED_IN_VAIN or isinstance(error.__cause__, RemoteError):
            raise
        if error.code == SEVERAL:
            return ClearedJob(job, LIKE)
        if now - job.sent < longest:  # no provider without an answer by our id lists what it is still making
            return ClearedJob(job, AT_WORK)
        await journal.run(journal.forget, job.id)
        return ClearedJob(job, UNKNOWN)
    if accepted is not None:
        known = {"remote_id": accepted.remote_id, "urls": dict(accepted.urls), "error": ""}
        return ClearedJob(await journal.run(journal.update, job.id, state=State.SUBMITTED, **known), FOUND)
    await journal.run(journal.update, job.id, reserved=None)  # what never arrived takes nothing of the budget
    await journal.run(journal.forget, job.id)
    return ClearedJob(job, NO_TRACE)


def _not_again() -> NoReturn:
    raise RemoteError("unknown_outcome", "It is not sent again", charged="unknown")
