"""Reading ahead stops when it is told to."""

import time
from pathlib import Path

from wan_duet.experts import prefetch
from wan_duet.experts.prefetch import Prefetch


def _wait_until(true) -> None:
    deadline = time.monotonic() + 10
    while not true() and time.monotonic() < deadline:
        time.sleep(0.001)


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(3_000_000))
    with Prefetch(str(file)) as reading:
        _wait_until(lambda: reading.bytes_read == 3_000_000)
    assert reading.bytes_read == 3_000_000


def test_leaving_the_block_stops_the_reading(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(prefetch, "CHUNK", 1)
    file = tmp_path / "file"
    file.write_bytes(bytes(50_000_000))
    with Prefetch(str(file)) as reading:
        _wait_until(lambda: reading.bytes_read > 0)
    stopped_at = reading.bytes_read
    time.sleep(0.05)
    assert 0 < stopped_at == reading.bytes_read < 50_000_000


def test_a_file_that_is_gone_is_left_to_the_real_open(tmp_path: Path) -> None:
    with Prefetch(str(tmp_path / "gone")) as reading:
        pass
    assert reading.bytes_read == 0
