"""Run one job: submitted once, polled until the provider's own word ends it, fetched."""

import logging
from dataclasses import dataclass, replace

from ..errors import Charged, RemoteError
from ..http.backoff import Backoff
from ..http.download import Downloader
from ..http.transport import Transport
from ..job import Job, State
from ..providers.base import JobProgress, Provider
from .collect import Fetcher, JobOutcome
from .journal import Journal
from .record import JobRecord, OnUpdate
from .request import GenerationRequest
from .submit import Submitter
from .uploads import Uploads

log = logging.getLogger("wan_duet")


@dataclass
class Services:
    """The parts that all job runners of a manager share."""

    journal: Journal
    transport: Transport
    downloader: Downloader
    uploads: Uploads


@dataclass
class PartialResultTimer:
    """Notices when part of the results is all: one error may stand for the whole task, and nobody says so."""

    settle: float
    told: tuple[int, int] = (0, 0)
    since: float = 0.0

    def has_settled(self, progress: JobProgress, now: float) -> bool:
        """True if something is told, nothing is said to be under way, and that has not changed for long."""
        if progress.pending or progress.told != self.told:
            self.told, self.since = progress.told, now
        return self.told != (0, 0) and now - self.since > self.settle


class JobRunner:
    """Drives one job to its end. Without a request it collects what was submitted before, and submits nothing."""

    def __init__(
        self, job: Job, generation: GenerationRequest | None, provider: Provider, services: Services, report: OnUpdate
    ) -> None:
        self.cancelling = False
        self._generation = generation
        self._log: tuple[str, ...] = ()
        self._provider = provider
        self._uploads = services.uploads
        self._settings = provider.settings
        self._clock = provider.settings.clock
        self._record = JobRecord(job, services.journal, self._clock, report, provider.key)
        self._submitter = Submitter(self._record, generation, provider, services.transport, services.uploads)
        self._fetcher = Fetcher(self._record, provider, services.downloader, self._poll)

    async def run(self) -> JobOutcome:
        """Everything that is left to do; RemoteError with the job's state in the journal if it can't be done."""
        attached = self._record.job.state is not State.PLANNED
        await self._submitter.make_sure()
        progress = await self._wait_until_done()
        return replace(await self._fetcher.fetch_all(progress), attached=attached, log=self._log)

    async def _wait_until_done(self) -> JobProgress:
        backoff = Backoff(self._settings.first_poll, self._settings.longest_poll)
        seen = self._clock.monotonic()
        timer = PartialResultTimer(self._settings.settle)
        partial: JobProgress | None = None
        while True:
            progress = await self._poll()
            if progress is not None and progress.state is None:
                await self._check_missing(self._clock.monotonic() - seen)
            elif progress is not None and progress.state is not None:
                seen = self._clock.monotonic()
                if progress.state is State.REMOTE_DONE or timer.has_settled(progress, seen):
                    return await self._judge(replace(progress, state=State.REMOTE_DONE))
                partial = progress if progress.results else None
                if progress.state is not self._record.job.state:
                    await self._record.note(state=progress.state)
                self._record.tell(progress.queue, progress.percent, next(reversed(self._log), ""))
            wait = backoff.next()
            if self._record.seconds + wait > self._settings.deadline:
                if partial is not None:
                    return await self._judge(partial)
                raise RemoteError("timeout", f"Job {self._record.job.id} takes longer than we wait", charged="unknown")
            await self._clock.sleep(wait)

    async def _poll(self) -> JobProgress | None:
        """None: no answer. The network may come back, and the job goes on without it."""
        wanted = self._generation is not None and self._generation.log
        try:
            progress = await self._provider.poll(self._record.job, log=wanted)
            self._log = self._record.readable(progress.log) or self._log
            return progress
        except RemoteError as error:
            if error.kind != "network":
                advice = f"{error.advice} The job is kept: run the same graph again to collect it."
                raise RemoteError(error.kind, error.reason, charged="unknown", advice=advice) from error
            log.warning("job %s: %s", self._record.job.id, error.reason)
            return None

    async def _check_missing(self, seconds: float) -> None:
        """A job that was accepted may take a while to appear, but not for ever."""
        name, job = self._provider.name, self._record.job
        if self.cancelling:
            await self._record.note(state=State.CANCELLED)
            raise RemoteError("cancelled", f"Job {job.id} was cancelled at {name}")
        if job.state in (State.REMOTE_DONE, State.DOWNLOADED):
            raise self._gone()
        if seconds > self._settings.missing_grace:
            await self._record.note(state=State.LOST)
            raise RemoteError("unknown_outcome", f"{name} no longer knows job {job.id}", charged="unknown")

    def _gone(self) -> RemoteError:
        """A result that was there once: the job stays as it is, so that it is not made again without a word."""
        text = f"{self._provider.name} no longer has the result of job {self._record.job.id}"
        return RemoteError("not_found", text, charged="yes", advice="Change force_new to make it again.")

    async def _judge(self, progress: JobProgress) -> JobProgress:
        """Keep every success; raise the failure if there is nothing else."""
        job = self._record.job
        if progress.cost is not None:
            await self._record.note(cost=progress.cost)
        if progress.results:
            await self._record.note(state=progress.state)
            return progress
        if job.state in (State.REMOTE_DONE, State.DOWNLOADED):
            raise self._gone()
        failure = progress.failures[0]
        await self._uploads.forget(failure, self._generation, self._provider, before=float("inf"))
        charged: Charged = "no" if progress.cost == 0 else "unknown"
        error = RemoteError(failure.kind, failure.reason, charged=charged, code=failure.code)
        await self._record.note(
            state=State.CANCELLED if failure.kind == "cancelled" else State.FAILED, error=str(error)
        )
        raise error
