"""The journal's file: nobody else's to read, brought up to date, and no hindrance to what is paid."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from wan_duet.remote.errors import RemoteError
from wan_duet.remote.jobs.journal import Journal
from wan_duet.remote.jobs.journal_file import VERSIONS
from wan_duet.tests.remote.conftest import NOTHING, REAL_SECONDS, Bench


@pytest.mark.skipif(os.name != "posix", reason="modes mean nothing here")
def test_the_journal_is_for_this_user_only(any_bench: Bench) -> None:
    private = any_bench.settings.private
    private.mkdir(parents=True, mode=0o755)
    (private / "jobs.sqlite").touch(0o644)
    any_bench.run()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in private.iterdir()}
    assert {"jobs.sqlite", "jobs.sqlite-wal"} <= modes.keys() and set(modes.values()) == {0o600}
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


def as_before_versions(journal: Path) -> None:
    """Make of a journal what the pack wrote when it had no number."""
    with closing(sqlite3.connect(journal, isolation_level=None)) as db:
        db.execute("ALTER TABLE jobs DROP COLUMN reserved")
        db.execute("PRAGMA user_version = 0")


def test_a_journal_without_a_version_is_brought_up_to_date(any_bench: Bench) -> None:
    any_bench.run()
    before = any_bench.job
    any_bench.manager.close()
    any_bench.managers.clear()
    as_before_versions(any_bench.settings.private / "jobs.sqlite")
    assert any_bench.run().attached and any_bench.job.id == before.id
    assert any_bench.job.reserved == before.estimate
    any_bench.run(any_bench.request(force_new=1))
    assert any_bench.manager.journal._db.execute("PRAGMA user_version").fetchone()[0] == len(VERSIONS)


def test_a_journal_of_a_newer_pack_is_not_written(tmp_path: Path) -> None:
    Journal(tmp_path, lambda: 0.0).close()
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as db:
        db.execute("PRAGMA user_version = 999")
    with pytest.raises(RemoteError, match=r"version 999.*update it"):
        Journal(tmp_path, lambda: 0.0).begin_submit("x", 0.0, "", NOTHING)


def test_an_upgrade_that_is_cut_short_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from wan_duet.remote.jobs import journal_file

    Journal(tmp_path, lambda: 0.0).close()
    as_before_versions(tmp_path / "jobs.sqlite")
    monkeypatch.setattr(journal_file, "VERSIONS", (*VERSIONS[:-1], (*VERSIONS[-1], "UPDATE elsewhere SET x = 1")))
    with pytest.raises(RemoteError, match="no such table: elsewhere"):
        Journal(tmp_path, lambda: 0.0).begin_submit("x", 0.0, "", NOTHING)
    monkeypatch.undo()
    Journal(tmp_path, lambda: 0.0).close()
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as db:
        assert db.execute("SELECT reserved FROM jobs").fetchall() == []


@pytest.fixture
def paid(any_bench: Bench) -> Iterator[Bench]:
    """One job that is delivered; every process with its journal is gone."""
    any_bench.run()
    any_bench.manager.close()
    any_bench.managers.clear()
    yield any_bench


def shut(journal: Path) -> None:
    """Let nobody open it for writing: there is no place for its log."""
    Path(f"{journal}-wal").mkdir()


def test_what_is_paid_and_there_is_collected_from_a_journal_that_can_not_be_opened_for_writing(paid: Bench) -> None:
    journal = paid.settings.private / "jobs.sqlite"
    shut(journal)
    seen = len(paid.fake.seen)
    assert paid.run().files[0].is_file()
    (job,) = paid.manager.jobs().result(REAL_SECONDS)
    assert paid.manager.collect(job.id).future.result(REAL_SECONDS).files
    assert len(paid.fake.seen) == seen
    with pytest.raises(RemoteError, match="can't be used"):
        paid.run(paid.request(force_new=1))
    assert len(paid.fake.charges) == 1
    Path(f"{journal}-wal").rmdir()
    paid.run(paid.request(force_new=1))  # without a restart
    assert len(paid.fake.charges) == 2


def test_what_is_paid_and_there_is_collected_from_an_old_journal_that_can_only_be_read(paid: Bench) -> None:
    as_before_versions(paid.settings.private / "jobs.sqlite")
    shut(paid.settings.private / "jobs.sqlite")
    assert paid.run().files[0].is_file()


def test_what_is_paid_is_collected_though_the_journal_takes_no_more(paid: Bench) -> None:
    """A full disk: it opens, and nothing can be added."""
    paid.manager.journal._db.execute("PRAGMA query_only=ON")
    (file,) = paid.run().files
    assert file.is_file()
    file.unlink()
    assert paid.run().files[0].is_file()  # fetched once more
    assert len(paid.fake.charges) == 1
