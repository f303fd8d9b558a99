"""Steps of a set-up: each is done once, says how long it took, and starts over if it was cut short."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

TICK_SECONDS = 5


class SetupError(RuntimeError):
    """A step that could not be done; the message says what to do about it."""


class Steps:
    """Runs the steps of one set-up, which leaves their stamps and logs in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def once(self, title: str, product: Path, inputs: Iterable[Path], build: Callable[[], None]) -> None:
        """Call `build`, which makes `product`, unless it has succeeded before with the same input files.

        The stamp goes first and comes last, so a step that was killed half-way is simply done again.
        """
        stamp = self.folder / f"{title}.stamp"
        digest = " ".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in inputs)
        if product.exists() and stamp.exists() and stamp.read_text() == digest:
            return
        stamp.unlink(missing_ok=True)
        begin = time.monotonic()
        print(f"set-up: {title} ", end="", flush=True)
        try:
            build()
        except BaseException:  # Ctrl-C too: the line is ended, and whatever it was goes on up
            print(" stopped", flush=True)
            raise
        stamp.write_text(digest)
        print(f" {time.monotonic() - begin:.0f} s", flush=True)

    def run(self, *command: str | Path) -> None:
        """Run a command with a dot every few seconds; raise SetupError with its output if it fails."""
        log = self.folder / "command.log"
        with log.open("wb") as output:
            # close_fds: a command that outlives a killed set-up must keep the lock, see `alone`.
            process = subprocess.Popen(
                [str(word) for word in command], stdout=output, stderr=subprocess.STDOUT, close_fds=False
            )
        try:
            while (code := _wait(process)) is None:
                print(".", end="", flush=True)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if code:
            tail = log.read_text(errors="replace").splitlines()[-30:]
            line = " ".join(str(word) for word in command)
            raise SetupError("\n".join([f"exit code {code} from: {line}", *tail]))


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one set-up at a time work on `folder`; the lock ends with its last process, even a killed one."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another set-up of this folder to end", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        os.set_inheritable(lock.fileno(), True)
        yield


def remove(folder: Path) -> None:
    """Delete a folder if it is there."""
    if folder.exists():
        shutil.rmtree(folder)


def _wait(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(TICK_SECONDS)
    except subprocess.TimeoutExpired:
        return None
