"""A server of its own for the scripts: its remote nodes know the fakes only, and what it writes goes with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from wan_duet.dev.client import Client
from wan_duet.dev.server import serve
from wan_duet.tests.nodes.remote.conftest import fakes, write_pack


@contextmanager
def fuzz_server(comfyui: Path, base: Path, *arguments: str) -> Iterator[tuple[Client, Path, dict[str, Any]]]:
    """Its client, its output folder and the fakes."""
    with TemporaryDirectory() as name, fakes() as providers:
        folder = Path(name)
        own = [f"--{kind}-directory={folder / kind}" for kind in ("output", "temp", "user")]
        (folder / "user").mkdir()
        pack = write_pack(folder, providers, folder / "private", "remote")
        whole = ("--extra-model-paths-config", str(pack), "--cache-lru", "50", *own, *arguments)
        with serve(comfyui, base, *whole, log=folder / "log.txt") as server:
            yield Client(server.url), folder / "output", providers
