"""What the user sees while a run lasts: one progress bar, previews, and text on the nodes."""

from collections.abc import Callable

import pytest
from wan_duet.dev.server import Server
from wan_duet.tests.nodes.graph import Graph, Node, Runner

STEPS = 6
PREVIEW, TEXT = 1, 3  # the host's BinaryEventTypes


def _by_the_host(graph: Graph, experts: Node, plan: Node) -> Node:
    return graph.sample(experts, plan)


def _in_one_node(graph: Graph, experts: Node, plan: Node) -> Node:
    return graph.add("WanDuet_Sampler", experts=experts, plan=plan, sampler=plan[1], seed=0, **graph.inputs())


@pytest.fixture
def previewing(server_with_previews: Server, output_folder: str) -> Runner:
    """Runs graphs on a server that makes previews."""
    return Runner(server_with_previews, output_folder)


@pytest.mark.parametrize("build", [_by_the_host, _in_one_node])
def test_one_bar_and_its_previews_span_both_experts(
    previewing: Runner, graph: Graph, files: dict[str, str], build: Callable[[Graph, Node, Node], Node]
) -> None:
    experts = graph.load(files["high"])
    sampler = build(graph, experts, graph.plan(experts, steps=STEPS))
    graph.save(sampler)
    said, sent = previewing.watched(graph)

    progress = [message["data"] for message in said if message["type"] == "progress"]
    steps = [(data["value"], data["max"]) for data in progress if data["node"] == sampler.id]
    assert steps == [(step, STEPS) for step in range(1, STEPS + 1)]

    previews = [data for data in sent if int.from_bytes(data[:4], "big") == PREVIEW]
    assert len(previews) == STEPS and all(b"JFIF" in data for data in previews)


def test_a_text_appears_only_under_the_node_that_has_no_report_and_no_widgets(
    run: Runner, graph: Graph, files: dict[str, str]
) -> None:
    # frontend 1.32 would save the text as the value of the widget that comes next
    experts = graph.load(files["high"])
    plan = graph.plan(experts, steps=STEPS)
    for build in (_by_the_host, _in_one_node):
        graph.save(build(graph, experts, plan))
    _, sent = run.watched(graph)
    texts = [data[4:].decode() for data in sent if int.from_bytes(data[:4], "big") == TEXT]
    guider = next(node_id for node_id, node in graph.prompt.items() if node["class_type"] == "WanDuet_Guider")
    (text,) = texts
    assert max(map(len, text[4 + len(guider) :].splitlines())) <= 34
    assert text.replace("\n", " ").startswith(
        f"\0\0\0{chr(len(guider))}{guider}Ran 4 high + 2 low steps: 4 high + 2 low evaluations."
    )
