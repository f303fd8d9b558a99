"""Load the pack as `wan_duet` against a real host, whatever its folder is called, and start servers."""

import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]
COMFYUI = Path(os.environ.get("COMFYUI_PATH", ROOT / ".dev" / "comfyui")).resolve()
BASE = Path(os.environ.get("WAN_DUET_BASE", ROOT / ".dev" / "base")).resolve()
FRONTEND = os.environ.get("WAN_DUET_FRONTEND")  # the files of another frontend than the host's own
MINIATURE_BASE = Path(os.environ.get("WAN_DUET_MINIATURE", ROOT / ".dev" / "miniature_base")).resolve()
if not (COMFYUI / "main.py").is_file():
    raise pytest.UsageError(f"no ComfyUI in {COMFYUI}: run `python3 dev/test.py`, which installs one")

# The host first, and never the pack's folder: its `nodes` must not take the place of the host's.
sys.path[:] = [str(COMFYUI), *(p for p in sys.path if Path(p or os.curdir).resolve() not in (ROOT, COMFYUI))]

spec = importlib.util.spec_from_file_location("wan_duet", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
assert spec and spec.loader
sys.modules["wan_duet"] = pack = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pack)

import comfy.cli_args  # noqa: E402

comfy.cli_args.args.cpu = True  # before anything imports comfy.model_management

import comfy.utils  # noqa: E402
import utils.extra_config  # noqa: E402, F401 - as main.py does: the host's `nodes` makes `utils` mean comfy/utils.py
from wan_duet.dev import dynamic_vram  # noqa: E402
from wan_duet.dev.client import Client  # noqa: E402
from wan_duet.dev.cpu_torchvision import register_torchvision_operators  # noqa: E402
from wan_duet.dev.server import Server, serve  # noqa: E402
from wan_duet.dev.tiny_umt5 import shrink_text_encoder  # noqa: E402

hypothesis.settings.register_profile("suite", deadline=None, database=None, derandomize=True)
hypothesis.settings.load_profile("suite")
register_torchvision_operators()
shrink_text_encoder()
if mode := dynamic_vram.wanted():
    dynamic_vram.switch_on(mode)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not os.environ.get("WAN_DUET_LIVE"):
        for item in items:
            if item.get_closest_marker("live"):
                item.add_marker(pytest.mark.skip(reason="live: python3 dev/test.py --all"))


@pytest.fixture
def unthrottled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let progress bars show every step: newer hosts leave out those that come fast."""
    for limit in ("PROGRESS_THROTTLE_MIN_INTERVAL", "PROGRESS_THROTTLE_MIN_PERCENT"):
        monkeypatch.setattr(comfy.utils, limit, 0, raising=False)


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """A function that starts one more server, with extra arguments, for the rest of the session."""
    frontend = ("--front-end-root", FRONTEND) if FRONTEND else ()
    with ExitStack() as servers:

        def start(*args: str) -> Server:
            log = tmp_path_factory.mktemp("server") / "log.txt"
            return servers.enter_context(serve(COMFYUI, BASE, *frontend, *args, log=log))

        yield start


@pytest.fixture(scope="session")
def server(start_server: Callable[..., Server]) -> Server:
    """The server that all tests share which need no arguments of their own."""
    return start_server()


@pytest.fixture(scope="session")
def miniature_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose models are the trained miniature."""
    with serve(COMFYUI, MINIATURE_BASE, log=tmp_path_factory.mktemp("server") / "log.txt") as server:
        yield server


@pytest.fixture(scope="session")
def client(server: Server) -> Client:
    return Client(server.url)


@pytest.fixture(scope="session")
def output_folder(server: Server) -> Iterator[str]:
    """The name of a folder below the server's output folder that the test run takes away again."""
    with tempfile.TemporaryDirectory(prefix="test-", dir=server.base / "output") as folder:
        yield Path(folder).name


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser to drive; the test is skipped where there is none."""
    if path := os.environ.get("CHROMIUM"):
        return Path(path)
    pytest.skip("no Chromium")
