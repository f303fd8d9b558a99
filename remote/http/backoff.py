"""The wait before the next try."""

import random


class Backoff:
    """Half as long again each time, up to a cap, with a quarter of chance so that many jobs don't ask at once."""

    def __init__(self, first: float = 1.0, longest: float = 10.0) -> None:
        self._next, self._longest = first, longest

    def next(self, at_least: float | None = None) -> float:
        """Seconds to wait; never less than the server asked for."""
        wait = self._next * random.uniform(1.0, 1.25)
        self._next = min(self._next * 1.5, self._longest)
        return max(wait, at_least or 0.0)
