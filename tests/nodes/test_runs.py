"""One run across both experts, through the nodes."""

import re
from typing import Any

import pytest
import torch
from wan_duet.tests.nodes.graph import UNLOADABLE, Graph, Node, Runner

Files = dict[str, str]


def _in_one_node(graph: Graph, experts: Node, plan: Node, seed: int) -> Node:
    return graph.add("WanDuet_Sampler", experts=experts, plan=plan, sampler=plan[1], seed=seed, **graph.inputs())


@pytest.mark.parametrize(
    "settings",
    [{}, {"sampler": "euler_ancestral", "cfg_high": 3.5, "cfg_low": 2.0}, {"strength": 0.5}],
    ids=["plain", "with noise and cfg", "strength"],
)
def test_the_sampler_node_equals_the_guider_under_the_hosts_sampler(
    run: Runner, graph: Graph, files: Files, settings: dict[str, Any]
) -> None:
    experts = graph.load(files["high"])
    plan = graph.plan(experts, **settings)
    ours = graph.save(_in_one_node(graph, experts, plan, seed=7))
    hosts = graph.save(graph.sample(experts, plan, seed=7))
    result = run(graph)
    assert torch.equal(result.latent(ours), result.latent(hosts))
    assert result.latent(ours).shape == (1, 16, 3, 8, 8)


def test_the_sampler_node_fits_an_empty_latent_to_a_5b_model_as_the_host_does(
    run: Runner, graph: Graph, files: Files
) -> None:
    experts = graph.load(files["5b"], "none")
    plan = graph.plan(experts)
    ours = graph.save(_in_one_node(graph, experts, plan, seed=7))
    hosts = graph.save(graph.sample(experts, plan, seed=7))
    result = run(graph)
    assert torch.equal(result.latent(ours), result.latent(hosts))


def test_each_expert_and_the_seed_count(run: Runner, graph: Graph, files: Files) -> None:
    saved = []
    for low, seed in ((files["low"], 1), (files["high"], 1), (files["low"], 2)):
        experts = graph.load(files["high"], low, allow_same_file=True)
        saved.append(graph.save(graph.sample(experts, graph.plan(experts), seed)))
    result = run(graph)
    pair, high_twice, other_seed = (result.latent(node) for node in saved)
    assert not torch.equal(pair, high_twice)
    assert not torch.equal(pair, other_seed)


def test_the_report_of_a_run_counts_what_each_expert_did(run: Runner, graph: Graph, files: Files) -> None:
    experts = graph.load(files["high"])
    plan = graph.plan(experts, sampler="heun")
    sampler = _in_one_node(graph, experts, plan, seed=0)
    planned, ran = graph.show(plan[3]), graph.show(sampler[1])
    result = run(graph)
    assert result.text(planned).startswith("3 high + 1 low steps (boundary 0.875, shift 12, heun / simple)")
    # heun asks twice for each step but the last; its third step ends below the boundary
    assert result.text(ran).startswith("Ran 3 high + 1 low steps: 5 high + 2 low evaluations.")


def test_the_denoised_output_is_what_the_last_step_lands_on(run: Runner, graph: Graph, files: Files) -> None:
    experts = graph.load(files["high"])
    sampler = graph.sample(experts, graph.plan(experts))
    noisy, denoised = graph.save(sampler), graph.save(sampler[1])
    result = run(graph)
    torch.testing.assert_close(result.latent(noisy), result.latent(denoised))


def test_a_preset_is_a_whole_plan(run: Runner, graph: Graph, files: Files) -> None:
    experts = graph.load(files["high"])
    plan = graph.add("WanDuet_Preset", experts=experts, preset="Turbo 4")
    same = graph.plan(experts, steps=4, shift=5.0)
    shown = graph.show(plan[3])
    saved = [graph.save(graph.sample(experts, node)) for node in (plan, same)]
    result = run(graph)
    assert result.text(shown).startswith("Turbo 4: needs a distilled LoRA")
    assert torch.equal(*map(result.latent, saved))


def test_an_official_solver_of_a_preset_runs(run: Runner, graph: Graph, files: Files) -> None:
    experts = graph.load(files["high"])
    plan = graph.add("WanDuet_Preset", experts=experts, preset="Balanced 20")
    saved = graph.save(graph.sample(experts, plan))
    assert torch.isfinite(run(graph).latent(saved)).all()


def test_a_single_expert_does_every_step(run: Runner, graph: Graph, files: Files) -> None:
    single, twice = (graph.load(files["high"], low, allow_same_file=True) for low in ("none", files["high"]))
    shown = graph.show(graph.plan(single)[3])
    saved = [graph.save(graph.sample(experts, graph.plan(experts))) for experts in (single, twice)]
    result = run(graph)
    assert result.text(shown).startswith("4 steps on a single expert (shift 12")
    assert torch.equal(*map(result.latent, saved))


def test_text_outputs_alone_open_no_file(run: Runner, graph: Graph, files: Files) -> None:
    experts = graph.load(files["unloadable high"])
    plan = graph.plan(experts)
    preset = graph.add("WanDuet_Preset", experts=experts, preset="Balanced 20")
    reports = [graph.show(text) for text in (experts[1], plan[3], preset[3])]
    result = run(graph)
    assert all(result.text(report) for report in reports)

    graph.save(graph.sample(experts, plan))
    assert re.search(UNLOADABLE, run.logged(graph))  # so opening it would have failed
