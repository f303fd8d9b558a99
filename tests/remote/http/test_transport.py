"""Requests and answers as they may be written down, and sessions that are closed."""

import asyncio
import gc
import warnings
from pathlib import Path

from wan_duet.remote.http.transport import Call, Reply, Transport
from wan_duet.remote.settings import RemoteSettings


def test_nothing_of_the_users_and_no_key_is_in_the_text_of_a_request() -> None:
    call = Call("POST", "https://x.example/", {"Authorization": "Bearer k"}, b"a private prompt", secrets={"a": "k"})
    assert repr(call) == "Call(method='POST', url='https://x.example/', timeout=None, foreign=False)"


def test_the_body_of_an_answer_is_not_in_its_text() -> None:
    assert "private" not in repr(Reply(200, {}, b"a private answer"))


def test_closing_leaves_no_session_open(tmp_path: Path) -> None:
    async def open_and_close() -> None:
        await Transport(RemoteSettings(tmp_path, tmp_path)).close()

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        asyncio.run(open_and_close())
        gc.collect()
    assert [str(warning.message) for warning in said if "session" in str(warning.message)] == []
