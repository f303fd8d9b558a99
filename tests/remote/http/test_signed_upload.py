"""A finished file goes to a signed address whole and once, and nothing that is said of it shows the address."""

import asyncio
import json
import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from comfy.model_management import InterruptProcessingException, interrupt_current_processing
from wan_duet.nodes.video.upload import upload
from wan_duet.remote.errors import RemoteError
from wan_duet.remote.http.signed_upload import put_file
from wan_duet.remote.jobs.manager import JobManager
from wan_duet.remote.keys import read_put_address
from wan_duet.remote.settings import RemoteSettings
from wan_duet.tests.fake_providers.film import film
from wan_duet.tests.fake_providers.provider import SIGNATURE

QUERY = f"X-Amz-Expires=60&X-Amz-Credential=a%2Fb%7Ec&X-Amz-Signature={SIGNATURE}"


class Bucket:
    """A store on 127.0.0.1 that keeps what is put there; `status` is what it answers."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.headers: list[dict[str, str]] = []
        self.status, self.location = 200, ""
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._started.wait(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/films/one.mp4?{QUERY}"

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._started.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._runner.cleanup())

    async def _start(self) -> None:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port: int = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.method == "PUT" and self.status < 300:
            self.stored[request.raw_path] = body
        self.headers.append(dict(request.headers))
        return web.Response(status=self.status, headers={"Location": self.location} if self.location else {})


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    bucket = Bucket()
    yield bucket
    bucket.close()


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "one.mp4"
    path.write_bytes(film() + bytes(3 << 20))
    return path


def settings(folder: Path, **options: Any) -> RemoteSettings:
    return RemoteSettings(folder, folder, **{"allow_loopback": True, "environ": {}, **options})


def put(path: Path, url: str, folder: Path, **options: Any) -> None:
    asyncio.run(put_file(path, url, settings(folder, **options)))


def test_a_file_arrives_byte_for_byte_under_the_address_as_it_was_signed(
    bucket: Bucket, video: Path, tmp_path: Path
) -> None:
    put(video, bucket.url, tmp_path)
    assert bucket.stored == {f"/films/one.mp4?{QUERY}": video.read_bytes()}
    (headers,) = bucket.headers
    assert headers["Content-Type"] == "video/mp4"
    assert headers["Content-Length"] == str(video.stat().st_size)  # S3 takes no chunks
    assert "Authorization" not in headers and "Cookie" not in headers


@pytest.mark.parametrize("status", [301, 307, 403, 500])
def test_what_is_not_stored_is_said_and_not_followed(bucket: Bucket, video: Path, tmp_path: Path, status: int) -> None:
    bucket.status, bucket.location = status, "/elsewhere"
    with pytest.raises(RemoteError, match=rf"The file was not stored \(HTTP {status}\)\. The signed address may have"):
        put(video, bucket.url, tmp_path)
    assert len(bucket.headers) == 1 and video.is_file()


@pytest.mark.parametrize(
    "url",
    [
        "http://bucket.example/x",
        "https://10.0.0.1/x",
        "https://[::1]/x",
        "https://169.254.169.254/x",
        "ftp://a.example/x",
    ],
)
def test_an_address_that_is_not_https_at_a_public_host_is_refused(video: Path, tmp_path: Path, url: str) -> None:
    with pytest.raises(RemoteError) as refused:
        put(video, f"{url}?{QUERY}", tmp_path)
    assert refused.value.kind == "unsafe" and SIGNATURE not in str(refused.value)
    assert str(refused.value).endswith("Nothing was sent: the address in keys.json must be https at a public host.")


def test_a_name_that_leads_to_a_private_address_is_refused(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *args, **named: real("10.0.0.1", *args, **named))
    with pytest.raises(RemoteError, match="not a public address"):
        put(video, f"https://bucket.example/x?{QUERY}", tmp_path)


def test_nobody_at_the_address_is_said(video: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/x?{QUERY}"
        with pytest.raises(RemoteError, match=r"The file was not sent \(ClientConnectorError\)") as failed:
            put(video, url, tmp_path)
    assert SIGNATURE not in str(failed.value)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[JobManager]:
    made = JobManager(settings(tmp_path))
    yield made
    made.close()


def write_profile(folder: Path, url: str) -> None:
    (folder / "keys.json").write_text(json.dumps({"work": {"put": url, "fal": "a:b"}}), encoding="utf-8")


def test_a_profile_names_the_address(tmp_path: Path) -> None:
    write_profile(tmp_path, " https://bucket.example/x ")
    assert read_put_address("work", tmp_path) == "https://bucket.example/x"
    with pytest.raises(RemoteError, match=r"profile 'home' names no address .*\"home\": {\"put\""):
        read_put_address("home", tmp_path)


def test_a_node_sends_its_file_by_a_profile(bucket: Bucket, video: Path, tmp_path: Path, manager: JobManager) -> None:
    write_profile(tmp_path, bucket.url)
    assert upload(video, "work", manager) == "Sent to the address of profile 'work'."
    assert list(bucket.stored.values()) == [video.read_bytes()]


def test_a_failure_says_that_the_file_is_saved_and_shows_no_address(
    bucket: Bucket, video: Path, tmp_path: Path, manager: JobManager, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    write_profile(tmp_path, bucket.url)
    bucket.status = 403
    expected = r"upload_profile is 'work': The file was not stored \(HTTP 403\)\. one.mp4 is saved in the output folder"
    with pytest.raises(RemoteError, match=expected) as failed:
        upload(video, "work", manager)
    assert video.is_file()
    ours = [record.getMessage() for record in caplog.records if record.name == "wan_duet"]
    assert not [text for text in (*ours, str(failed.value), repr(failed.value)) if SIGNATURE in text]


def test_an_interrupt_stops_the_sending_and_the_file_stays(
    bucket: Bucket, video: Path, tmp_path: Path, manager: JobManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_profile(tmp_path, bucket.url)
    sent, put = [], manager.put
    monkeypatch.setattr(manager, "put", lambda *given: sent.append(put(*given)) or sent[0])
    interrupt_current_processing(True)
    try:
        with pytest.raises(InterruptProcessingException):
            upload(video, "work", manager)
    finally:
        interrupt_current_processing(False)
    assert sent[0].cancelled() and video.is_file()
