"""Read a file into the page cache while something else is computing, so that opening it later is quick."""

import threading
from types import TracebackType

CHUNK = 16 * 2**20


class Prefetch:
    """Reads `path` in a thread of its own for as long as the `with` block lasts; leaving it stops the reading."""

    def __init__(self, path: str):
        self._path = path
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="wan_duet prefetch", daemon=True)
        self.bytes_read = 0

    def __enter__(self) -> "Prefetch":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _read(self) -> None:
        chunk = bytearray(CHUNK)
        try:
            with open(self._path, "rb", buffering=0) as file:
                while not self._stop.is_set() and (count := file.readinto(chunk)):
                    self.bytes_read += count
        except OSError:
            return  # the real open comes later and says what is wrong
