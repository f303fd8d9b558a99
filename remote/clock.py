"""The time a job goes by; tests give one that need not be waited for."""

import asyncio
import time


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
