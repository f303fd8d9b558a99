"""Only public addresses of the provider's own hosts are fetched, whatever a name or a redirect leads to."""

import asyncio
import socket
from typing import Any

import aiohttp
import pytest
from wan_duet.remote.errors import RemoteError
from wan_duet.remote.http.addresses import PublicConnector, PublicResolver, check_url, is_public
from wan_duet.remote.job import State
from wan_duet.tests.fake_providers.faults import Answer
from wan_duet.tests.remote.conftest import Bench, MakeBench

PRIVATE = ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "fe80::1", "100.64.0.1", "fec0::1", "64:ff9b:1::a00:1"]


@pytest.mark.parametrize(
    "url",
    [
        "http://v3.fal.media/x.mp4",
        "http://127.0.0.2/x.mp4",
        "https://127.0.0.1/x.mp4",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/x.mp4",
        "https://[::ffff:10.0.0.1]/x.mp4",
        "https://[64:ff9b::a00:1]/x.mp4",
        "https://[fd00::1]/x.mp4",
        "https://user:secret@v3.fal.media/x.mp4",
        "https://fal.media.evil.example/x.mp4",
        "https://evil-fal.media/x.mp4",
        "file:///etc/passwd",
        "ftp://v3.fal.media/x.mp4",
        "https:///x.mp4",
        "https://[bad/x.mp4",
    ],
)
def test_an_unsafe_address_is_not_fetched(bench: MakeBench, url: str) -> None:
    fal = bench("fal")
    fal.fake.result_url = url
    with pytest.raises(RemoteError) as unsafe:
        fal.run()
    assert unsafe.value.kind == "unsafe"
    assert ("WAN_DUET_RESULT_HOSTS" in str(unsafe.value)) is ("evil" in url)  # where naming the host would help
    fal.check(State.REMOTE_DONE, charges=1, files=0)
    fal.fake.result_url = None
    fal.run()  # once the address is good, the paid result is collected
    fal.check(State.DOWNLOADED, charges=1, files=1)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "①②⑦.0.0.1", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]", "[64:ff9b::a00:1]"]
)
def test_a_private_address_is_refused_where_any_host_may_be(host: str) -> None:
    with pytest.raises(RemoteError, match="not a public address"):
        check_url(f"https://{host}/x.mp4", None)


ODD = ["127.1", "2130706433", "0177.0.0.1", "0", "0x7f.1", "0x7f000001", "8.8.2056", "127.0.0.1.1", "%31%32%37.1"]


@pytest.mark.parametrize(
    "host", [*ODD, *(f"{host}." for host in ODD), "①②⑦.1", "name.0x", "a..b", "", "[fe80::1%25lo]"]
)
def test_a_host_that_only_some_would_take_for_an_address_is_refused(host: str) -> None:
    for hosts in (None, [host]):
        with pytest.raises(RemoteError, match=r"usual form|not a public address|should be an address"):
            check_url(f"https://{host}/x.mp4", hosts)


@pytest.mark.parametrize("host", ["8.8.8.8", "[2606:4700::1111]", "cdn7.example.com", "1.example", "a_b.example.com."])
def test_names_and_addresses_in_their_usual_form_are_taken(host: str) -> None:
    check_url(f"https://{host}/x.mp4", None)


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("host", ["cdn.example.com", "127.1", "localhost"])
def test_nothing_is_sent_to_a_peer_that_is_not_public(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch, host: str, method: str
) -> None:
    """Whatever looked the host up, if anything did: some versions of aiohttp don't ask for one that is all digits."""

    async def nearby(self: object, host: str, port: int = 0, family: int = 0) -> list[Any]:
        found = {"hostname": host, "host": "127.0.0.1", "port": port, "family": socket.AF_INET}
        return [{**found, "proto": 0, "flags": 0}]

    async def ask() -> None:
        monkeypatch.setattr(PublicResolver, "resolve", nearby)
        async with aiohttp.ClientSession(connector=PublicConnector(allow_loopback=True)) as session:
            await session.request(method, url.replace("127.0.0.1", host), data=b"secret" if method == "PUT" else None)

    fal = bench("fal")
    url = f"{fal.fake.url}/files/film.mp4"
    with pytest.raises((RemoteError, aiohttp.InvalidURL), match=r"not a public address|not a canonical IPv4"):
        asyncio.run(ask())
    assert fal.fake.seen == []


@pytest.mark.parametrize("fault", [Answer(302, "", {"Location": "http://10.0.0.1/x.mp4"}), "too large"])
def test_no_setting_is_named_that_would_not_help(bench: MakeBench, fault: Any) -> None:
    rivya = bench("rivya", max_download=1000)
    rivya.fake.fault("download", *([fault] if isinstance(fault, Answer) else []))
    with pytest.raises(RemoteError) as unsafe:
        rivya.run()
    assert unsafe.value.kind == "unsafe" and "WAN_DUET_RESULT_HOSTS" not in str(unsafe.value)


def test_the_name_of_a_proxy_is_no_way_in(bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver lets a proxy be anywhere; an address that isn't fetched through it is still held to be public."""
    fal = bench("fal")
    monkeypatch.setenv("https_proxy", fal.fake.url.replace("127.0.0.1", "localhost"))

    async def ask() -> None:
        async with aiohttp.ClientSession(connector=PublicConnector()) as session:
            await session.get(fal.fake.url.replace("127.0.0.1", "localhost"))

    with pytest.raises(RemoteError, match=r"localhost is at .* not a public address"):
        asyncio.run(ask())
    assert fal.fake.seen == []


@pytest.mark.parametrize("address", [*PRIVATE, "::127.0.0.1", "::ffff:0:7f00:1", "192.0.0.8"])
def test_a_name_that_leads_to_a_private_address_is_not_connected_to(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """What counts is the address at connect time: a name may have led elsewhere when it was checked."""
    fal = bench("fal")
    real = socket.getaddrinfo

    def rebound(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        return real(address if host == "v3.fal.media" else host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    fal.fake.result_url = "https://v3.fal.media/x.mp4"
    with pytest.raises(RemoteError, match="not a public address"):
        fal.run()
    fal.check(State.REMOTE_DONE, charges=1, files=0)


@pytest.mark.parametrize(("address", "public"), [("8.8.8.8", True), ("2606:4700::1111", True), ("224.0.0.1", False)])
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_hosts_can_be_added() -> None:
    check_url("https://cdn.example.com/x.mp4", ["*.fal.media", "cdn.example.com"])
    check_url("https://a.b.fal.media/x.mp4", ["*.fal.media"])
    with pytest.raises(RemoteError, match=r"expected \*.fal.media"):
        check_url("https://cdn.example.com/x.mp4", ["*.fal.media"])


@pytest.mark.parametrize(
    "target", ["http://10.0.0.1/x.mp4", "https://169.254.169.254/x", "file:///etc/passwd", "http://["]
)
def test_a_redirect_is_checked_like_the_first_address(any_bench: Bench, target: str) -> None:
    any_bench.fake.fault("download", Answer(302, "", {"Location": target}))
    with pytest.raises(RemoteError) as unsafe:
        any_bench.run()
    assert unsafe.value.kind == "unsafe"
    any_bench.check(State.REMOTE_DONE, charges=1, files=0)
