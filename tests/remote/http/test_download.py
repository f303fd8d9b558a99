"""A result is fetched whole and checked; what is paid is fetched again, never bought again."""

import asyncio
import gzip
import hashlib
import os
import signal
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from wan_duet.remote.errors import RemoteError
from wan_duet.remote.http import content, download
from wan_duet.remote.http.content import inspect
from wan_duet.remote.http.download import Downloader, Gone
from wan_duet.remote.job import State
from wan_duet.remote.settings import RemoteSettings
from wan_duet.tests.fake_providers.faults import Answer, Bytes, Handler, Lose
from wan_duet.tests.fake_providers.film import film, frames_zip, picture
from wan_duet.tests.remote.conftest import Bench, MakeBench

MIB = 1 << 20


@pytest.mark.parametrize(("count", "state"), [(3, State.DOWNLOADED), (4, State.REMOTE_DONE)])
def test_three_redirects_are_followed_and_no_more(bench: MakeBench, count: int, state: State) -> None:
    rivya = bench("rivya")
    rivya.fake.fault("download", *[Answer(302, "", {"Location": "/files/again.mp4"})] * count)
    if state is State.REMOTE_DONE:
        with pytest.raises(RemoteError, match="redirects more than 3 times"):
            rivya.run()
    else:
        rivya.run()
    rivya.check(state, charges=1, files=int(state is State.DOWNLOADED))


@pytest.mark.parametrize(
    "fault",
    [
        Answer(500, "oops"),
        Answer(404, "gone"),
        Lose("close"),
        Lose("truncate"),
        Answer(200, "<html>not here</html>", {"Content-Type": "text/html"}),
        Answer(200, "<html>named .mp4</html>", {"Content-Type": "video/mp4"}),
    ],
    ids=str,
)
def test_a_fetch_that_fails_is_made_again(any_bench: Bench, fault: Any) -> None:
    any_bench.fake.fault("download", fault)
    outcome = any_bench.run()
    any_bench.check(State.DOWNLOADED, charges=1, files=1)
    assert outcome.files[0].read_bytes() == film()


@pytest.mark.parametrize(
    "kind", [None, "", "mp4", "application/octet-stream", "application/mp4", "image/gif", "a/b; c"]
)
def test_what_a_result_is_its_first_bytes_tell(bench: MakeBench, kind: str | None) -> None:
    fal = bench("fal")
    fal.fake.fault("download", Bytes(film(), kind))
    (path,) = fal.run().files
    fal.check(State.DOWNLOADED, charges=1, files=1)
    assert fal.fake.count("download") == 1 and path.suffix == ".mp4"


@pytest.mark.parametrize("kind", ["text/html", "Text/Plain; charset=utf-8", "application/json", "application/x+json"])
def test_text_is_no_result_whatever_its_first_bytes(bench: MakeBench, kind: str) -> None:
    fal = bench("fal")
    fal.fake.fault("download", *[Bytes(film(), kind)] * 3)
    with pytest.raises(RemoteError, match="which is neither video nor image"):
        fal.run()
    fal.check(State.REMOTE_DONE, charges=1, files=0)


def test_what_is_packed_though_it_was_not_asked_for_is_not_unpacked(bench: MakeBench) -> None:
    """A few bytes could become more than the disk holds."""
    fal = bench("fal")

    async def packed(request: web.Request, handle: Handler) -> web.StreamResponse:
        return web.Response(body=gzip.compress(film()), headers={"Content-Encoding": "gzip"}, content_type="video/mp4")

    fal.fake.fault("download", *[packed] * 3)
    with pytest.raises(RemoteError, match="neither a video nor an image"):
        fal.run()
    fal.check(State.REMOTE_DONE, charges=1, files=0)


