"""All jobs of this process: started, attached to, cancelled and collected, in the pack's own thread."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..budget import read_budget
from ..errors import RemoteError
from ..http.download import Downloader
from ..http.signed_upload import put_file
from ..http.transport import Transport
from ..job import Job, State
from ..keys import read_key, read_put_address
from ..providers import PROVIDERS
from ..providers.base import Provider
from ..redact import redact_all
from ..settings import RemoteSettings
from .collect import JobOutcome, delivered
from .journal import OVER, Journal, Spent
from .record import JobUpdate, OnUpdate
from .request import GenerationRequest
from .runner import JobRunner, Services
from .thread import LoopThread
from .unanswered import KEPT, ClearedJob, attach, clear
from .uploads import Uploads

log = logging.getLogger("wan_duet")

Budgets = dict[str, tuple[float, float]]  # by provider: what is allowed today, and what is taken
SENDING_TICK = 0.1  # seconds


class JobHandle:
    """A job that somebody waits for: `future` gives its outcome, `claimed` its id as soon as there is one."""

    def __init__(self, manager: "JobManager") -> None:
        self.manager = manager
        self.claimed: Future[str] = Future()
        self.future: Future[JobOutcome] = Future()


@dataclass
class _RunningJob:
    """One job that this process works on: its only task, whoever wants its news, and its runner once it has begun."""

    task: "asyncio.Task[JobOutcome]"
    listeners: list[OnUpdate] = field(default_factory=list)
    runner: JobRunner | None = None


class JobManager:
    """Does nothing until the first job: no file is opened, no thread is started, no network is used."""

    def __init__(self, settings: RemoteSettings) -> None:
        self.settings = settings
        self._thread = LoopThread()
        self._journal: Journal | None = None
        self._opening = threading.Lock()
        self._services: Services | None = None
        self._running: dict[str, _RunningJob] = {}

    @property
    def journal(self) -> Journal:
        """The jobs of this machine; RemoteError if their file can't be used."""
        with self._opening:
            if self._journal is None:
                self._journal = Journal(self.settings.private, self.settings.clock.now)
            return self._journal

    def start(self, generation: GenerationRequest, report: OnUpdate | None = None) -> JobHandle:
        """Make a job, or attach to the one that this request has already."""
        handle = JobHandle(self)
        handle.future = self._thread.run(self._start(generation, handle, report))
        return handle

    def collect(self, job_id: str, report: OnUpdate | None = None, *, again: bool = False) -> JobHandle:
        """Bring in a job that was submitted before, its files `again` if wished; nothing is submitted."""
        handle = JobHandle(self)
        handle.future = self._thread.run(self._collect(job_id, handle, report, again))
        return handle

    def jobs(self, limit: int = 100) -> "Future[list[Job]]":
        """The latest jobs, newest first."""
        return self._thread.run(self._jobs(limit))

    def spent(self) -> "Future[Spent]":
        """The charges, day by day."""
        return self._thread.run(self._spent())

    def budgets(self) -> "Future[Budgets]":
        """Each provider's budget for today, and the part that is taken."""
        return self._thread.run(self._budgets())

    def attach(self, job_id: str, remote_id: str, report: OnUpdate | None = None) -> JobHandle:
        """Bring in a job whose answer was lost, by the id that the provider's dashboard shows."""
        handle = JobHandle(self)
        handle.future = self._thread.run(self._attach(job_id, remote_id, handle, report))
        return handle

    def clear(self) -> "Future[list[ClearedJob]]":
        """Drop every job whose answer was lost, unless its provider has it or may have it; nothing is sent again."""
        return self._thread.run(self._clear())

    def count_forgotten(self, node_id: str) -> "Future[int]":
        """The number of a node's jobs that were forgotten."""
        return self._thread.run(self._count_forgotten(node_id))

    def forget(self, job_id: str) -> "Future[None]":
        """Drop what was asked for and delivered, so that asking again makes a new job; its cost stays in the totals.

        The files stay. ValueError if the job is under way here.
        """
        return self._thread.run(self._forget(job_id))

    def cancel(self, job_id: str, *, only_queued: bool) -> "Future[str]":
        """Stop a job as far as its provider can; the text says what becomes of it."""
        return self._thread.run(self._cancel(job_id, only_queued))

    def put(self, path: Path, profile: str) -> "Future[None]":
        """Send a finished file to the signed address of a profile of keys.json; RemoteError at once if it has none."""
        address = read_put_address(profile, self.settings.private)
        return self._thread.run(put_file(path, address, self.settings))

    def close(self) -> None:
        """Let go of everything; jobs that are under way stay in the journal."""
        if self._services is not None:
            self._thread.run(self._close_sessions(self._services)).result(10)
            self._services = None
        self._thread.close()
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    async def _close_sessions(self, services: Services) -> None:
        tasks = [running.task for running in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await services.transport.close()
        await services.downloader.close()

    async def _open(self) -> Journal:
        """The journal, opened beside the loop: another process may be at it."""
        return await asyncio.to_thread(lambda: self.journal)

    async def _start(self, generation: GenerationRequest, handle: JobHandle, report: OnUpdate | None) -> JobOutcome:
        expected, name = generation.estimate, generation.contract.provider
        wanted = Job(
            id="",
            fingerprint=generation.fingerprint,
            provider=name,
            endpoint=generation.contract.endpoint,
            profile=generation.profile,
            request=redact_all(generation.request),
            state=State.PLANNED,
            prompt_id=generation.prompt_id,
            node_id=generation.node_id,
            estimate=expected.amount,
            currency=expected.currency,
        )
        journal = await self._open()
        job = await journal.run(journal.claim, wanted, generation.fingerprint_before, generation.fingerprint_ambiguous)
        return await self._join(job, generation, handle, report)

    async def _jobs(self, limit: int) -> list[Job]:
        journal = await self._open()
        return await journal.run(journal.jobs, limit)

    async def _spent(self) -> Spent:
        journal = await self._open()
        return await journal.run(journal.spent)

    async def _budgets(self) -> Budgets:
        journal, place = await self._open(), self.settings
        budgets = {name: read_budget(name, place.private, place.environ) for name in PROVIDERS}
        return {name: (amount, await journal.run(journal.used_today, name)) for name, amount in budgets.items()}

    async def _attach(self, job_id: str, remote_id: str, handle: JobHandle, report: OnUpdate | None) -> JobOutcome:
        journal = await self._open()
        job = await journal.run(journal.get, job_id)
        with self._provider(job) as provider:
            job = await attach(journal, provider, job, remote_id)
        return await self._join(job, None, handle, report)

    async def _clear(self) -> list[ClearedJob]:
        """One after the other: a request that was found for one of them is not another's."""
        journal, cleared, silent = await self._open(), [], set[str]()
        for job in await journal.run(journal.unanswered):
            one = ClearedJob(job, KEPT)
            if job.id not in self._running and job.provider not in silent:
                try:
                    with self._provider(job) as provider:
                        one = await clear(journal, provider, job)
                except RemoteError as error:  # no network, or a key that is gone
                    log.warning("job %s: %s", job.id, error)
                    silent.add(job.provider)
            cleared.append(one)
        return cleared

    async def _forget(self, job_id: str) -> None:
        if job_id in self._running:
            raise ValueError(f"job {job_id} is under way: interrupt it first")
        journal = await self._open()
        await journal.run(journal.forget, job_id)

    async def _count_forgotten(self, node_id: str) -> int:
        journal = await self._open()
        return await journal.run(journal.count_forgotten, node_id)

    async def _collect(self, job_id: str, handle: JobHandle, report: OnUpdate | None, again: bool) -> JobOutcome:
        journal = await self._open()
        job = await journal.run(journal.get, job_id)
        if job.state in OVER:
            raise RemoteError("not_found", f"Job {job_id} is {job.state.value}: {job.error or 'nothing to collect'}")
        return await self._join(job, None, handle, report, again)

    async def _join(
        self,
        job: Job,
        generation: GenerationRequest | None,
        handle: JobHandle,
        report: OnUpdate | None,
        again: bool = False,
    ) -> JobOutcome:
        """Wait for the job's one task, whoever started it; it goes on when nobody waits any more."""
        handle.claimed.set_result(job.id)
        if job.id not in self._running:
            task = asyncio.create_task(self._drive(job, generation, again))
            self._running[job.id] = _RunningJob(task)
            task.add_done_callback(lambda _: self._end(job.id))
        running = self._running[job.id]
        if report is not None:
            running.listeners.append(report)
        return await asyncio.shield(running.task)

    def _end(self, job_id: str) -> None:
        task = self._running.pop(job_id).task
        if not task.cancelled():
            task.exception()  # nobody may be waiting; the journal has it

    async def _drive(self, job: Job, generation: GenerationRequest | None, again: bool) -> JobOutcome:
        if not again and (kept := await asyncio.to_thread(delivered, job)):
            return kept
        with self._provider(job) as provider:
            runner = JobRunner(job, generation, provider, self._get_services(), self._report)
            self._running[job.id].runner = runner
            return await runner.run()

    @contextmanager
    def _provider(self, job: Job) -> Iterator[Provider]:
        """The job's provider with its key, which is taken out of what it raises: it may quote what it was sent."""
        provider = PROVIDERS[job.provider]
        place = self.settings
        key = read_key(job.provider, provider.key_variables, job.profile, place.private, place.environ)
        try:
            yield provider(self.settings, self._get_services().transport, key)
        except RemoteError as error:
            raise error.redacted([key]) from None

    def _get_services(self) -> Services:
        if self._services is None:
            transport, downloader = Transport(self.settings), Downloader(self.settings)
            self._services = Services(self.journal, transport, downloader, Uploads(self.journal))
        return self._services

    def _report(self, update: JobUpdate) -> None:
        running = self._running.get(update.job.id)
        for report in running.listeners if running else ():
            try:
                report(update)
            except Exception:  # the host's widget must not end a paid job
                log.exception("job %s: its progress could not be shown", update.job.id)

    async def _cancel(self, job_id: str, only_queued: bool) -> str:
        journal = await self._open()
        running = self._running.get(job_id)
        if await journal.run(journal.cancel_planned, job_id):
            if running is not None:
                running.task.cancel()
            return f"Job {job_id} was not sent."
        job = await journal.run(journal.get, job_id)
        while job.state is State.SUBMITTING and running is not None and not running.task.done():
            await asyncio.sleep(SENDING_TICK)
            job = await journal.run(journal.get, job_id)
        if job.state in (*OVER, State.DOWNLOADED, State.REMOTE_DONE):
            return f"Job {job_id} is {job.state.value}."
        kept = f"Job {job_id} goes on at {job.provider} and is billed: run the same graph again to collect it."
        if not job.remote_id or (only_queued and job.state is State.RUNNING):
            return kept
        with self._provider(job) as provider:
            if not await provider.cancel(job):
                return kept
        if running is not None and running.runner is not None:
            running.runner.cancelling = True
        return f"{job.provider} was asked to cancel job {job_id}."
