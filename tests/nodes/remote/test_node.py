"""Before a run, a provider's node looks at the journal without holding up the host."""

import asyncio
import math
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from wan_duet.nodes.remote import REMOTE_NODES, node


def test_a_journal_that_does_not_answer_leaves_the_host_free(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = SimpleNamespace(jobs=lambda: Future(), count_forgotten=lambda node_id: Future())
    monkeypatch.setattr(node, "manager", lambda: asked)
    monkeypatch.setattr(node, "get_executing_context", lambda: SimpleNamespace(node_id="3"))
    monkeypatch.setattr(node, "PATIENCE", 0.1)

    async def beside() -> tuple[Any, int]:
        look, turns = asyncio.ensure_future(REMOTE_NODES[0].fingerprint_inputs()), 0
        while not look.done():
            turns += 1
            await asyncio.sleep(0.01)
        return look.result(), turns

    found, turns = asyncio.run(beside())
    assert math.isnan(found) and turns > 1
