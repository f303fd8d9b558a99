"""Fetch what a job has made; with a fresh address where the old one has run out."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .backoff import Backoff
from .download import Downloader, File, Gone
from .errors import RemoteError
from .journal import Job, State
from .providers.base import Progress, Provider, Result
from .record import Record

FETCH_TRIES = 3
RATIO_TOLERANCE = 0.1
LATER = "Run the same graph again to collect it."


@dataclass(frozen=True)
class Outcome:
    """A delivered job. `attached`: it was there before and nothing was submitted for it now."""

    job: Job
    attached: bool = False

    @property
    def files(self) -> tuple[Path, ...]:
        """The results, in the provider's order."""
        return tuple(Path(row["path"]) for row in self.job.files)

    @property
    def seeds(self) -> tuple[int | None, ...]:
        """The seed of each file, where the provider tells."""
        return tuple(row["seed"] for row in self.job.files)

    @property
    def nsfw(self) -> bool:
        """Whether the provider says so of one of them."""
        return any(row["nsfw"] for row in self.job.files)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What became of the other results, and what is not as it was asked for."""
        return self.job.warnings


def delivered(job: Job) -> Outcome | None:
    """The outcome of a job whose files were fetched before and are still there."""
    sizes = {Path(row["path"]): row["size"] for row in job.files}
    there = all(path.is_file() and path.stat().st_size == size for path, size in sizes.items())
    return Outcome(job, attached=True) if job.state is State.DOWNLOADED and sizes and there else None


class Fetcher:
    """Brings in the results of one job. `poll` asks the provider again and gives None if it does not answer."""

    def __init__(
        self,
        record: Record,
        provider: Provider,
        downloader: Downloader,
        poll: Callable[[], Awaitable[Progress | None]],
    ) -> None:
        self._record = record
        self._provider = provider
        self._settings = provider.settings
        self._downloader = downloader
        self._poll = poll

    async def fetch_all(self, progress: Progress) -> Outcome:
        """Every result that can be had, as files; RemoteError leaves the job to be collected if there is none.

        What one result lacks keeps none of the others back: it is said, and can be collected later.
        """
        fetched: list[tuple[Result, File]] = []
        unfetched: list[tuple[Result, RemoteError]] = []
        for result in progress.results:
            try:
                fetched.append((result, await self._fetch(result)))
            except RemoteError as error:
                unfetched.append((result, error))
        if not fetched:
            raise unfetched[0][1]
        whole = progress.state is State.REMOTE_DONE and not unfetched
        state = State.DOWNLOADED if whole else self._record.job.state
        warnings = [*_absent(progress, self._record.job.wanted)]
        warnings += [f"Result {result.index + 1}: {error.reason}. {LATER}" for result, error in unfetched]
        warnings += [text for _, file in fetched if (text := _mismatch(self._record.job.request, file))]
        files = tuple(_row(result, file) for result, file in fetched)
        await self._record.note(state=state, files=files, warnings=tuple(warnings), error="")
        self._record.tell()
        return Outcome(self._record.job)

    async def _fetch(self, result: Result) -> File:
        """Fetch one result, with a fresh address if the old one has run out: it is paid and is not bought again."""
        if not result.url:
            raise RemoteError("protocol", "The result has no address", charged="yes")
        hosts = self._provider.hosts
        allowed = None if hosts is None else (*hosts, *self._settings.extra_hosts)
        backoff = Backoff()
        reason = ""
        for tries_left in reversed(range(FETCH_TRIES)):
            try:
                return await self._downloader.fetch(result.url, f"{self._record.job.id}_{result.index}", allowed)
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


def _absent(progress: Progress, wanted: int) -> Iterator[str]:
    """What became of the results that are not there, in sentences."""
    for failure in progress.failures:
        yield f"One result failed: {failure.reason}"
    if (silent := wanted - sum(progress.told)) > 0:
        under_way = "are still being made. Run the same graph again to collect them"
        yield f"{silent} of {wanted} results {'did not come' if progress.state is State.REMOTE_DONE else under_way}."


def _row(result: Result, file: File) -> Mapping[str, Any]:
    """What the journal keeps of a file."""
    known = {"path": str(file.path), "sha256": file.sha256, "size": file.size}
    return {**known, "seed": result.seed, "nsfw": result.nsfw}


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
