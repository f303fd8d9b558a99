"""Fetch what a job has made; with a fresh address where the old one has run out."""

from collections.abc import Awaitable, Callable, Mapping
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


@dataclass(frozen=True)
class Outcome:
    """A delivered job. `attached`: it was there before and nothing was submitted for it now."""

    job: Job
    files: tuple[Path, ...]
    warnings: tuple[str, ...] = ()
    seeds: tuple[int | None, ...] = ()
    nsfw: bool = False
    attached: bool = False


def delivered(job: Job) -> Outcome | None:
    """The outcome of a job whose files were fetched before and are still there."""
    sizes = {Path(file["path"]): file["size"] for file in job.files}
    there = all(path.is_file() and path.stat().st_size == size for path, size in sizes.items())
    return Outcome(job, tuple(sizes), attached=True) if job.state is State.DOWNLOADED and sizes and there else None


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
        """Every result that has an address, as files; RemoteError leaves the job to be collected."""
        fetched = [await self._fetch(result) for result in progress.results if result.url]
        files = [_row(file) for file in fetched]
        self._record.note(state=State.DOWNLOADED, files=tuple(files), error="")
        self._record.tell()
        warnings = [f"One result failed: {failure.reason}" for failure in progress.failures]
        warnings += ["One result has no address." for result in progress.results if not result.url]
        warnings += [text for file in fetched if (text := _mismatch(self._record.job.request, file))]
        seeds = tuple(result.seed for result in progress.results if result.url)
        nsfw = any(result.nsfw for result in progress.results)
        return Outcome(self._record.job, tuple(file.path for file in fetched), tuple(warnings), seeds, nsfw)

    async def _fetch(self, result: Result) -> File:
        """Fetch one result, with a fresh address if the old one has run out: it is paid and is not bought again."""
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
        advice = "The job is kept: run the same graph again to collect it."
        raise RemoteError("network", f"The result can't be fetched ({reason})", charged="yes", advice=advice)


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
