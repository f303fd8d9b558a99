"""The journal: what can't be written stops a submit, and never stops what is paid."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from wan_duet.remote.errors import RemoteError
from wan_duet.remote.job import State
from wan_duet.remote.jobs.journal import Journal
from wan_duet.remote.jobs.record import JobUpdate
from wan_duet.tests.remote.conftest import PROMPTS, REAL_SECONDS, Bench, MakeBench


def test_every_write_is_on_the_disk_before_it_returns(tmp_path: Path) -> None:
    journal = Journal(tmp_path, lambda: 0.0)
    assert journal._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert journal._db.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL


def test_a_journal_that_can_not_be_opened_lets_nothing_be_sent(any_bench: Bench) -> None:
    any_bench.settings.private.mkdir(parents=True)
    (any_bench.settings.private / "jobs.sqlite").mkdir()
    with pytest.raises(RemoteError, match=r"jobs.sqlite can't be used.*make the folder writable") as failed:
        any_bench.run()
    assert failed.value.kind == "storage" and any_bench.fake.seen == []


def test_a_read_only_journal_lets_nothing_be_sent(any_bench: Bench) -> None:
    any_bench.manager.journal._db.execute("PRAGMA query_only=ON")
    with pytest.raises(RemoteError, match="can't be used"):
        any_bench.run()
    assert any_bench.fake.seen == []


def fill(journal: Journal) -> None:
    """Let the journal grow no more, as on a full disk."""
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count={pages}")


def test_a_full_disk_before_the_submit_lets_nothing_be_sent(any_bench: Bench) -> None:
    any_bench.run()
    fill(any_bench.manager.journal)
    prompt = {PROMPTS[any_bench.name]: "a long way " * 200}
    with pytest.raises(RemoteError, match="database or disk is full"):
        for force_new in range(1, 9):
            any_bench.run(any_bench.request(prompt, force_new=force_new))
    written = [job for job in any_bench.manager.journal.jobs() if job.state is State.DOWNLOADED]
    assert len(any_bench.fake.charges) == any_bench.fake.count("submit") == len(written)


def test_a_journal_that_fails_after_the_submit_does_not_lose_the_job(any_bench: Bench) -> None:
    def break_journal(update: JobUpdate) -> None:
        if update.job.state is State.SUBMITTING:
            any_bench.manager.journal._db.execute("PRAGMA query_only=ON")

    outcome = any_bench.run(report=break_journal)
    assert outcome.files[0].is_file() and len(any_bench.fake.charges) == 1
    any_bench.manager.journal._db.execute("PRAGMA query_only=OFF")
    any_bench.check(State.SUBMITTING, charges=1, files=1)  # and the next run finds the job by its own id


def test_what_could_not_be_written_is_written_with_the_next_change(any_bench: Bench) -> None:
    def break_journal(update: JobUpdate) -> None:
        broken = update.job.state is State.SUBMITTING
        any_bench.manager.journal._db.execute(f"PRAGMA query_only={'ON' if broken else 'OFF'}")

    any_bench.run(report=break_journal)
    any_bench.check(State.DOWNLOADED, charges=1, files=1)
    assert any_bench.job.remote_id
    any_bench.restart()
    assert any_bench.run().attached
    any_bench.check(State.DOWNLOADED, charges=1, files=1)


def test_a_journal_that_another_process_holds_keeps_the_loop_free(bench: MakeBench) -> None:
    """A hundred jobs wait for its lock, and the loop still comes round: counted, not timed."""
    fal = bench("fal", submit_timeout=30.0)
    holder = sqlite3.connect(fal.manager.journal.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    handles = [fal.manager.start(fal.request({"seed": seed})) for seed in range(100)]
    rounds = sum(fal.manager._thread.run(asyncio.sleep(0, 1)).result(REAL_SECONDS) for _ in range(200))
    assert rounds == 200 and not any(handle.claimed.done() for handle in handles)
    holder.execute("COMMIT")
    for handle in handles:
        handle.claimed.result(REAL_SECONDS)
    holder.execute("BEGIN IMMEDIATE")  # in the midst of them
    claims = sum(fal.manager._thread.run(asyncio.sleep(0, 1)).result(REAL_SECONDS) for _ in range(200))
    holder.execute("COMMIT")
    assert claims == 200 and len({handle.future.result(60).files for handle in handles}) == 100
    assert len(fal.fake.charges) == fal.fake.count("submit") == 100
    holder.close()


def test_days_are_added_up(any_bench: Bench) -> None:
    any_bench.run()
    any_bench.run(any_bench.request(force_new=1))
    ((day, provider, currency), (total, unpriced)) = next(iter(any_bench.manager.journal.spent().items()))
    expected = {"runware": (0.5, 0, "USD"), "fal": (0.0, 2, "USD"), "rivya": (24.0, 0, "credits")}[any_bench.name]
    assert (total, unpriced, currency) == expected and provider == any_bench.name and len(day) == 10


def test_what_failed_may_have_been_charged_and_is_counted(any_bench: Bench) -> None:
    any_bench.fake.fails_with = {
        "runware": ("providerError", "Broken."),
        "fal": (422, {"detail": "Broken."}),
        "rivya": "Broken.",
    }[any_bench.name]
    with pytest.raises(RemoteError, match=r"Broken\."):
        any_bench.run()
    assert any_bench.job.state is State.FAILED
    ((total, unpriced),) = any_bench.manager.journal.spent().values()
    assert (total, unpriced) == (0, 0 if any_bench.name == "rivya" else 1)  # it is refunded there


def test_a_broken_journal_lets_nothing_be_sent(any_bench: Bench) -> None:
    any_bench.settings.private.mkdir(parents=True)
    (any_bench.settings.private / "jobs.sqlite").write_bytes(b"this is not a database" * 99)
    with pytest.raises(RemoteError, match=r"jobs.sqlite can't be used \(file is not a database\)"):
        any_bench.run()
    assert any_bench.fake.seen == []


def test_a_job_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="job is 'nope'"):
        Journal(tmp_path, lambda: 0.0).get("nope")
