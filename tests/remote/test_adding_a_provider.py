"""Another provider costs one file, one contract and one row of a table: here it is added, and a job of it is run."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from wan_duet.tests.fake_providers.film import film

ROOT = Path(__file__).resolve().parents[2]
KEY = "toy-key-123456"

PROVIDER = """
import json
from .answer import table, text
from .base import Accepted, JobProgress, JobResult, Provider, Unreadable
from ..errors import RemoteError
from ..http.transport import Call
from ..job import State


class Toy(Provider):
    name = "toy"
    bases = {"toy": "https://toy.example"}
    key_variables = (("TOY_KEY",),)
    prices_at = "https://toy.example/prices"
    hosts = None
    upload_lives = 0.0

    def complete(self, contract, request):
        return request

    async def prepare(self, contract, request):
        pass

    def submission(self, contract, request, job_id):
        return Call("POST", f"{self.base('toy')}/jobs", self._headers(), json.dumps(request).encode())

    def accepted(self, reply, job_id):
        if id := text(table(reply.json()).get("id")):
            return Accepted(id)
        raise Unreadable(f"HTTP {reply.status}")

    def busy(self, reply):
        return False

    async def reconcile(self, job, sent, taken):
        raise RemoteError("unknown_outcome", "Toy has no list of jobs", charged="unknown")

    async def poll(self, job, *, log=False):
        body = table((await self.ask(Call("GET", f"{self.base('toy')}/jobs/{job.remote_id}", self._headers()))).json())
        return JobProgress(State.REMOTE_DONE, (JobResult(0, text(body.get("url")) or ""),))

    async def upload(self, media):
        raise RemoteError("provider", "Toy takes no files")

    def _headers(self):
        return {"X-Toy-Key": self.key}
"""
CONTRACT = {
    "provider": "toy",
    "endpoint": "film",
    "output": "video",
    "parameters": [{"path": "prompt", "type": "string", "required": True}],
    "rules": [],
    "prices": {"per": "video", "currency": "USD", "price": 0.5},
}
ROW = {"from .runware import Runware": "from .runware import Runware\nfrom .toy import Toy", "Rivya)": "Rivya, Toy)"}
SCRIPT = """
import sys, pathlib
root, url, folder, key = sys.argv[1:]
sys.path.insert(0, root)
from remote.contract.contracts import contract
from remote.jobs.manager import JobManager
from remote.jobs.request import make_request
from remote.jobs.summary import summarize
from remote.settings import RemoteSettings
place, environ = pathlib.Path(folder), {"TOY_KEY": key, "WAN_DUET_BUDGET_TOY": "1"}
settings = RemoteSettings(place, place, {"toy": url}, allow_loopback=True, environ=environ, first_poll=0.05)
manager = JobManager(settings)
wanted = make_request(contract("toy/film"), {"prompt": "a cat"}, allow_paid=True)
outcome = manager.start(wanted).future.result(60)
print(outcome.files[0], summarize(outcome, wanted), sep="\\n")
manager.close()
"""


@pytest.fixture
def toy() -> Iterator[tuple[str, list[str]]]:
    """The address of a service that makes one film, and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            base = f"http://127.0.0.1:{server.server_address[1]}"
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            asked.append(f"{self.command} {self.path} {self.headers.get('X-Toy-Key', '')} {body}".strip())
            made = film() if self.path == "/film" else json.dumps({"id": "t1", "url": f"{base}/film"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(made)))
            self.end_headers()
            self.wfile.write(made)

        do_GET = do_POST = _answer

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
        thread.join()


def test_a_file_a_contract_and_a_row_are_a_provider(toy: tuple[str, list[str]], tmp_path: Path) -> None:
    url, asked = toy
    pack = tmp_path / "pack" / "remote"
    shutil.copytree(ROOT / "remote", pack, ignore=shutil.ignore_patterns("__pycache__"))
    (pack / "providers" / "toy.py").write_text(PROVIDER, encoding="utf-8")
    (pack / "contract" / "documents" / "toy.json").write_text(json.dumps(CONTRACT), encoding="utf-8")
    table = pack / "providers" / "__init__.py"
    text = table.read_text(encoding="utf-8")
    for before, after in ROW.items():
        assert text.count(before) == 1
        text = text.replace(before, after)
    table.write_text(text, encoding="utf-8")
    command = [sys.executable, "-c", SCRIPT, str(pack.parent), url, str(tmp_path / "place"), KEY]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    file, *said = done.stdout.splitlines()
    assert Path(file).read_bytes() == film() and "cost: est. $0.5" in said
    assert asked == [f'POST /jobs {KEY} {{"prompt": "a cat"}}', f"GET /jobs/t1 {KEY}", "GET /film"]
