"""Every job in a sqlite file, written before money is spent; several processes may share it."""

import asyncio
import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from .errors import RemoteError

P = ParamSpec("P")
T = TypeVar("T")

FILE = "jobs.sqlite"
OPEN_TRIES, OPEN_PAUSE = 100, 0.05  # seconds


class State(str, Enum):
    """Where a job is. LOST: sent, but the provider has no trace of it."""

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

    `sent` is when it began to, `body` what it sends if nothing in it must not be written down.
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

    @property
    def wanted(self) -> int:
        """How many results the request asks for."""
        return self.request.get("numberResults", 1)


Spent = dict[tuple[str, str, str], tuple[float, int]]
JSON = ("request", "urls", "files", "warnings")
COLUMNS = tuple(field.name for field in fields(Job))
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS jobs ({", ".join(COLUMNS)}, PRIMARY KEY (id));
CREATE INDEX IF NOT EXISTS by_fingerprint ON jobs (fingerprint, created);
CREATE TABLE IF NOT EXISTS uploads (
    provider, profile, sha256, reference, expires, PRIMARY KEY (provider, profile, sha256)
);
"""


class Journal:
    """The jobs in `folder`. A write is on the disk when the method returns."""

    def __init__(self, folder: Path, now: Callable[[], float]) -> None:
        self.path = folder / FILE
        self._now = now
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, "wan-duet journal")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=10, isolation_level=None, check_same_thread=False)
            self._db.row_factory = sqlite3.Row
            _set_up(self._db)
        except (OSError, sqlite3.Error) as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Let go of the file, when what is to be written is written."""
        self._thread.shutdown()
        self._db.close()

    async def run(self, operation: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """One of the methods below, without holding up the loop while another process writes; in the order of calls."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(operation, *args, **kwargs))

    def claim(self, wanted: Job) -> Job:
        """The open job with this fingerprint, or `wanted` as a new one.

        A job that another node of the same prompt holds is passed over, so that twins get one each.
        """
        with self._transaction() as db:
            marks = ", ".join("?" * len(OVER))
            query = f"SELECT * FROM jobs WHERE fingerprint = ? AND state NOT IN ({marks}) ORDER BY created, rowid"
            for row in db.execute(query, (wanted.fingerprint, *OVER)):
                if wanted.prompt_id and row["prompt_id"] == wanted.prompt_id and row["node_id"] != wanted.node_id:
                    continue
                profile = wanted.profile if row["state"] == State.PLANNED else row["profile"]  # who is to pay
                holder = (wanted.prompt_id, wanted.node_id, profile, row["id"])
                db.execute("UPDATE jobs SET prompt_id = ?, node_id = ?, profile = ? WHERE id = ?", holder)
                return self._get(db, row["id"])
            id, now = str(uuid.uuid4()), self._now()
            values = {name: _encode(name, getattr(wanted, name)) for name in COLUMNS}
            values |= {"id": id, "created": now, "updated": now}
            db.execute(f"INSERT INTO jobs VALUES ({', '.join('?' * len(COLUMNS))})", tuple(values.values()))
            return self._get(db, id)

    def begin_submit(self, id: str, lease: float, body: str) -> bool:
        """Take the right to submit a planned job; False if somebody else has it."""
        planned = {"state": State.PLANNED}
        return self._change_if(id, planned, state=State.SUBMITTING, lease=lease, body=body, sent=self._now())

    def renew_submit(self, id: str, held: float, lease: float) -> bool:
        """Keep the right to submit until `lease`; False if somebody took it over when `held` had run out."""
        return self._change_if(id, {"state": State.SUBMITTING, "lease": held}, lease=lease)

    def take_over(self, id: str, held: float) -> bool:
        """Take a submit from a process whose lease has run out; False if it is alive after all."""
        return self._change_if(id, {"state": State.SUBMITTING, "lease": held}, state=State.UNKNOWN)

    def cancel_planned(self, id: str) -> bool:
        """Close a job that was never submitted; False if somebody has begun to."""
        return self._change_if(id, {"state": State.PLANNED}, state=State.CANCELLED)

    def update(self, id: str, **values: Any) -> Job:
        """Change columns of a job."""
        self._change_if(id, {}, **values)
        return self.get(id)

    def _change_if(self, id: str, found: Mapping[str, Any], **values: Any) -> bool:
        """Change columns of a job if the others are as they were found."""
        values["updated"] = self._now()
        where = {"id": id, **found}
        query = f"UPDATE jobs SET {_names(values, ', ')} WHERE {_names(where, ' AND ')}"
        with self._transaction() as db:
            return db.execute(query, [_encode(*item) for item in (*values.items(), *where.items())]).rowcount == 1

    def get(self, id: str) -> Job:
        """One job; ValueError if there is none with this id."""
        with self._open() as db:
            return self._get(db, id)

    def jobs(self, limit: int = 100) -> list[Job]:
        """The latest jobs, newest first."""
        with self._open() as db:
            rows = db.execute(
                "SELECT * FROM jobs WHERE fingerprint <> '' ORDER BY created DESC, rowid DESC LIMIT ?", (limit,)
            )
            return [_job(row) for row in rows]

    def forget(self, id: str) -> None:
        """Drop what a job was and brought; its cost stays. ValueError if there is no such job."""
        self.update(id, fingerprint="", request={}, body="", urls=None, files=(), warnings=(), error="")

    def spent(self) -> Spent:
        """By day, provider and currency: what is known to be charged, and how many jobs have no known price."""
        query = """SELECT date(created, 'unixepoch', 'localtime') AS day, provider, currency,
            SUM(COALESCE(cost, estimate, 0)) AS total, SUM(cost IS NULL AND estimate IS NULL) AS unpriced
            FROM jobs WHERE state NOT IN (?, ?, ?, ?) GROUP BY day, provider, currency"""
        free = (State.PLANNED, State.REJECTED, State.CANCELLED, State.LOST)
        with self._open() as db:
            rows = db.execute(query, free)
            return {(row["day"], row["provider"], row["currency"]): (row["total"], row["unpriced"]) for row in rows}

    def uploaded(self, provider: str, profile: str, sha256: str) -> str | None:
        """The reference under which a provider still has these bytes."""
        query = "SELECT reference FROM uploads WHERE provider = ? AND profile = ? AND sha256 = ? AND expires > ?"
        with self._open() as db:
            row = db.execute(query, (provider, profile, sha256, self._now())).fetchone()
            return row["reference"] if row else None

    def keep_upload(self, provider: str, profile: str, sha256: str, reference: str, expires: float) -> None:
        """Remember a reference until `expires` (seconds since 1970)."""
        with self._transaction() as db:
            values = (provider, profile, sha256, reference, expires)
            db.execute("INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?, ?)", values)

    def forget_uploads(self, provider: str, profile: str, hashes: Collection[str], before: float) -> bool:
        """Drop the references to these bytes that expire before that time; whether there were any."""
        marks = ", ".join("?" * len(hashes))
        query = f"DELETE FROM uploads WHERE provider = ? AND profile = ? AND expires < ? AND sha256 IN ({marks})"
        with self._transaction() as db:
            return db.execute(query, (provider, profile, before, *hashes)).rowcount > 0

    def _get(self, db: sqlite3.Connection, id: str) -> Job:
        row = db.execute("SELECT * FROM jobs WHERE id = ?", (id,)).fetchone()
        if row is None:
            raise ValueError(f"job is {id!r}, which is not in {self.path}")
        return _job(row)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:  # whatever ended it, an interpreter that stops included, a half is not kept
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time; what sqlite says is about the file, and is said so."""
        with self._lock:
            try:
                yield self._db
            except sqlite3.Error as error:
                raise self._failure(error) from error

    def _failure(self, error: Exception) -> RemoteError:
        return RemoteError("storage", f"The journal {self.path} can't be used ({error})")


def _set_up(db: sqlite3.Connection) -> None:
    """Turn on the write-ahead log; the first of several processes to do so shuts the others out for a moment."""
    for tries_left in reversed(range(OPEN_TRIES)):
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.executescript(SCHEMA)
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or not tries_left:
                raise
            time.sleep(OPEN_PAUSE)


def _names(values: Mapping[str, Any], between: str) -> str:
    return between.join(f"{name} = ?" for name in values)


def _encode(name: str, value: Any) -> Any:
    if name in JSON:
        return json.dumps(value)
    if isinstance(value, State):
        return value.value
    return value.encode(errors="replace").decode() if isinstance(value, str) else value  # half a character is no UTF-8


def _job(row: sqlite3.Row) -> Job:
    values = {name: json.loads(row[name]) if name in JSON else row[name] for name in COLUMNS}
    lists = {name: tuple(values[name]) for name in ("files", "warnings")}
    return Job(**{**values, **lists, "state": State(values["state"])})
