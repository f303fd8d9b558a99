"""Requests and answers as they may be written down."""

from wan_duet.remote.http.transport import Call, Reply


def test_nothing_of_the_users_and_no_key_is_in_the_text_of_a_request() -> None:
    call = Call("POST", "https://x.example/", {"Authorization": "Bearer k"}, b"a private prompt", secrets={"a": "k"})
    assert repr(call) == "Call(method='POST', url='https://x.example/', timeout=None, foreign=False)"


def test_the_body_of_an_answer_is_not_in_its_text() -> None:
    assert "private" not in repr(Reply(200, {}, b"a private answer"))
