"""A ComfyUI server in a process of its own, for as long as a `with` block lasts."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LAUNCHER = Path(__file__).with_name("launch.py")
START_SECONDS = 240  # imports alone take a minute on a slow, busy machine
STOP_SECONDS = 10


class ServerError(RuntimeError):
    """The server ended, or did not answer in time; the message carries the end of its log."""


@dataclass(frozen=True)
class Server:
    """Address and log of a running server."""

    url: str
    base: Path
    log: Path
    process: subprocess.Popen[bytes]

    def log_text(self) -> str:
        """Return all that the server has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def last_line(self) -> str:
        """Return the newest line of the log; a progress bar counts as the line that it shows now."""
        lines = self.log_text().replace("\r", "\n").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "")


@contextmanager
def serve(
    comfyui: Path,
    base: Path,
    *args: str,
    log: Path,
    python: Path = Path(sys.executable),
    port: int | None = None,
) -> Iterator[Server]:
    """Start the server of the ComfyUI folder `comfyui` on `base`, yield it when it answers, stop it after."""
    port = port or _free_port()
    command = [
        *(str(python), str(LAUNCHER), str(comfyui / "main.py"), "--cpu", "--base-directory", str(base)),
        *("--database-url", "sqlite:///:memory:", "--listen", "127.0.0.1", "--port", str(port)),
        *("--disable-api-nodes", *args),
    ]
    with log.open("wb") as output:
        # Stdin stays open for as long as this process lives: see launch.py.
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT)
    server = Server(f"http://127.0.0.1:{port}", base, log, process)
    try:
        _await_answer(server)
        yield server
    finally:
        _stop(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _await_answer(server: Server) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if (code := server.process.poll()) is not None:
            raise ServerError(f"ComfyUI ended with exit code {code}\n{_tail(server)}")
        try:
            with urllib.request.urlopen(server.url + "/system_stats", timeout=5):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.2)
    raise ServerError(f"ComfyUI has not answered within {START_SECONDS} s\n{_tail(server)}")


def _tail(server: Server) -> str:
    return "\n".join([*server.log_text().splitlines()[-30:], f"(the whole log: {server.log})"])


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin:
        process.stdin.close()
