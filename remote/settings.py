"""Where things are kept, how long is waited, and what may be fetched."""

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
    """`private` holds journal and keys (ComfyUI's system user directory), `output` the results; times in seconds."""

    private: Path
    output: Path
    bases: Mapping[str, str] = field(default_factory=dict)
    submit_timeout: float = 60.0
    call_timeout: float = 60.0
    upload_timeout: float = 600.0
    download_timeout: float = 1800.0
    deadline: float = 45 * 60.0
    first_poll: float = 2.0
    longest_poll: float = 10.0
    missing_grace: float = 120.0
    settle: float = 300.0  # after which part of the results is all, if nothing is said to be under way
    max_download: int = 2 << 30
    extra_hosts: tuple[str, ...] = ()
    allow_loopback: bool = False  # http on 127.0.0.1, for tests
    clock: Clock = field(default_factory=Clock)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
