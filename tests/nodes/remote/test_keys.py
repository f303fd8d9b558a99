"""The route that writes keys: who may, what it says, and what it never says."""

import asyncio
import io
import json
import re
import socket
import stat
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from wan_duet.nodes.remote.routes import guarded_route, key_code, key_route
from wan_duet.nodes.remote.routes.budget_route import BUDGETS
from wan_duet.nodes.remote.routes.key_route import KEYS
from wan_duet.remote.settings import RemoteSettings
from wan_duet.tests.nodes.remote.conftest import Bench

SECRET = "planted-key-from-a-page"
BODY = {"provider": "fal", "key": SECRET}


class Answers:
    """Calls a route of one server as a browser on its own page would, but for what a test changes."""

    def __init__(self, bench: Bench, route: guarded_route.GuardedRoute = KEYS) -> None:
        self.url, self.bench, self.route = bench.server.url, bench, route

    def code(self) -> str:
        """The newest code in the terminal, after a request without one."""
        status, said = self({"provider": "fal", self.route.field: "1", "code": ""})
        assert status == 202 and "terminal" in said["wanted"]
        return re.findall(r"the code for the settings page is (\w{8}),", self.bench.server.log_text())[-1]

    def __call__(self, body: Any = None, headers: dict[str, str] | None = None, prefix: str = "") -> tuple[int, Any]:
        usual = {"Origin": self.url, "Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
        if isinstance(body, dict) and "code" not in body:
            body = {**body, "code": self.code()}
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {name: value for name, value in {**usual, **(headers or {})}.items() if value}
        request = urllib.request.Request(f"{self.url}{prefix}{self.route.path}", data=data, headers=given)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@pytest.fixture
def ask(bench: Bench) -> Answers:
    return Answers(bench)


def test_a_key_is_written_for_this_user_only_and_never_said(bench: Bench, ask: Answers) -> None:
    for prefix in ("", "/api"):
        status, said = ask(BODY, prefix=prefix)
        assert (status, said) == (200, {"runware": True, "fal": True, "rivya": True})
    file = bench.private / "keys.json"
    assert json.loads(file.read_text(encoding="utf-8")) == {"default": {"fal": SECRET}}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert SECRET not in json.dumps([said, ask(), bench.client.request("/settings"), bench.server.log_text()])
    assert ask({**BODY, "key": ""})[0] == 200
    assert json.loads(file.read_text(encoding="utf-8")) == {}


def test_a_key_needs_the_code_in_the_terminal_each_time(bench: Bench, ask: Answers) -> None:
    """A proxy that adds no header looks like this machine's own browser; it sees no terminal."""
    file = bench.private / "keys.json"
    file.unlink(missing_ok=True)
    for given in ("", "AAAAAAAA", None, 5, ["x"], "\ud83d"):
        code = ask.code()
        assert ask({**BODY, "code": given})[0] == 202
        assert ask({**BODY, "code": code})[0] == 202  # a wrong one has taken it back
    assert not file.is_file()
    code = ask.code()
    assert code not in json.dumps(bench.client.request("/internal/logs/raw"))
    assert ask({**BODY, "code": f" {code.lower()} "})[0] == 200
    assert ask({**BODY, "code": code})[0] == 202
    assert ask({**BODY, "key": ""})[0] == 200


def test_a_code_does_not_live_long(monkeypatch: pytest.MonkeyPatch) -> None:
    code, now = key_code.Code(), [0.0]
    monkeypatch.setattr(key_code.sys, "__stderr__", said := io.StringIO())
    monkeypatch.setattr(key_code.time, "monotonic", lambda: now[0])
    for passed, good in ((599.0, True), (600.0, False)):
        assert code.show()
        now[0] += passed
        assert code.spend(re.findall(r"is (\w{8}),", said.getvalue())[-1]) is good
    monkeypatch.setattr(key_code.sys, "__stderr__", None)
    assert not code.show() and not code.spend("")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
        {"X-Forwarded-For": "203.0.113.5"},
        {"Forwarded": "for=203.0.113.5"},
    ],
)
def test_a_foreign_page_is_refused(bench: Bench, ask: Answers, headers: dict[str, str]) -> None:
    status, said = ask(BODY, headers)
    assert status == 403 and SECRET not in said
    assert not (bench.private / "keys.json").is_file() or SECRET not in (bench.private / "keys.json").read_text("utf-8")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (BODY, {"Content-Type": "text/plain"}),
        (BODY, {"Content-Type": "application/x-www-form-urlencoded"}),
        (b"{", {}),
        (b"[" * 4000, {}),
        (b"\xff\xfe", {}),
        ([], {}),
        ({"provider": "fal"}, {}),
        ({"provider": ["fal"], "key": SECRET}, {}),
        ({"provider": "elsewhere", "key": SECRET}, {}),
        ({"provider": "fal", "key": 5}, {}),
        ({"provider": "fal", "key": f"{SECRET}\nx"}, {}),
        ({"provider": "fal", "key": "x" * 5000}, {}),
    ],
)
def test_what_is_no_key_is_refused_and_not_repeated(ask: Answers, body: Any, headers: dict[str, str]) -> None:
    status, said = ask(body, headers)
    assert status == 400 and SECRET not in said


def test_a_broken_file_is_said_and_not_quoted_or_overwritten(bench: Bench, ask: Answers) -> None:
    file = bench.private / "keys.json"
    file.write_text(f"{{'default': {SECRET}", encoding="utf-8")
    status, said = ask(BODY)
    assert status == 400 and "is not JSON" in said and SECRET not in said
    assert file.read_text(encoding="utf-8") == f"{{'default': {SECRET}"
    file.unlink()


def test_another_machine_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only chooses the address that others see
        except OSError:
            pytest.skip("this machine has no address but its own")
        outside = probe.getsockname()[0]
    monkeypatch.setattr(key_route.job_manager, "settings", lambda: RemoteSettings(tmp_path, tmp_path, environ={}))
    monkeypatch.setattr(key_code.Code, "spend", lambda *_: True)
    assert [asyncio.run(_answer_from(address)) for address in ("127.0.0.1", outside)] == [200, 403]


async def _answer_from(address: str) -> int:
    """The status that the handler gives a client that comes from `address`, whatever it writes in its headers."""
    app = web.Application()
    app.router.add_post(KEYS.path, KEYS.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "0.0.0.0", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    headers = {"Host": f"127.0.0.1:{port}", "Origin": f"http://127.0.0.1:{port}"}
    url = f"http://{address}:{port}{KEYS.path}"
    async with aiohttp.ClientSession() as session, session.post(url, json=BODY, headers=headers) as answer:
        status = answer.status
    await runner.cleanup()
    return status


@pytest.mark.parametrize("route", [KEYS, BUDGETS])
def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch, route: guarded_route.GuardedRoute) -> None:
    class Server:
        def __init__(self) -> None:
            self.routes = web.RouteTableDef()

    for value, count in (("", 2), ("1", 0)):
        monkeypatch.setenv(guarded_route.SWITCH, value)
        server = Server()
        monkeypatch.setattr(guarded_route.PromptServer, "instance", server, raising=False)
        route.add()
        route.add()
        assert len(server.routes) == count
