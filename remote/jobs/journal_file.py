"""The journal's file: private, of a known version, and readable even where nothing can be written."""

import os
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

OPEN_TRIES, OPEN_PAUSE = 100, 0.05  # seconds

# Each list brings a journal to the next version; a file without a number may have been made before there were any.
VERSIONS: Sequence[Sequence[str]] = (
    (
        """CREATE TABLE IF NOT EXISTS jobs (
            id, fingerprint, provider, endpoint, profile, request, state, prompt_id, node_id, remote_id, urls, body,
            sent, lease, estimate, cost, currency, files, warnings, error, created, updated, PRIMARY KEY (id)
        )""",
        "CREATE INDEX IF NOT EXISTS by_fingerprint ON jobs (fingerprint, created)",
        """CREATE TABLE IF NOT EXISTS uploads (
            provider, profile, sha256, reference, expires, PRIMARY KEY (provider, profile, sha256)
        )""",
    ),
    (
        "ALTER TABLE jobs ADD COLUMN reserved",
        "UPDATE jobs SET reserved = estimate WHERE sent > 0",
    ),
)


def open_for_writing(path: Path) -> sqlite3.Connection:
    """The file, made or brought to the newest version; OSError or sqlite3.Error if it can't be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _make_private(path)
    db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    try:
        db.row_factory = sqlite3.Row
        _set_up(db)
    except BaseException:
        db.close()
        raise
    return db


def open_for_reading(path: Path) -> sqlite3.Connection:
    """The file as it is: what was paid can be collected from a full disk or a folder that is read-only."""
    error: sqlite3.Error = sqlite3.OperationalError("no such file")
    for how in ("mode=ro", "immutable=1"):  # the second reads past a log that can't be opened
        try:
            db = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, check_same_thread=False)
            db.row_factory = sqlite3.Row
            db.execute("SELECT id FROM jobs LIMIT 1").fetchall()
            return db
        except sqlite3.Error as failure:
            error = failure
    raise error


def _make_private(path: Path) -> None:
    """Requests hold prompts and addresses: they are for this user of the machine. The logs take the file's mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    if os.name == "posix":
        path.parent.chmod(0o700)
        for file in path.parent.glob(f"{path.name}*"):
            file.chmod(0o600)


def _set_up(db: sqlite3.Connection) -> None:
    """Turn on the write-ahead log; the first of several processes to do so shuts the others out for a moment."""
    for tries_left in reversed(range(OPEN_TRIES)):
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            while _version(db) != len(VERSIONS):
                _step(db)
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or not tries_left:
                raise
            time.sleep(OPEN_PAUSE)


def _version(db: sqlite3.Connection) -> int:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    if version > len(VERSIONS):
        raise sqlite3.DatabaseError(f"it is of version {version}, and this Wan Duet knows {len(VERSIONS)}: update it")
    return version


def _step(db: sqlite3.Connection) -> None:
    """One version further, whole or not at all; another process may have done it meanwhile."""
    db.execute("BEGIN IMMEDIATE")
    try:
        version = _version(db)
        for statement in VERSIONS[version] if version < len(VERSIONS) else ():
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {min(version + 1, len(VERSIONS))}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
