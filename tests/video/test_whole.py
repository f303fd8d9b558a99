"""Names that are taken once, and files that are whole or not there."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from wan_duet.video.whole import reserve_name, write_whole

WRITERS = 12


def test_of_many_who_want_one_name_each_gets_its_own(tmp_path: Path) -> None:
    together = Barrier(WRITERS)

    def write(number: int) -> Path:
        together.wait()
        with reserve_name(lambda taken: tmp_path / f"film_{taken:05}_.mp4", 1) as path, write_whole(path) as partial:
            partial.write_text(str(number))
            together.wait()
        return path

    with ThreadPoolExecutor(WRITERS) as pool:
        paths = list(pool.map(write, range(WRITERS)))
    assert [path.read_text() for path in paths] == [str(number) for number in range(WRITERS)]
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_writers_of_one_path_do_not_share_what_is_not_whole(tmp_path: Path) -> None:
    with write_whole(tmp_path / "film.mp4") as first, write_whole(tmp_path / "film.mp4") as second:
        assert first != second
        first.touch()
        second.touch()


def test_a_name_is_free_again_if_its_file_fails(tmp_path: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        reserve_name(lambda number: tmp_path / f"{number}", 1) as path,
        write_whole(path) as partial,
    ):
        partial.write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
