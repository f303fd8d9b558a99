"""The course of one job: submitted once, found again if the answer is lost, polled, fetched."""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .backoff import Backoff
from .download import Downloader, File, Gone
from .errors import Charged, RemoteError
from .journal import Job, Journal, State
from .money import Estimate, check_consent
from .order import Order
from .providers.base import Accepted, Progress, Provider, Result, Submission, Unreadable
from .redact import redact
from .transport import Call, Transport, Unanswered
from .uploads import Uploads

log = logging.getLogger("wan_duet")

FETCH_TRIES = 3
LEASE_SLACK = 15.0
RATIO_TOLERANCE = 0.1


@dataclass(frozen=True)
class Update:
    """Where a job is, for people."""

    job: Job
    seconds: float
    queue: int | None = None
    percent: float | None = None

    def __str__(self) -> str:
        place = [f"queue {self.queue}"] if self.queue is not None else []
        price = Estimate(self.job.estimate, self.job.currency)
        words = [self.job.provider, f"{self.job.state.value} {self.seconds:.0f} s", *place, str(price), self.job.id[:8]]
        return " - ".join(words)


@dataclass(frozen=True)
class Outcome:
    """A delivered job. `attached`: it was there before and nothing was submitted for it now."""

    job: Job
    files: tuple[Path, ...]
    warnings: tuple[str, ...] = ()
    seeds: tuple[int | None, ...] = ()
    nsfw: bool = False
    attached: bool = False


@dataclass
class Tools:
    """What every course of a manager works with."""

    journal: Journal
    transport: Transport
    downloader: Downloader
    uploads: Uploads


