"""Stock nodes between Models From Experts and Experts From Models: each is applied to both experts."""

from typing import Any

import pytest
import torch
from wan_duet.tests.nodes.graph import Graph, Node, Runner

Files = dict[str, str]

SHIFT = 3.0


def _shifted(graph: Graph, model: Node | list[Any], shift: float = SHIFT) -> Node:
    return graph.add("ModelSamplingSD3", model=model, shift=shift)


def _stock_run(graph: Graph, model: Node | list[Any]) -> Node:
    """One MODEL under the host's KSampler, whose sigmas follow the MODEL's own shift."""
    inputs = graph.inputs()
    settings = {"seed": 5, "steps": 2, "cfg": 1.0, "sampler_name": "euler", "scheduler": "simple", "denoise": 1.0}
    sampler = graph.add("KSampler", model=model, latent_image=inputs.pop("latent"), **settings, **inputs)
    return graph.save(sampler)


def test_a_node_on_the_list_changes_both_experts(run: Runner, graph: Graph, files: Files) -> None:
    models = graph.add("WanDuet_ModelsFromExperts", experts=graph.load(files["high"]))
    joined = graph.add("WanDuet_ExpertsFromModels", models=_shifted(graph, models[2]))
    through = graph.add("WanDuet_ModelsFromExperts", experts=joined)
    listed = [_stock_run(graph, through[i]) for i in (0, 1)]
    apart = [_stock_run(graph, _shifted(graph, models[i])) for i in (0, 1)]
    untouched = [_stock_run(graph, models[i]) for i in (0, 1)]
    result = run(graph)
    for through_list, by_hand, without in zip(listed, apart, untouched, strict=True):
        assert torch.equal(result.latent(through_list), result.latent(by_hand))
        assert not torch.equal(result.latent(through_list), result.latent(without))


def test_the_list_is_high_first_and_then_low(run: Runner, graph: Graph, files: Files) -> None:
    models = graph.add("WanDuet_ModelsFromExperts", experts=graph.load(files["high"]))
    listed, *apart = [_stock_run(graph, models[i]) for i in (2, 0, 1)]
    result = run(graph)
    high, low = result.latents(listed)
    assert torch.equal(high, result.latent(apart[0]))
    assert torch.equal(low, result.latent(apart[1]))
    assert not torch.equal(high, low)


def test_the_plan_takes_the_shift_that_a_stock_node_has_set(run: Runner, graph: Graph, files: Files) -> None:
    experts = graph.load(files["high"])
    models = graph.add("WanDuet_ModelsFromExperts", experts=experts)
    joined = graph.add("WanDuet_ExpertsFromModels", models=_shifted(graph, models[2]))
    by_node, by_hand = graph.plan(joined), graph.plan(experts, shift=SHIFT)
    shown = graph.show(by_node[3])
    saved = graph.save(graph.sample(joined, by_node)), graph.save(graph.sample(experts, by_hand))
    result = run(graph)
    assert f"shift {SHIFT:g}," in result.text(shown)
    assert torch.equal(*map(result.latent, saved))


def test_connected_shifts_that_the_run_will_not_use_are_named(run: Runner, graph: Graph, files: Files) -> None:
    high, low = (_shifted(graph, graph.model(files[role]), shift) for role, shift in (("high", 3.0), ("low", 8.0)))
    experts = graph.add("WanDuet_ExpertsFromModels", high=high, low=low)
    shown = graph.show(graph.plan(experts)[3])
    assert "The connected MODELs carry shift 3 and 8; this run uses 3 for both experts." in run(graph).text(shown)


def test_models_of_a_pair_sample_as_the_pair(run: Runner, graph: Graph, files: Files) -> None:
    loaded = graph.load(files["high"])
    joined = graph.add("WanDuet_ExpertsFromModels", high=graph.model(files["high"]), low=graph.model(files["low"]))
    saved = [graph.save(graph.sample(experts, graph.plan(experts))) for experts in (loaded, joined)]
    result = run(graph)
    assert torch.equal(*map(result.latent, saved))


def test_the_low_output_of_a_single_expert_blocks_quietly(run: Runner, graph: Graph, files: Files) -> None:
    models = graph.add("WanDuet_ModelsFromExperts", experts=graph.load(files["high"], "none"))
    high, _, listed = (_stock_run(graph, models[i]) for i in (0, 1, 2))
    said, _ = run.watched(graph)  # because a block with words is an error in the browser, but not in the history
    assert said[-1]["type"] == "execution_success"
    saved = [message["data"]["node"] for message in said if message["type"] == "executed"]
    assert sorted(saved) == sorted([high.id, listed.id])


@pytest.mark.parametrize("wire", [0, 2], ids=["high", "list"])
def test_one_model_alone_is_a_single_expert(run: Runner, graph: Graph, files: Files, wire: int) -> None:
    models = graph.add("WanDuet_ModelsFromExperts", experts=graph.load(files["high"], "none"))
    joined = graph.add("WanDuet_ExpertsFromModels", **{{0: "high", 2: "models"}[wire]: models[wire]})
    shown = graph.show(graph.plan(joined)[3])
    assert "on a single expert" in run(graph).text(shown)
