"""The route that sets budgets: who may, what it says, and that a graph pays nothing beyond it."""

from collections.abc import Callable
from typing import Any

import pytest
from wan_duet.dev.client import PromptError
from wan_duet.nodes.remote.routes.budget_route import BUDGETS
from wan_duet.tests.nodes.graph import Graph
from wan_duet.tests.nodes.remote.conftest import Bench, text_to_video
from wan_duet.tests.nodes.remote.test_keys import Answers
from wan_duet.tests.remote.conftest import KEYS

NONE = {"budget": 0, "used": 0, "unit": "USD", "fixed": False}


@pytest.fixture(scope="module")
def unset(start_bench: Callable[..., Bench]) -> Bench:
    """A server on which nobody has set a budget."""
    return start_bench(environ=KEYS)


def ask(bench: Bench, *request: Any) -> tuple[int, Any]:
    """The answer to the server's own page."""
    return Answers(bench, BUDGETS)(*request)


def test_a_graph_of_somebody_else_pays_nothing_until_the_machine_has_a_budget(unset: Bench, graph: Graph) -> None:
    node = text_to_video(graph, "rivya", 1)
    with pytest.raises(PromptError, match=r"est\. 12 credits.*0 credits a day.*Settings, Wan Duet"):
        unset.client.run(graph.prompt, timeout=60)
    assert unset.fakes["rivya"].seen == []
    assert ask(unset, {"provider": "rivya", "budget": "20"})[0] == 200
    unset.client.run(graph.prompt, timeout=60)
    graph.prompt[node.id]["inputs"]["seed"] = 2
    with pytest.raises(PromptError, match=r"8 credits is left of today's budget.*20 credits a day"):
        unset.client.run(graph.prompt, timeout=60)
    assert unset.charges() == 1
    said = {"budget": 20, "used": 12, "unit": "credits", "fixed": False}
    assert ask(unset) == (200, {"runware": NONE, "fal": NONE, "rivya": said})


def test_what_the_environment_has_fixed_is_said(bench: Bench) -> None:
    status, said = ask(bench)
    assert status == 200 and {one["fixed"] for one in said.values()} == {True}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
        {"X-Forwarded-For": "203.0.113.5"},
    ],
)
def test_a_foreign_page_sets_no_budget(bench: Bench, headers: dict[str, str]) -> None:
    assert ask(bench, {"provider": "fal", "budget": 1000}, headers)[0] == 403
    file = bench.private / "budgets.json"
    assert not file.exists()


@pytest.mark.parametrize(
    "body",
    [b"{", [], {"provider": "fal"}, {"provider": "elsewhere", "budget": 1}, {"provider": "fal", "budget": "much"}],
)
def test_what_is_no_budget_is_refused(bench: Bench, body: Any) -> None:
    assert ask(bench, body)[0] == 400
    assert not (bench.private / "budgets.json").exists()


def test_a_budget_needs_the_code_in_the_terminal(bench: Bench) -> None:
    for given in ("", "ABCDEFGH"):
        assert ask(bench, {"provider": "fal", "budget": 5, "code": given})[0] == 202
    assert not (bench.private / "budgets.json").exists()
