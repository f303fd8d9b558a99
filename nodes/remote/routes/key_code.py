"""A code that shows whether somebody sees this server's own terminal: asked for before a page may change a secret."""

import hmac
import secrets
import sys
import time
from functools import cache

LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # none that is taken for another
LENGTH = 8
SECONDS = 600.0


class Code:
    """One code at a time. It is good once: a wrong answer takes it back too, so nobody guesses twice."""

    def __init__(self) -> None:
        self._code = ""
        self._until = 0.0

    def show(self) -> bool:
        """Make a new code and show it in the terminal; False if there is none.

        It goes past the host's log, which any page may read.
        """
        terminal = sys.__stderr__
        if terminal is None:
            return False
        self._code = "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
        self._until = time.monotonic() + SECONDS
        terminal.write(f"Wan Duet: the code for the settings page is {self._code}, good once and for ten minutes.\n")
        terminal.flush()
        return True

    def spend(self, text: object) -> bool:
        """Use up the code; true if this was it."""
        code, self._code = self._code, ""
        given = text.strip().upper() if isinstance(text, str) else ""
        fits = hmac.compare_digest(given.encode("utf-8", "replace"), code.encode())
        return fits and bool(code) and time.monotonic() < self._until


@cache
def code() -> Code:
    """The one code of this server."""
    return Code()
