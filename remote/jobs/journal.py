"""Every job in a sqlite file, written before money is spent; several processes may share it."""

import asyncio
import sqlite3
import threading
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from ..contract.pricing import Reservation
from ..errors import RemoteError
from ..job import COLUMNS, OVER, Job, State, decoded, encoded
from .journal_file import open_for_reading, open_for_writing

P = ParamSpec("P")
T = TypeVar("T")

FILE = "jobs.sqlite"
DAY = 86400.0
Spent = dict[tuple[str, str, str], tuple[float, int]]
MARKS = ", ".join("?" * len(COLUMNS))


class Journal:
    """The jobs in `folder`. A write is on the disk when the method returns."""

    def __init__(self, folder: Path, now: Callable[[], float]) -> None:
        self.path = folder / FILE
        self._now = now
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, "wan-duet journal")
        self._readable = False  # and no more: it is tried anew with every write
        try:
            self._db = open_for_writing(self.path)
        except (OSError, sqlite3.Error) as error:
            try:
                self._db = open_for_reading(self.path)
            except sqlite3.Error:
                raise self._failure(error) from error
            self._readable = True

    def close(self) -> None:
        """Let go of the file, when what is to be written is written."""
        self._thread.shutdown()
        self._db.close()

    async def run(self, operation: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """One of the methods below, without holding up the loop while another process writes; in the order of calls."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(operation, *args, **kwargs))

    def claim(self, wanted: Job, before: str = "", ambiguous: str = "") -> Job:
        """The open job with this fingerprint, or with the one that it had `before`; else `wanted` as a new one.

        One with an `ambiguous` fingerprint, which different films may share, must have sent the same bytes. A job that
        another node of the same prompt holds is passed over, so that twins get one each. Where nothing can be written,
        what is there can still be collected.
        """
        try:
            with self._transaction() as db:
                if (row := _open_job(db, wanted, before, ambiguous)) is None:
                    return self._add(db, wanted)
                profile = wanted.profile if row["state"] == State.PLANNED else row["profile"]  # who is to pay
                holder = (wanted.fingerprint, wanted.prompt_id, wanted.node_id, profile, row["id"])
                changed = "fingerprint = ?, prompt_id = ?, node_id = ?, profile = ?"
                db.execute(f"UPDATE jobs SET {changed} WHERE id = ?", holder)
                return self._get(db, row["id"])
        except RemoteError:
            with self._open() as db:
                row = _open_job(db, wanted, before, ambiguous)
            if row is None or row["state"] == State.PLANNED:
                raise
            return decoded(row)

    def _add(self, db: sqlite3.Connection, wanted: Job) -> Job:
        id, now = str(uuid.uuid4()), self._now()
        values = {name: encoded(name, getattr(wanted, name)) for name in COLUMNS}
        values |= {"id": id, "created": now, "updated": now}
        db.execute(f"INSERT INTO jobs ({', '.join(COLUMNS)}) VALUES ({MARKS})", tuple(values.values()))
        return self._get(db, id)

    def begin_submit(self, id: str, lease: float, body: str, wanted: Reservation) -> bool:
        """Take the right to submit a planned job, and what it may cost out of today's budget, in one.

        False if somebody else has the right, RemoteError if the budget does not allow it.
        """
        values = {"state": State.SUBMITTING, "lease": lease, "body": body, "sent": self._now()}
        with self._transaction() as db:
            job = self._get(db, id)
            if job.state is not State.PLANNED:
                return False
            wanted.check(self._used(db, job.provider, id))
            return self._change_in(db, id, {"state": State.PLANNED}, **values, reserved=wanted.amount)

    def used_today(self, provider: str) -> float:
        """The part of its budget that a provider's jobs have taken since midnight in UTC, in its own unit."""
        with self._open() as db:
            return self._used(db, provider, "")

    def _used(self, db: sqlite3.Connection, provider: str, but: str) -> float:
        """The cost where it is known, else what is reserved. A clock that was set back makes no room."""
        midnight = self._now() // DAY * DAY
        query = """SELECT COALESCE(SUM(COALESCE(cost, reserved, 0)), 0) FROM jobs
            WHERE provider = ? AND sent >= ? AND id <> ?"""
        return db.execute(query, (provider, midnight, but)).fetchone()[0]

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
        with self._transaction() as db:
            return self._change_in(db, id, found, **values)

    def _change_in(self, db: sqlite3.Connection, id: str, found: Mapping[str, Any], **values: Any) -> bool:
        values["updated"] = self._now()
        where = {"id": id, **found}
        query = f"UPDATE jobs SET {_names(values, ', ')} WHERE {_names(where, ' AND ')}"
        return db.execute(query, [encoded(*item) for item in (*values.items(), *where.items())]).rowcount == 1

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
            return [decoded(row) for row in rows]

    def unanswered(self) -> list[Job]:
        """The jobs that were sent, or were to be, and of which no id at the provider is known; oldest first."""
        states = (State.SUBMITTING, State.UNKNOWN, State.LOST)
        query = "SELECT * FROM jobs WHERE fingerprint <> '' AND remote_id = '' AND state IN (?, ?, ?) ORDER BY created"
        with self._open() as db:
            return [decoded(row) for row in db.execute(query, states)]

    def remote_ids(self, provider: str, but: str) -> set[str]:
        """The provider's ids of its jobs, but for one of them."""
        query = "SELECT remote_id FROM jobs WHERE provider = ? AND id <> ? AND remote_id <> ''"
        with self._open() as db:
            return {row["remote_id"] for row in db.execute(query, (provider, but))}

    def forget(self, id: str) -> None:
        """Drop what a job was and brought; its cost stays. ValueError if there is no such job."""
        self.update(id, fingerprint="", request={}, body="", urls=None, files=(), warnings=(), error="")

    def count_forgotten(self, node_id: str) -> int:
        """The number of jobs that were forgotten, of one node or of its items."""
        query = "SELECT COUNT(*) FROM jobs WHERE fingerprint = '' AND (node_id = ? OR node_id LIKE ? || '/%')"
        with self._open() as db:
            return db.execute(query, (node_id, node_id)).fetchone()[0]

    def spent(self) -> Spent:
        """By day in UTC, provider and currency: what is known to be charged, and how many jobs have no known price."""
        query = """SELECT date(created, 'unixepoch') AS day, provider, currency,
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
        return decoded(row)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._open() as db:
            if self._readable:
                self._db, before, self._readable = open_for_writing(self.path), db, False
                before.close()
                db = self._db
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
            except (OSError, sqlite3.Error) as error:
                raise self._failure(error) from error

    def _failure(self, error: Exception) -> RemoteError:
        return RemoteError("storage", f"The journal {self.path} can't be used ({error})")


def _open_job(db: sqlite3.Connection, wanted: Job, before: str, ambiguous: str) -> sqlite3.Row | None:
    """The oldest job with a fingerprint that is not over and that no twin in the same prompt holds."""
    over = ", ".join("?" * len(OVER))
    query = f"""SELECT * FROM jobs WHERE fingerprint <> '' AND state NOT IN ({over})
        AND (fingerprint IN (?, ?) OR (fingerprint = ? AND request = ?)) ORDER BY created, rowid"""
    request = encoded("request", wanted.request)
    for row in db.execute(query, (*OVER, wanted.fingerprint, before, ambiguous, request)):
        if not wanted.prompt_id or row["prompt_id"] != wanted.prompt_id or row["node_id"] == wanted.node_id:
            return row
    return None


def _names(values: Mapping[str, Any], between: str) -> str:
    return between.join(f"{name} = ?" for name in values)
