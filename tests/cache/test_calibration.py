"""Tables of measured ratios: one is whole or not there, whoever else writes it."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from wan_duet.cache.techniques import calibration

NAME = "t2v/high.safetensors"
WRITERS = 2


@pytest.fixture(autouse=True)
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("folder_paths.get_user_directory", lambda: str(tmp_path))
    return tmp_path


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_disk_that_fills_up_leaves_the_earlier_table_and_nothing_else(
    user_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = [(1.0, 1.0), (0.9, 0.8)]
    calibration.save(NAME, earlier)
    before, write = files(user_folder), Path.write_text

    def fill_up(path: Path, text: str, encoding: str | None = None) -> int:
        write(path, text[: len(text) // 2], encoding)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full, pytest.raises(OSError, match="No space"):
        full.setattr(Path, "write_text", fill_up)
        calibration.save(NAME, [(1.0, 1.0), (0.5, 0.4)])
    assert files(user_folder) == before and calibration.load(NAME) == earlier


def test_of_two_written_at_once_one_is_there_whole(user_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = [[(1.0, 1.0), (0.5, 0.1 * number)] * 100 for number in range(WRITERS)]
    both_written, replace = Barrier(WRITERS), os.replace

    def replace_together(source: Path, target: Path) -> None:
        both_written.wait(timeout=30)
        replace(source, target)

    monkeypatch.setattr(os, "replace", replace_together)
    with ThreadPoolExecutor(WRITERS) as pool:
        assert set(pool.map(calibration.save, [NAME] * WRITERS, tables)) == files(user_folder).keys()
    assert calibration.load(NAME) in tables
