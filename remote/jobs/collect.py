"""Fetch what a job has made; with a fresh address where the old one has run out."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..contract.contracts import contracts, value_of_role
from ..errors import RemoteError
from ..http.backoff import Backoff
from ..http.content import ARCHIVE
from ..http.download import Downloader, File, Gone
from ..job import Job, State
from ..providers.base import JobProgress, JobResult, Provider
from .record import JobRecord

FETCH_TRIES = 3
RATIO_TOLERANCE = 0.1
LATER = "Run the same graph again to collect it."


@dataclass(frozen=True)
class JobOutcome:
    """A delivered job. `attached`: it was there before and nothing was submitted for it now; `log`: its last lines."""

    job: Job
    attached: bool = False
    log: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """The results, in the provider's order."""
        return tuple(Path(row["path"]) for row in self.job.files)

    @property
    def seeds(self) -> tuple[int | None, ...]:
        """The seed of each video or image, where the provider tells."""
        return tuple(row["seed"] for row in self.job.files if not row["path"].endswith(".zip"))

    @property
    def nsfw(self) -> bool:
        """True if the provider marks one of them as not safe for work."""
        return any(row["nsfw"] for row in self.job.files)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The fate of the other results, and what is not as it was asked for."""
        return self.job.warnings


def delivered(job: Job) -> JobOutcome | None:
    """The outcome of a job whose files were fetched before and are still there."""
    there = job.files and all(map(_is_there, job.files))
    return JobOutcome(job, attached=True) if job.state is State.DOWNLOADED and there else None


class Fetcher:
    """Brings in the results of one job. `poll` asks the provider again and gives None if it does not answer."""

    def __init__(
        self,
        record: JobRecord,
        provider: Provider,
        downloader: Downloader,
        poll: Callable[[], Awaitable[JobProgress | None]],
    ) -> None:
        self._record = record
        self._contract = contracts().get(record.job.endpoint)  # None: of an older release
        self._provider = provider
        self._settings = provider.settings
        self._downloader = downloader
        self._poll = poll

    async def fetch_all(self, progress: JobProgress) -> JobOutcome:
        """Every result that can be had, as files; RemoteError leaves the job to be collected if there is none.

        What one result lacks keeps none of the others back: it is said, and can be collected later. A file that was
        fetched before stands in for one that can't be had again.
        """
        rows: list[Mapping[str, Any]] = []
        unfetched: list[RemoteError] = []
        job = self._record.job
        wanted = self._contract.results(job.request) if self._contract else 1
        warnings = [*_absent(progress, wanted)]
        for result in progress.results:
            try:
                file = await self._fetch(result)
            except RemoteError as error:
                before = self._before(result)
                rows += [before] if before else []
                unfetched += [] if before else [error]
                warnings.append(
                    f"Result {result.index + 1}: {error.reason}. {'Its file is kept.' if before else LATER}"
                )
            else:
                rows.append(_row(result, file))
                warnings += [text] if (text := _mismatch(self._record.job, file)) else []
        if not rows:
            raise unfetched[0]
        whole = progress.state is State.REMOTE_DONE and not unfetched
        state = State.DOWNLOADED if whole else self._record.job.state
        await self._record.note(state=state, files=tuple(rows), warnings=tuple(warnings), error="")
        self._record.tell()
        return JobOutcome(self._record.job)

    def _before(self, result: JobResult) -> Mapping[str, Any] | None:
        """The row of a result that was fetched before and is still there."""
        stem = self._stem(result)
        return next((row for row in self._record.job.files if Path(row["path"]).stem == stem and _is_there(row)), None)

    def _stem(self, result: JobResult) -> str:
        return f"{self._record.job.id}_{result.index}"

    async def _fetch(self, result: JobResult) -> File:
        """Fetch one result, with a fresh address if the old one has run out: it is paid and is not bought again."""
        if not result.url:
            raise RemoteError("protocol", "The result has no address", charged="yes")
        hosts = self._provider.hosts
        allowed = None if hosts is None else (*hosts, *self._settings.extra_hosts)
        kind = result.kind or (self._contract.output if self._contract else None)
        backoff = Backoff()
        reason = ""
        for tries_left in reversed(range(FETCH_TRIES)):
            try:
                return await self._downloader.fetch(result.url, self._stem(result), allowed, kind)
            except Gone as error:
                reason = str(error)
            except RemoteError as error:
                if error.kind != "protocol" or not tries_left:
                    raise RemoteError(error.kind, error.reason, charged="yes", advice=error.advice) from error
                reason = error.reason
            await self._settings.clock.sleep(backoff.next())
            if (progress := await self._poll()) is not None:
                result = next((fresh for fresh in progress.results if fresh.index == result.index), result)
        advice = f"The job is kept: {LATER[0].lower()}{LATER[1:]}"
        raise RemoteError("network", f"The result can't be fetched ({reason})", charged="yes", advice=advice)


def _absent(progress: JobProgress, wanted: int) -> Iterator[str]:
    """The fate of missing results, in sentences."""
    for failure in progress.failures:
        yield f"One result failed: {failure.reason}"
    if (silent := wanted - sum(progress.told)) > 0:
        under_way = "are still being made. Run the same graph again to collect them"
        yield f"{silent} of {wanted} results {'did not come' if progress.state is State.REMOTE_DONE else under_way}."


def _row(result: JobResult, file: File) -> Mapping[str, Any]:
    """The journal's row for a file."""
    known = {"path": str(file.path), "sha256": file.sha256, "size": file.size}
    return {**known, "seed": result.seed, "nsfw": result.nsfw}


def _is_there(row: Mapping[str, Any]) -> bool:
    path = Path(row["path"])
    return path.is_file() and path.stat().st_size == row["size"]


def _mismatch(job: Job, file: File) -> str | None:
    """The size of a result that differs from what was asked for, in a sentence."""
    got = file.content
    if got.kind == ARCHIVE:
        return None
    asked = tuple(value_of_role(job.endpoint, job.request, role) for role in ("width", "height"))
    if None not in asked and asked != (got.width, got.height):
        return f"Asked for {asked[0]}x{asked[1]}, the result is {got.width}x{got.height}."
    ratio = value_of_role(job.endpoint, job.request, "aspect_ratio") or "auto"
    if ratio != "auto":
        width, height = map(int, ratio.split(":"))
        if abs(got.width / got.height / (width / height) - 1) > RATIO_TOLERANCE:
            return f"Asked for {ratio}, the result is {got.width}x{got.height}."
    return None