class Course:
    """Drives one job to its end. Without an order it collects what was submitted before, and submits nothing."""

    def __init__(
        self, job: Job, order: Order | None, provider: Provider, tools: Tools, report: Callable[[Update], None]
    ) -> None:
        self.job = job
        self.cancelling = False
        self._order = order
        self._provider = provider
        self._tools = tools
        self._report = report
        self._settings = provider.settings
        self._clock = provider.settings.clock
        self._begin = self._clock.monotonic()

    async def run(self) -> Outcome:
        """Everything that is left to do; RemoteError with the job's state in the journal if it can't be done."""
        attached = self.job.state is not State.PLANNED
        if self.job.state is State.DOWNLOADED and await asyncio.to_thread(self._intact):
            return Outcome(self.job, tuple(Path(file["path"]) for file in self.job.files), attached=True)
        await self._make_sure_it_is_submitted()
        progress = await self._wait_until_done()
        return replace(await self._fetch_all(progress), attached=attached)

    def _intact(self) -> bool:
        """Whether the files that were fetched before are still what they were."""
        for file in self.job.files:
            path = Path(file["path"])
            if not path.is_file() or path.stat().st_size != file["size"]:
                return False
        return bool(self.job.files)

    # submitting

    async def _make_sure_it_is_submitted(self) -> None:
        if self.job.state is State.SUBMITTING:
            await self._wait_for_the_other_process()
        if self.job.state is State.PLANNED:
            await self._submit()
        elif self.job.state in (State.SUBMITTING, State.UNKNOWN, State.LOST):
            await self._reconcile(self._same_call)

    async def _wait_for_the_other_process(self) -> None:
        """Someone is submitting, or died while doing so: believe in it as long as its lease says."""
        until = self._clock.monotonic() + self._settings.submit_timeout + LEASE_SLACK
        while self._clock.now() < self.job.lease and self._clock.monotonic() < until:
            await self._clock.sleep(0.5)
            self.job = self._tools.journal.get(self.job.id)
            if self.job.state is not State.SUBMITTING:
                return

    async def _submit(self) -> None:
        try:
            call = await self._prepare()
        except RemoteError as error:
            self._note(state=State.REJECTED, error=str(error), cost=0.0)
            raise
        lease = self._clock.now() + self._settings.submit_timeout + LEASE_SLACK
        if not self._tools.journal.begin_submit(self.job.id, lease, _digest(call)):
            self.job = self._tools.journal.get(self.job.id)
            return await self._make_sure_it_is_submitted()
        self.job = self._tools.journal.get(self.job.id)
        self._tell()
        try:
            reply = await self._tools.transport.submit(call)
            self._accept(self._provider.accepted(reply, self.job.id))
        except RemoteError as error:
            self._note(state=State.REJECTED, error=str(error), cost=0.0)
            raise
        except (Unanswered, Unreadable) as error:
            log.warning("job %s: no answer to the submit (%s); asking what became of it", self.job.id, error)
            self._note(state=State.UNKNOWN)
            await self._reconcile(lambda: _already(call))

    async def _prepare(self) -> Call:
        """Everything that can fail before money is spent, and the request that spends it."""
        order = self._order
        if order is None:
            raise RemoteError("not_found", f"Job {self.job.id} was never submitted", advice="Run its graph again.")
        check_consent(order.estimate, allow_paid=order.allow_paid, max_cost=order.max_cost)
        request = self._provider.complete(order.contract, order.request)
        await self._provider.prepare(order.contract, request)
        request = await self._tools.uploads.place(order, request, self._provider)
        return self._provider.submission(order.contract, request, self.job.id)

    async def _same_call(self) -> Call:
        """The submission as it was made before, to the byte."""
        if self._order is None:
            raise RemoteError(
                "unknown_outcome", f"Job {self.job.id} may not have arrived", advice="Run its graph again."
            )
        request = self._provider.complete(self._order.contract, self._order.request)
        request = await self._tools.uploads.place(self._order, request, self._provider)
        call = self._provider.submission(self._order.contract, request, self.job.id)
        if _digest(call) != self.job.body_sha256:
            raise RemoteError("unknown_outcome", "The submit can't be repeated to the byte", charged="unknown")
        return call

    async def _reconcile(self, call: Submission) -> None:
        """Find out what became of a submit; never make a second job."""
        try:
            accepted = await self._provider.reconcile(self.job, call)
        except RemoteError as error:
            refused = error.kind not in ("unknown_outcome", "network", "auth", "storage", "consent")
            self._note(state=State.REJECTED if refused else State.UNKNOWN, error=str(error))
            raise
        if accepted is None:
            error = RemoteError(
                "unknown_outcome", f"{self._provider.name} has no trace of job {self.job.id}", charged="unknown"
            )
            self._note(state=State.LOST, error=str(error))
            raise error
        self._accept(accepted)

    def _accept(self, accepted: Accepted) -> None:
        self._note(state=State.SUBMITTED, remote_id=accepted.remote_id, urls=dict(accepted.urls), error="")
        self._tell()

    # waiting

    async def _wait_until_done(self) -> Progress:
        backoff = Backoff(self._settings.first_poll, self._settings.longest_poll)
        seen = self._clock.monotonic()
        while True:
            progress = await self._poll()
            if progress is not None and progress.state is None:
                self._check_missing(self._clock.monotonic() - seen)
            elif progress is not None and progress.state is not None:
                seen = self._clock.monotonic()
                if progress.state is State.REMOTE_DONE:
                    return self._judge(progress)
                if progress.state is not self.job.state:
                    self._note(state=progress.state)
                self._tell(progress)
            wait = backoff.next()
            if self._clock.monotonic() + wait > self._begin + self._settings.deadline:
                raise RemoteError("timeout", f"Job {self.job.id} takes longer than we wait", charged="unknown")
            await self._clock.sleep(wait)

    async def _poll(self) -> Progress | None:
        """None: no answer. The network may come back, and the job goes on without it."""
        try:
            return await self._provider.poll(self.job)
        except RemoteError as error:
            if error.kind != "network":
                raise
            log.warning("job %s: %s", self.job.id, error.reason)
            return None

    def _check_missing(self, seconds: float) -> None:
        """A job that was accepted may take a while to appear, but not for ever."""
        name = self._provider.name
        if self.cancelling:
            self._note(state=State.CANCELLED)
            raise RemoteError("cancelled", f"Job {self.job.id} was cancelled at {name}")
        if seconds > self._settings.missing_grace:
            self._note(state=State.LOST)
            raise RemoteError("unknown_outcome", f"{name} no longer knows job {self.job.id}", charged="unknown")

    def _judge(self, progress: Progress) -> Progress:
        """Keep every success; raise the failure if there is nothing else."""
        if progress.cost is not None:
            self._note(cost=progress.cost)
        if progress.results:
            self._note(state=State.REMOTE_DONE)
            if not any(result.url for result in progress.results):
                raise RemoteError("protocol", f"Job {self.job.id} is done, but has no address", charged="yes")
            return progress
        failure = progress.failures[0]
        charged: Charged = "no" if progress.cost == 0 else "unknown"
        error = RemoteError(failure.kind, failure.reason, charged=charged, code=failure.code)
        self._note(state=State.CANCELLED if failure.kind == "cancelled" else State.FAILED, error=str(error))
        raise error

    # fetching

    async def _fetch_all(self, progress: Progress) -> Outcome:
        fetched = [await self._fetch(result) for result in progress.results if result.url]
        files = [_row(file) for file in fetched]
        self._note(state=State.DOWNLOADED, files=tuple(files), error="")
        self._tell()
        warnings = [f"One result failed: {failure.reason}" for failure in progress.failures]
        warnings += [text for file in fetched if (text := _mismatch(self.job.request, file))]
        seeds = tuple(result.seed for result in progress.results if result.url)
        nsfw = any(result.nsfw for result in progress.results)
        return Outcome(self.job, tuple(file.path for file in fetched), tuple(warnings), seeds, nsfw)

    async def _fetch(self, result: Result) -> File:
        """Fetch one result, with a fresh address if the old one has run out: it is paid and is not bought again."""
        hosts = self._provider.hosts
        allowed = None if hosts is None else (*hosts, *self._settings.extra_hosts)
        backoff = Backoff()
        reason = ""
        for tries_left in reversed(range(FETCH_TRIES)):
            try:
                return await self._tools.downloader.fetch(result.url, f"{self.job.id}_{result.index}", allowed)
            except Gone as error:
                reason = str(error)
            except RemoteError as error:
                if error.kind != "protocol" or not tries_left:
                    raise
                reason = error.reason
            await self._clock.sleep(backoff.next())
            if (progress := await self._poll()) is not None:
                result = next((fresh for fresh in progress.results if fresh.index == result.index), result)
        advice = "The job is kept: run the same graph again to collect it."
        raise RemoteError("network", f"The result can't be fetched ({reason})", charged="yes", advice=advice)

    def _note(self, **values: Any) -> None:
        """Write down what became of a job. It goes on if that fails: the money is spent already."""
        if "error" in values:
            values["error"] = redact(values["error"], [self._provider.key])
        try:
            self.job = self._tools.journal.update(self.job.id, **values)
        except RemoteError as error:
            log.warning("job %s: %s", self.job.id, error)
            self.job = replace(self.job, **values)

    def _tell(self, progress: Progress | None = None) -> None:
        queue, percent = (progress.queue, progress.percent) if progress else (None, None)
        self._report(Update(self.job, self._clock.monotonic() - self._begin, queue, percent))


async def _already(call: Call) -> Call:
    return call


def _digest(call: Call) -> str:
    return hashlib.sha256(call.body or b"").hexdigest()


def _row(file: File) -> Mapping[str, Any]:
    return {"path": str(file.path), "sha256": file.sha256, "size": file.size}


def _mismatch(request: Mapping[str, Any], file: File) -> str | None:
    """What the result is instead of what was asked for, in a sentence."""
    got = file.content
    asked = request.get("width"), request.get("height")
    if None not in asked and asked != (got.width, got.height):
        return f"Asked for {asked[0]}x{asked[1]}, the result is {got.width}x{got.height}."
    ratio = request.get("aspect_ratio") or request.get("params", {}).get("aspect_ratio") or "auto"
    if ratio != "auto":
        width, height = map(int, ratio.split(":"))
        if abs(got.width / got.height / (width / height) - 1) > RATIO_TOLERANCE:
            return f"Asked for {ratio}, the result is {got.width}x{got.height}."
    return None
