"""Errors of remote jobs: their kind, whether money was charged, and what to do next."""

from collections.abc import Iterable
from typing import Literal

from .redact import redact

ErrorKind = Literal[
    "auth",
    "quota",
    "validation",
    "safety",
    "capacity",
    "provider",
    "timeout",
    "not_found",
    "protocol",
    "network",
    "unknown_outcome",
    "cancelled",
    "unsafe",
    "storage",
    "consent",
]
Charged = Literal["no", "yes", "unknown"]

ADVICE: dict[ErrorKind, str] = {
    "auth": "Check the key of this provider, in the environment or in keys.json.",
    "quota": "Add credit at the provider, then run again.",
    "validation": "Change the input that is named, then run again.",
    "safety": "The provider refused the content: change the prompt or the media, then run again.",
    "capacity": "The provider is busy: run again later.",
    "provider": "Run again to make a new job.",
    "timeout": "The job is kept: run the same graph again to collect it.",
    "not_found": "Check the model id and the endpoint.",
    "protocol": "The job is kept: run the same graph again to collect it.",
    "network": "Check the connection, then run the same graph again: an accepted job is collected, not repeated.",
    "unknown_outcome": "It is not sent again on its own, because it may have been charged: look at the provider's "
    "dashboard, then change force_new to send it again.",
    "cancelled": "Run again to make a new job.",
    "unsafe": "Nothing was sent there or read from there, and no setting allows it. A job that was paid is kept: run "
    "the same graph again once the provider gives another address, or take the file from the provider's own page.",
    "storage": "Free some space or make the folder writable, then run the same graph again: what is paid is collected.",
    "consent": "Nothing was sent.",
}


def classify(text: str, table: Iterable[tuple[str, ErrorKind]], otherwise: ErrorKind) -> ErrorKind:
    """The kind of the first entry whose part is in the text."""
    for part, kind in table:
        if part in text:
            return kind
    return otherwise


class RemoteError(RuntimeError):
    """A remote job that did not come to its end. `charged` says whether money may be gone."""

    def __init__(
        self, kind: ErrorKind, message: str, *, charged: Charged = "no", code: str = "", advice: str = ""
    ) -> None:
        self.kind: ErrorKind = kind
        self.charged: Charged = charged
        self.code = code
        self.reason = message
        self.advice = advice or ADVICE[kind]
        money = {"no": "", "yes": " It was charged.", "unknown": " It may have been charged."}[charged]
        super().__init__(f"{message.rstrip('.')}.{money} {self.advice}")

    def redacted(self, secrets: Iterable[str]) -> "RemoteError":
        """The same error without what must not be written down."""
        text = redact(self.reason, secrets)
        return RemoteError(self.kind, text, charged=self.charged, code=self.code, advice=self.advice)


class Interrupted(Exception):
    """The user stopped waiting; the message says what becomes of the job."""
