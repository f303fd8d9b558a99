"""One job as this process sees it: its row in the journal, and whoever wants to be told."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..contract.pricing import Estimate, Reservation
from ..errors import RemoteError
from ..job import Job
from ..redact import redact, redact_all
from ..settings import Clock
from .journal import Journal

log = logging.getLogger("wan_duet")

LINES, LONGEST = 20, 200  # of a provider's log: how many are kept, and of how many characters


@dataclass(frozen=True)
class JobUpdate:
    """The progress of a job, for people."""

    job: Job
    seconds: float
    queue: int | None = None
    percent: float | None = None
    line: str = ""

    def __str__(self) -> str:
        place = [f"queue {self.queue}"] if self.queue is not None else []
        price = Estimate(self.job.estimate, self.job.currency)
        words = [self.job.provider, f"{self.job.state.value} {self.seconds:.0f} s", *place, str(price), self.job.id[:8]]
        return " - ".join([*words, *([self.line] if self.line else [])])


OnUpdate = Callable[[JobUpdate], None]


class JobRecord:
    """Keeps `job` equal to its row. What it is told to note has `secret` taken out."""

    def __init__(self, job: Job, journal: Journal, clock: Clock, report: OnUpdate, secret: str) -> None:
        self.job = job
        self._journal = journal
        self._report = report
        self._clock = clock
        self._begin = clock.monotonic()
        self._secret = secret
        self._unsaved: dict[str, Any] = {}
        self._renewing = asyncio.Lock()

    @property
    def seconds(self) -> float:
        """Seconds that this process has been at it."""
        return self._clock.monotonic() - self._begin

    async def note(self, **values: Any) -> None:
        """Write down what became of a job. It goes on if that fails: the money is spent already."""
        said = {name: values[name] for name in ("error", "warnings") if name in values}
        values |= redact_all(said, [self._secret])
        self._unsaved |= values
        try:
            self.job = await self._journal.run(self._journal.update, self.job.id, **self._unsaved)
            self._unsaved = {}
        except RemoteError as error:
            log.warning("job %s (%s there): %s", self.job.id, self._unsaved.get("remote_id", "its own id"), error)
            self.job = replace(self.job, **values)

    async def check_budget(self, wanted: Reservation) -> None:
        """RemoteError if today's budget does not hold a job; before anything is uploaded for it."""
        wanted.check(await self._journal.run(self._journal.used_today, self.job.provider))

    async def begin_submit(self, lease: float, body: bytes, wanted: Reservation) -> bool:
        """Take the right to submit, and the price out of the budget, on the disk; False if another process has it.

        RemoteError if it can't be noted or the budget is used up.
        """
        text = body.decode()
        kept = text if redact(text, [self._secret]) == text else ""  # what must not be written down can't be repeated
        taken = await self._journal.run(self._journal.begin_submit, self.job.id, lease, kept, wanted)
        await self.reload()
        return taken

    async def renew_submit(self, lease: float) -> bool:
        """Keep the right to submit; False if another process has taken it over."""
        async with self._renewing:
            kept = await self._journal.run(self._journal.renew_submit, self.job.id, self.job.lease, lease)
            await self.reload()
            return kept

    async def take_over(self) -> None:
        """Take a submit from a process that is believed dead, unless it has just shown that it is not."""
        await self._journal.run(self._journal.take_over, self.job.id, self.job.lease)
        await self.reload()

    async def taken(self) -> set[str]:
        """The provider's ids of its other jobs."""
        return await self._journal.run(self._journal.remote_ids, self.job.provider, self.job.id)

    async def reload(self) -> None:
        """See what another process has written."""
        self.job = await self._journal.run(self._journal.get, self.job.id)

    def readable(self, log: Sequence[str]) -> tuple[str, ...]:
        """The last lines of a log, short and without secrets."""
        lines = (" ".join(redact(line, [self._secret]).split()) for line in log[-LINES:])
        return tuple(line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…" for line in lines if line)

    def tell(self, queue: int | None = None, percent: float | None = None, line: str = "") -> None:
        """Say where the job is to whoever waits for it, with the newest line of its log."""
        self._report(JobUpdate(self.job, self.seconds, queue, percent, line))
