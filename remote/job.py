"""One remote job, as its row in the journal."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any


class State(str, Enum):
    """The state of a job. LOST: sent, but the provider has no trace of it."""

    PLANNED = "planned"
    SUBMITTING = "submitting"
    UNKNOWN = "unknown"
    REJECTED = "rejected"
    SUBMITTED = "submitted"
    QUEUED = "queued"
    RUNNING = "running"
    REMOTE_DONE = "remote done"
    DOWNLOADED = "downloaded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"


OVER = (State.REJECTED, State.FAILED, State.CANCELLED)  # the next request of this kind makes a new job


@dataclass(frozen=True)
class Job:
    """One row. `lease` is until when the process that is submitting may be believed to be alive.

    `sent` is when it began to, `body` what it sends if nothing in it must not be written down, `reserved` what it takes
    of that day's budget until its cost is known.
    """

    id: str
    fingerprint: str
    provider: str
    endpoint: str
    profile: str
    request: dict[str, Any]
    state: State
    prompt_id: str = ""
    node_id: str = ""
    remote_id: str = ""
    urls: Mapping[str, str] | None = None
    body: str = ""
    sent: float = 0.0
    lease: float = 0.0
    estimate: float | None = None
    cost: float | None = None
    currency: str = "USD"
    files: tuple[Mapping[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()
    error: str = ""
    created: float = 0.0
    updated: float = 0.0
    reserved: float | None = None


JSON = ("request", "urls", "files", "warnings")
COLUMNS = tuple(field.name for field in fields(Job))


def encoded(name: str, value: Any) -> Any:
    """The journal's form of a field."""
    if name in JSON:
        return json.dumps(value)
    if isinstance(value, State):
        return value.value
    return value.encode(errors="replace").decode() if isinstance(value, str) else value  # half a character is no UTF-8


def decoded(row: sqlite3.Row) -> Job:
    """The job of a row."""
    there = set(row.keys())  # of an older journal that can only be read, fewer
    values = {name: json.loads(row[name]) if name in JSON else row[name] for name in COLUMNS if name in there}
    lists = {name: tuple(values[name]) for name in ("files", "warnings")}
    return Job(**{**values, **lists, "state": State(values["state"])})