CUT = Bytes(film(60)[: len(film(60)) // 2], "video/mp4")


@pytest.mark.parametrize(
    "fault",
    [Answer(404, "gone"), Answer(200, "<html/>", {"Content-Type": "video/mp4"}), CUT],
    ids=["gone", "html", "cut"],
)
def test_a_result_that_can_not_be_fetched_stays_paid_and_is_collected_later(any_bench: Bench, fault: Any) -> None:
    any_bench.fake.fault("download", fault, fault, fault)
    with pytest.raises(RemoteError, match=r"It was charged\..*run the same graph again to collect"):
        any_bench.run()
    any_bench.check(State.REMOTE_DONE, charges=1, files=0)
    any_bench.run()
    any_bench.check(State.DOWNLOADED, charges=1, files=1)


def test_an_address_that_has_run_out_is_asked_for_again(any_bench: Bench) -> None:
    outcome = any_bench.run()
    outcome.files[0].unlink()
    any_bench.fake.fault("download", Answer(403, "<Error>Request has expired</Error>"))
    any_bench.run()
    any_bench.check(State.DOWNLOADED, charges=1, files=1)


def test_an_address_that_has_run_out_is_asked_for_in_the_archive(bench: MakeBench) -> None:
    runware = bench("runware")
    runware.fake.forgets = True
    runware.fake.fault("download", Answer(403, "<Error>Request has expired</Error>"))
    runware.run()
    assert runware.fake.count("download") == 2 and runware.fake.seen[-2].op == "details"
    runware.check(State.DOWNLOADED, charges=1, files=1)


def test_ten_redirects_end_at_the_fourth(bench: MakeBench) -> None:
    rivya = bench("rivya")
    rivya.fake.fault("download", *[Answer(302, "", {"Location": "/files/again.mp4"})] * 10)
    with pytest.raises(RemoteError, match="redirects more than 3 times"):
        rivya.run()
    assert rivya.fake.count("download") == 4
    rivya.check(State.REMOTE_DONE, charges=1, files=0)


def test_a_stream_without_end_is_cut_off(bench: MakeBench) -> None:
    rivya = bench("rivya", max_download=2 * MIB)
    rivya.fake.padding = 64 * MIB
    with pytest.raises(RemoteError, match=f"the limit is {2 * MIB}"):
        rivya.run()
    rivya.check(State.REMOTE_DONE, charges=1, files=0)


def fetch(url: str, folder: Path, **limits: Any) -> None:
    """Fetch it without a job; nothing may be left of it."""

    async def begin() -> None:
        downloader = Downloader(RemoteSettings(folder, folder, allow_loopback=True, **limits))
        try:
            await asyncio.wait_for(downloader.fetch(url, "result", None), 10)
        finally:
            await downloader.close()

    try:
        asyncio.run(begin())
    finally:
        assert list(folder.iterdir()) == []


def test_a_length_that_is_not_given_is_counted(tmp_path: Path, endless: str) -> None:
    with pytest.raises(RemoteError, match=f"the limit is {3 * MIB}"):
        fetch(endless, tmp_path, max_download=3 * MIB)


def test_a_length_beyond_the_limit_is_not_waited_for(tmp_path: Path, endless: str) -> None:
    with pytest.raises(RemoteError, match=f"the limit is {3 * MIB}"):
        fetch(f"{endless}?length={4 * MIB}&pause=60", tmp_path, max_download=3 * MIB)


@pytest.mark.parametrize(("pause", "limit"), [(0.02, "download_timeout"), (60, "call_timeout")])
def test_a_stream_that_drips_or_stops_is_given_up(tmp_path: Path, endless: str, pause: float, limit: str) -> None:
    with pytest.raises(Gone, match="no data came any more"):
        fetch(f"{endless}?pause={pause}", tmp_path, **{limit: 0.5})


def test_no_more_than_sixteen_results_are_fetched_at_once(tmp_path: Path, endless: str) -> None:
    async def begin() -> int:
        downloader = Downloader(RemoteSettings(tmp_path, tmp_path, allow_loopback=True))
        fetching = [asyncio.ensure_future(downloader.fetch(endless, f"{n}", None)) for n in range(20)]
        try:
            while len(list(tmp_path.iterdir())) < 16:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.3)
            return len(list(tmp_path.iterdir()))
        finally:
            for one in fetching:
                one.cancel()
            await asyncio.gather(*fetching, return_exceptions=True)
            await downloader.close()

    assert asyncio.run(asyncio.wait_for(begin(), 10)) == 16


@pytest.fixture
def endless() -> Iterator[str]:
    """The address of a film that never ends; `pause` seconds lie between its pieces."""
    from wan_duet.tests.fake_providers.rivya import FakeRivya

    async def stream(request: web.Request) -> web.StreamResponse:
        pause, length = float(request.query.get("pause", 0)), request.query.get("length")
        response = web.StreamResponse(headers={"Content-Type": "video/mp4"})
        response.content_length = None if length is None else int(length)
        await response.prepare(request)
        while True:
            await asyncio.sleep(pause)
            await response.write(bytes(1000 if pause else MIB))

    fake = FakeRivya()
    fake.app.router.add_get("/endless", stream)
    with fake.serving():
        yield f"{fake.url}/endless"


def test_a_full_disk_leaves_no_half_file_and_the_job_paid(any_bench: Bench) -> None:
    resource = pytest.importorskip("resource", reason="no limits to file sizes here")
    any_bench.fake.padding = 8 * MIB
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 * MIB, limits[1]))
    try:
        with pytest.raises(RemoteError, match=r"can't be written to .*Free some space") as full:
            any_bench.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert full.value.kind == "storage"
    any_bench.check(State.REMOTE_DONE, charges=1, files=0)
    any_bench.run()
    any_bench.check(State.DOWNLOADED, charges=1, files=1)


