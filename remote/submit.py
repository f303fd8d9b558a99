"""From a planned job to one that the provider has: one submit, and a search for it if the answer is lost."""

import hashlib
import logging

from .errors import RemoteError
from .journal import OVER, State
from .money import check_consent
from .order import Order
from .providers.base import Accepted, Provider, Submission, Unreadable
from .record import Record
from .transport import Call, Transport, Unanswered
from .uploads import Uploads

log = logging.getLogger("wan_duet")

LEASE_SLACK = 15.0  # seconds beyond the submit's own time


class Submitter:
    """Submits one job at most once, whatever it finds. Without an order it only looks for what was sent before."""

    def __init__(
        self, record: Record, order: Order | None, provider: Provider, transport: Transport, uploads: Uploads
    ) -> None:
        self._record = record
        self._order = order
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
            await self._reconcile(self._same_call)

    async def _wait_for_the_other_process(self) -> None:
        """Someone is submitting, or died while doing so: believe in it as long as its lease says."""
        until = self._clock.monotonic() + self._settings.submit_timeout + LEASE_SLACK
        while self._clock.now() < self._record.job.lease and self._clock.monotonic() < until:
            await self._clock.sleep(0.5)
            self._record.reload()
            if self._record.job.state is not State.SUBMITTING:
                return

    async def _submit(self) -> None:
        try:
            call = await self._prepare()
        except RemoteError as error:
            self._record.note(error=str(error))  # still planned: nothing was sent, and another process may be willing
            raise
        lease = self._clock.now() + self._settings.submit_timeout + LEASE_SLACK
        if not self._record.begin_submit(lease, _digest(call)):
            return await self.make_sure()
        self._record.tell()
        try:
            reply = await self._transport.submit(call, self._provider.busy)
            self._accept(self._provider.accepted(reply, self._record.job.id))
        except RemoteError as error:
            self._refuse(error)
            raise
        except (Unanswered, Unreadable) as error:
            log.warning("job %s: no answer to the submit (%s); asking what became of it", self._record.job.id, error)
            self._record.note(state=State.UNKNOWN)
            await self._reconcile(lambda: _already(call))

    async def _prepare(self) -> Call:
        """Everything that can fail before money is spent, and the request that spends it."""
        order = self._order
        if order is None:
            text = f"Job {self._record.job.id} was never submitted"
            raise RemoteError("not_found", text, advice="Run its graph again.")
        check_consent(order.estimate, allow_paid=order.allow_paid, max_cost=order.max_cost)
        request = self._provider.complete(order.contract, order.request)
        await self._provider.prepare(order.contract, request)
        request = await self._uploads.place(order, request, self._provider)
        return self._provider.submission(order.contract, request, self._record.job.id)

    async def _same_call(self) -> Call:
        """The submission as it was made before, to the byte."""
        if self._order is None:
            text = f"Job {self._record.job.id} may not have arrived"
            raise RemoteError("unknown_outcome", text, advice="Run its graph again.")
        request = self._provider.complete(self._order.contract, self._order.request)
        request = await self._uploads.place(self._order, request, self._provider)
        call = self._provider.submission(self._order.contract, request, self._record.job.id)
        if _digest(call) != self._record.job.body_sha256:
            raise RemoteError("unknown_outcome", "The submit can't be repeated to the byte", charged="unknown")
        return call

    async def _reconcile(self, call: Submission) -> None:
        """Find out what became of a submit; never make a second job."""
        try:
            accepted = await self._provider.reconcile(self._record.job, call)
        except RemoteError as error:
            if error.kind in ("validation", "quota", "safety", "not_found"):
                self._refuse(error)
            else:
                self._record.note(state=State.UNKNOWN, error=str(error))
            raise
        if accepted is None:
            text = f"{self._provider.name} has no trace of job {self._record.job.id}"
            error = RemoteError("unknown_outcome", text, charged="unknown")
            self._record.note(state=State.LOST, error=str(error))
            raise error
        self._accept(accepted)

    def _refuse(self, error: RemoteError) -> None:
        """Close a job that cost nothing; what may have cost something stays open, so that it is not made again."""
        if error.kind == "unknown_outcome":
            self._record.note(state=State.UNKNOWN, error=str(error))
        else:
            self._record.note(state=State.REJECTED, error=str(error), cost=0.0)

    def _accept(self, accepted: Accepted) -> None:
        self._record.note(state=State.SUBMITTED, remote_id=accepted.remote_id, urls=dict(accepted.urls), error="")
        self._record.tell()


async def _already(call: Call) -> Call:
    return call


def _digest(call: Call) -> str:
    return hashlib.sha256(call.body or b"").hexdigest()
