"""Memory of this process as the benchmarks count it. Linux only: it reads /proc."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def watched() -> Iterator[dict[str, int]]:
    """Peak anonymous and mapped memory above what there was before."""
    before, mapped = anonymous(), status("RssFile")
    memory = {"peak": 0, "mapped": 0}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            memory["peak"] = max(memory["peak"], anonymous() - before)
            memory["mapped"] = max(memory["mapped"], status("RssFile") - mapped)

    watcher = threading.Thread(target=watch)
    watcher.start()
    yield memory
    done.set()
    watcher.join()


def anonymous() -> int:
    """Bytes of this process that no file backs."""
    return status("RssAnon")


def status(field: str) -> int:
    """One field of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))
