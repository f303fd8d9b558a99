"""From a planned job to one that the provider has: one submit, and a search for it if the answer is lost."""

import asyncio
import logging
from collections.abc import Awaitable

from ..budget import read_budget, where_to_set
from ..contract.pricing import Reservation, check_consent
from ..errors import RemoteError
from ..http.transport import Call, Reply, Transport, Unanswered
from ..job import State
from ..providers.base import Accepted, Provider, SubmittedBody, Unreadable
from .journal import OVER
from .record import JobRecord
from .request import GenerationRequest
from .uploads import Uploads

log = logging.getLogger("wan_duet")

LEASE = 12.0  # seconds for which a process that submits is believed to be alive
BEAT = 3.0  # seconds after which it shows that it is


class _TakenOver(Exception):
    """Another process has found the lease run out, and asks what became of the submit."""


class Submitter:
    """Submits one job at most once, whatever it finds. Without a request it only looks for what was sent before."""

    def __init__(
        self,
        record: JobRecord,
        generation: GenerationRequest | None,
        provider: Provider,
        transport: Transport,
        uploads: Uploads,
    ) -> None:
        self._record = record
        self._generation = generation
        self._provider = provider
        self._transport = transport
        self._uploads = uploads
        self._settings = provider.settings
        self._clock = provider.settings.clock

    async def make_sure(self) -> None:
        """The provider has the job when this returns; RemoteError if it has not, or if that can't be known."""
        if self._record.job.state is State.SUBMITTING:
            await self._wait_for_the_other_process()
        if self._record.job.state in OVER:
            raise RemoteError("cancelled", f"Job {self._record.job.id} was given up by another process")
        if self._record.job.state is State.PLANNED:
            await self._submit()
        elif not self._record.job.remote_id:
            await self._reconcile(self._same_body)

    async def _wait_for_the_other_process(self) -> None:
        """Someone is submitting, or died while doing so: believe in it as long as its lease says."""
        held = until = 0.0
        while self._record.job.state is State.SUBMITTING:
            if self._record.job.lease != held:
                held, until = self._record.job.lease, self._clock.monotonic() + LEASE  # whatever the clocks say
            if self._clock.now() >= held or self._clock.monotonic() >= until:
                await self._record.take_over()
            else:
                await self._clock.sleep(0.5)
                await self._record.reload()

    async def _submit(self) -> None:
        begin = self._clock.now()
        try:
            generation = self._ordered()
            wanted = self._reservation(generation)
            await self._record.check_budget(wanted)
            call = await self._prepare(generation)
        except RemoteError as error:
            # still planned: nothing was sent, and another process may be willing
            await self._record.note(error=str(error))
            raise
        if not await self._record.begin_submit(self._lease(), call.body or b"", wanted):
            return await self.make_sure()
        self._record.tell()
        try:
            reply = await self._alive(self._transport.submit(call, self._provider.busy, self._hold))
            await self._accept(self._provider.accepted(reply, self._record.job.id))
        except _TakenOver:
            await self.make_sure()
        except RemoteError as error:
            if await self._uploads.forget(error, self._generation, self._provider, begin):  # and it may be about them
                await self._record.note(state=State.PLANNED, reserved=None)
                return await self.make_sure()
            await self._refuse(error)
            raise
        except (Unanswered, Unreadable) as error:
            log.warning("job %s: no answer to the submit (%s); asking what became of it", self._record.job.id, error)
            await self._record.note(state=State.UNKNOWN)
            await self._reconcile(lambda: call.body or b"")

    async def _alive(self, submit: Awaitable[Reply]) -> Reply:
        """Let others see that this process lives while its submit is under way; a dead one is soon taken over."""
        sending = asyncio.ensure_future(submit)
        try:
            while not (await asyncio.wait({sending}, timeout=BEAT))[0]:
                try:
                    await self._record.renew_submit(self._lease())
                except RemoteError as error:  # the answer is worth more than the note
                    log.warning("job %s: %s", self._record.job.id, error)
        finally:
            sending.cancel()
        return sending.result()

    def _lease(self, wait: float = 0.0) -> float:
        """Until when a process that is silent for `wait` seconds is believed in."""
        return self._clock.now() + wait + LEASE

    async def _hold(self, wait: float) -> None:
        """Keep other processes away while this one waits to try again, and make sure that none has come in between."""
        for seconds in (wait, 0.0):
            if not await self._record.renew_submit(self._lease(seconds)):
                raise _TakenOver
            await self._clock.sleep(seconds)

    def _ordered(self) -> GenerationRequest:
        """The request, without which nothing is submitted."""
        if self._generation is None:
            text = f"Job {self._record.job.id} was never submitted"
            raise RemoteError("not_found", text, advice="Run its graph again.")
        return self._generation

    async def _prepare(self, generation: GenerationRequest) -> Call:
        """All else that can fail before money is spent, and the request that spends it."""
        request = self._provider.complete(generation.contract, generation.request)
        await self._provider.prepare(generation.contract, request)
        request = await self._uploads.place(generation, request, self._provider)
        return self._provider.submission(generation.contract, request, self._record.job.id)

    def _reservation(self, generation: GenerationRequest) -> Reservation:
        """The job's part of the budget; RemoteError unless that is agreed to."""
        name = self._record.job.provider
        amount, price = check_consent(
            self._provider.prices_at,
            generation.estimate,
            allow_paid=generation.allow_paid,
            max_cost=generation.max_cost,
        )
        budget = read_budget(name, self._settings.private, self._settings.environ)
        return Reservation(amount, generation.estimate.currency, price, budget, where_to_set(name))

    def _same_body(self) -> bytes:
        """The body sent before, to the byte, if it may be sent again: consent is asked for as for the first time."""
        if self._generation is None:
            text = f"Job {self._record.job.id} may not have arrived"
            raise RemoteError("unknown_outcome", text, advice="Run its graph again.")
        self._reservation(self._generation).check(used=0.0)  # it was taken out of the budget when it was first sent
        if not self._record.job.body:
            raise RemoteError("unknown_outcome", "The submit can't be repeated to the byte", charged="unknown")
        return self._record.job.body.encode()

    async def _reconcile(self, sent: SubmittedBody) -> None:
        """Find out what became of a submit; never make a second job."""
        try:
            accepted = await self._provider.reconcile(self._record.job, sent, await self._record.taken())
        except RemoteError as error:
            if error.kind in ("validation", "quota", "safety", "not_found"):
                await self._refuse(error)
            else:
                await self._record.note(state=State.UNKNOWN, error=str(error))
            raise
        if accepted is None:
            text = f"{self._provider.name} has no trace of job {self._record.job.id}"
            error = RemoteError("unknown_outcome", text, charged="unknown")
            await self._record.note(state=State.LOST, error=str(error))
            raise error
        await self._accept(accepted)

    async def _refuse(self, error: RemoteError) -> None:
        """Close a job that cost nothing; what may have cost something stays open, so that it is not made again."""
        if error.kind == "unknown_outcome":
            await self._record.note(state=State.UNKNOWN, error=str(error))
        else:
            await self._record.note(state=State.REJECTED, error=str(error), cost=0.0)

    async def _accept(self, accepted: Accepted) -> None:
        await self._record.note(state=State.SUBMITTED, remote_id=accepted.remote_id, urls=dict(accepted.urls), error="")
        self._record.tell()
