"""Folders, limits, waits and the clock of remote jobs."""

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


class Clock:
    """Wall time for what is written down, monotonic time for what is waited for."""

    def now(self) -> float:
        """Seconds since 1970, for the journal."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that no change of the system's clock moves, for deadlines."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Let that much time pass."""
        await asyncio.sleep(seconds)


@dataclass(frozen=True)
class RemoteSettings:
    """Folders, limits and waits of all remote jobs; times in seconds."""

    private: Path
    "Folder of journal, keys and budgets, out of reach of HTTP: ComfyUI's system user directory."
    output: Path
    "Folder of the results."
    bases: Mapping[str, str] = field(default_factory=dict)
    "Addresses in place of a provider's own, by their names; none by default."
    submit_timeout: float = 60.0
    "Longest wait for the answer to a submit; one minute."
    call_timeout: float = 60.0
    "Longest wait for any other answer, and for the next bytes of a download; one minute."
    upload_timeout: float = 600.0
    "Longest upload of one file; ten minutes."
    download_timeout: float = 1800.0
    "Longest download of one file; half an hour."
    deadline: float = 45 * 60.0
    "Longest wait for one job, which is kept afterwards; 45 minutes."
    first_poll: float = 2.0
    "Wait before the second poll; each one after waits half as long again."
    longest_poll: float = 10.0
    "Longest wait between two polls."
    missing_grace: float = 120.0
    "Time for an accepted job to appear at its provider; two minutes."
    settle: float = 300.0
    "Time after which part of the results is all, if nothing is said to be under way; five minutes."
    max_download: int = 2 << 30
    "Largest result in bytes; 2 GiB."
    extra_hosts: tuple[str, ...] = ()
    "Hosts that results may come from, beside those of the provider; none by default."
    allow_loopback: bool = False
    "Allow http at 127.0.0.1; for tests only."
    clock: Clock = field(default_factory=Clock)
    "The time that jobs go by: the system's, or a test's own."
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    "Environment variables; those of this process by default."