def test_an_output_folder_that_is_none_is_named(any_bench: Bench) -> None:
    any_bench.settings.output.parent.mkdir(parents=True)
    any_bench.settings.output.write_text("a file")
    with pytest.raises(RemoteError, match=r"can't be written to .*output"):
        any_bench.run()
    any_bench.settings.output.unlink()
    any_bench.run()
    any_bench.check(State.DOWNLOADED, charges=1, files=1)


def test_the_file_is_known_by_its_content_and_named_by_us(bench: MakeBench) -> None:
    fal = bench("fal")
    fal.fake.fault("download", Answer(200, "", {}))
    outcome = fal.run(fal.request(endpoint="fal-ai/wan/v2.2-a14b/text-to-image"))
    (path,) = outcome.files
    assert path.name == f"{fal.job.id}_0.png" and path.read_bytes() == picture()
    assert fal.job.files[0]["sha256"] == hashlib.sha256(picture()).hexdigest()


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9, 0.99])
def test_a_cut_film_is_refused(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(film(60)[: int(len(film(60)) * keep)])
    with pytest.raises(RemoteError, match=r"can't be decoded|of 60 frames"):
        inspect(path)


def test_what_a_film_is(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(film(60))
    content = inspect(path)
    assert (content.kind, content.width, content.height, content.frames, content.fps) == ("video", 64, 48, 60, 16.0)


@pytest.mark.parametrize(
    ("endpoint", "sent", "kind"),
    [
        ("fal-ai/wan/v2.2-a14b/text-to-video", picture(), "image/png"),
        ("fal-ai/wan/v2.2-a14b/text-to-video", picture(), "video/mp4"),
        ("fal-ai/wan/v2.2-a14b/text-to-image", film(), "image/png"),
    ],
)
def test_a_result_of_the_wrong_kind_is_refused_and_collected_later(
    bench: MakeBench, endpoint: str, sent: bytes, kind: str
) -> None:
    fal = bench("fal")
    fal.fake.fault("download", *[Bytes(sent, kind)] * 3)
    wanted = fal.request(endpoint=endpoint)
    with pytest.raises(RemoteError, match=r"where an? (image|video) was asked for\. It was charged\..*collect"):
        fal.run(wanted)
    fal.check(State.REMOTE_DONE, charges=1, files=0)
    fal.run(wanted)
    fal.check(State.DOWNLOADED, charges=1, files=1)


def test_a_picture_in_a_box_of_mp4_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "still.mp4"
    for brand in (b"avif", b"heic", b"mif1"):
        path.write_bytes(b"\0\0\0\x1cftyp" + brand + bytes(64))
        with pytest.raises(RemoteError, match="neither a video nor an image"):
            inspect(path)


def empty_picture(width: int, height: int) -> bytes:
    """A PNG of one bit a pixel: thousands of pixels in each of its bytes."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    row, packer = bytes(1 + (width + 7) // 8), zlib.compressobj()
    packed = b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()])
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(8_001, 8_000), (16_000, 8_000), (30_000, 30_000)])
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch, width: int, height: int
) -> None:
    fal = bench("fal")
    wanted = fal.request(endpoint="fal-ai/wan/v2.2-a14b/text-to-image")
    fal.fake.fault("download", Bytes(empty_picture(width, height), "image/png"))
    with monkeypatch.context() as patch:
        patch.setattr(content.av, "open", lambda *_, **__: pytest.fail("it was decoded"))
        with pytest.raises(RemoteError, match=r"pixels.*Nothing of it was decoded"):
            fal.run(wanted)
    fal.check(State.REMOTE_DONE, charges=1, files=0)
    fal.run(wanted)
    fal.check(State.DOWNLOADED, charges=1, files=1)


def test_a_picture_of_just_as_many_pixels_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(empty_picture(8_000, 8_000))
    assert (inspect(path).width, inspect(path).height) == (8_000, 8_000)


def test_a_film_of_too_many_pixels_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(film(60))
    monkeypatch.setattr(content, "MOST_OF_A_FILM", 60 * 64 * 48)
    assert inspect(path).frames == 60
    monkeypatch.setattr(content, "MOST_OF_A_FILM", 60 * 64 * 48 - 1)
    with pytest.raises(RemoteError, match="60 frames of 64x48 pixels"):
        inspect(path)
    monkeypatch.setattr(content, "MOST_PIXELS", 64 * 48 - 1)
    with pytest.raises(RemoteError, match="64x48 pixels, above"):
        inspect(path)


ANIMATE = "fal-ai/wan/v2.2-14b/animate/move"
MEDIA = {"image_url": "https://example.com/a.png", "video_url": "https://example.com/a.mp4"}


def test_frames_in_a_zip_come_with_the_video(bench: MakeBench) -> None:
    fal = bench("fal")
    wanted = fal.request({**MEDIA, "prompt": None, "return_frames_zip": True}, ANIMATE)
    outcome = fal.run(wanted)
    fal.check(State.DOWNLOADED, charges=1, files=2)
    assert [path.suffix for path in outcome.files] == [".mp4", ".zip"] and len(outcome.seeds) == 1
    assert outcome.files[1].read_bytes() == frames_zip()


@pytest.mark.parametrize("damaged", [frames_zip()[:-30], film()], ids=["cut", "a film"])
def test_frames_that_do_not_come_keep_the_video_and_are_collected_later(bench: MakeBench, damaged: bytes) -> None:
    fal = bench("fal")
    fal.fake.fault("download", None, *[Bytes(damaged, "application/zip")] * 3)
    wanted = fal.request({**MEDIA, "prompt": None, "return_frames_zip": True}, ANIMATE)
    outcome = fal.run(wanted)
    assert [path.suffix for path in outcome.files] == [".mp4"] and "Result 2" in outcome.warnings[0]
    fal.check(State.REMOTE_DONE, charges=1, files=1)
    assert len(fal.run(wanted).files) == 2
    fal.check(State.DOWNLOADED, charges=1, files=2)


def test_a_zip_that_nobody_asked_for_is_no_result(tmp_path: Path) -> None:
    path = tmp_path / "frames.zip"
    path.write_bytes(frames_zip())
    for wanted in (None, "video", "image"):
        with pytest.raises(RemoteError, match=r"ZIP, an archive, where an? (video|image) was asked for"):
            inspect(path, wanted)
    assert inspect(path, "archive").frames == 3


def test_a_slow_disk_does_not_hold_up_the_jobs(bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    fal, threads = bench("fal"), set[str]()
    update, sync = download._append, os.fsync

    def append(*given: Any) -> None:
        threads.add(threading.current_thread().name)
        update(*given)

    def fsync(file: int) -> None:
        threads.add(threading.current_thread().name)
        sync(file)

    monkeypatch.setattr(download, "_append", append)
    monkeypatch.setattr(os, "fsync", fsync)
    fal.run()
    assert threads and all(name.startswith("wan-duet write") for name in threads)
