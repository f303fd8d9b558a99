"""The system's proxy is used as everywhere, and no passwords are sent that nobody asked for."""

from pathlib import Path

import pytest
from wan_duet.remote.errors import RemoteError
from wan_duet.remote.http.proxy import proxy_hosts
from wan_duet.remote.job import State
from wan_duet.tests.remote.conftest import Bench, MakeBench


def test_the_systems_proxy_is_used(bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that only the proxy can reach: the fake is the proxy, and gets the whole address."""
    fal = bench("fal")
    monkeypatch.setenv("http_proxy", fal.fake.url)
    fal.options["bases"] = dict.fromkeys(fal.settings.bases, "http://queue.only-by-proxy.invalid")
    fal.fake.result_url = "http://127.0.0.1:1/files/film.mp4"  # where nobody listens
    fal.run()
    assert {seen.headers["Host"] for seen in fal.fake.seen if seen.op == "submit"} == {"queue.only-by-proxy.invalid"}
    fal.check(State.DOWNLOADED, charges=1, files=1)


def test_a_proxy_may_be_named_without_its_scheme(bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    fal = bench("fal")
    monkeypatch.setenv("http_proxy", fal.fake.url.removeprefix("http://"))
    fal.options["bases"] = dict.fromkeys(fal.settings.bases, "http://queue.only-by-proxy.invalid")
    fal.run()
    fal.check(State.DOWNLOADED, charges=1, files=1)


def test_a_proxy_that_speaks_no_http_is_named_before_anything_is_sent(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    fal = bench("fal")
    monkeypatch.setenv("http_proxy", fal.fake.url.replace("http", "socks5"))
    fal.options["bases"] = dict.fromkeys(fal.settings.bases, "http://queue.only-by-proxy.invalid")
    with pytest.raises(RemoteError, match=r"proxy for http speaks socks5.*HTTP_PROXY") as refused:
        fal.run()
    assert refused.value.charged == "no" and fal.fake.seen == []
    fal.check(State.REJECTED, charges=0, files=0)


def test_hosts_that_need_no_proxy_are_not_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "10.0.0.7:3128")
    monkeypatch.setenv("no_proxy", "http://inside.example.com")
    assert proxy_hosts() == {"10.0.0.7"}


def test_passwords_of_a_netrc_file_are_not_sent(
    any_bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("default login me password planted")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    any_bench.run()
    fetched = [seen.headers for seen in any_bench.fake.seen if seen.op == "download"]
    assert len(fetched) == 1 and "Authorization" not in fetched[0]
    assert "Basic" not in str([seen.headers for seen in any_bench.fake.seen])


def test_a_proxy_that_does_not_let_through_has_sent_nothing(bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    fal = bench("fal")
    monkeypatch.setenv("https_proxy", fal.fake.url)  # it knows no CONNECT
    fal.options["bases"] = dict.fromkeys(fal.settings.bases, "https://queue.only-by-proxy.invalid")
    with pytest.raises(RemoteError, match=r"can't be reached.*Nothing was sent"):
        fal.run()
    fal.check(State.REJECTED, charges=0, files=0)
