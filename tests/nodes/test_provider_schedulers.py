"""Documented scheduler names in graphs on a real server: the scheduler goes into Stage Plan over a link."""

import pytest
import torch
from wan_duet.dev.client import PromptError
from wan_duet.tests.nodes.graph import Graph, Node, Runner

NAMES = ["UniPC", "UniPC 3M Karras", "DPM++ 2M", "DPM++ SDE Beta", "Euler a", "LCM"]


def sample(graph: Graph, experts: Node, name: str) -> Node:
    """A run by the documented name."""
    scheduler = graph.add("WanDuet_ProviderScheduler", provider_scheduler=name, experts=experts)
    plan = graph.plan(experts, scheduler=scheduler[1])
    return graph.add("WanDuet_Sampler", experts=experts, plan=plan, sampler=scheduler[0], seed=3, **graph.inputs())


def test_names_run_and_each_ends_in_a_latent_of_its_own(run: Runner, graph: Graph, files: dict[str, str]) -> None:
    experts = graph.load(files["high"])
    saved = [graph.save(sample(graph, experts, name)) for name in NAMES]
    result = run(graph)
    latents = [result.latent(node) for node in saved]
    assert all(latent.isfinite().all() for latent in latents)
    assert len({tuple(latent.flatten().tolist()) for latent in latents}) == len(NAMES)


def test_a_plan_takes_over_the_solver_spaces_for_it_and_says_so(
    run: Runner, graph: Graph, files: dict[str, str]
) -> None:
    experts = graph.load(files["high"])
    ours, hosts = (
        graph.add("WanDuet_ProviderScheduler", provider_scheduler="UniPC 3M"),
        graph.add("KSamplerSelect", sampler_name="uni_pc"),
    )
    named = graph.plan(experts, sampler="uni_pc")  # which the host spaces with a step more, and leaves one out
    plans = [graph.plan(experts, solver=ours[0], scheduler=ours[1]), graph.plan(experts, solver=hosts), named]
    shown = [graph.show(plan[3]) for plan in plans]
    saved = [
        graph.save(graph.add("WanDuet_Sampler", experts=experts, plan=plan, sampler=sampler, seed=3, **graph.inputs()))
        for plan, sampler in [(plans[0], plans[0][1]), (plans[0], ours[0]), (plans[1], plans[1][1]), (named, named[1])]
    ]
    result = run(graph)
    texts = [result.text(node) for node in shown]
    assert "flow_unipc, order 3 / wan_unipc)" in texts[0]
    assert texts[1] == texts[2] and "uni_pc / simple)" in texts[1]
    latents = [result.latent(node) for node in saved]
    assert torch.equal(latents[0], latents[1]) and torch.equal(latents[2], latents[3])


def test_a_name_that_nothing_can_honour_is_refused(run: Runner, graph: Graph, files: dict[str, str]) -> None:
    graph.save(sample(graph, graph.load(files["high"]), "DPMSolverMultistepInverse"))
    with pytest.raises(PromptError, match=r"WanDuet_ProviderScheduler .*'DPMSolverMultistepInverse' is not supported"):
        run(graph)


@pytest.mark.parametrize("name", ["flow_unipc", "flow_dpmpp"])
def test_our_solvers_are_there_for_any_plan(run: Runner, graph: Graph, files: dict[str, str], name: str) -> None:
    experts = graph.load(files["high"])
    saved = [graph.save(graph.sample(experts, graph.plan(experts, sampler=sampler))) for sampler in (name, "euler")]
    result = run(graph)
    first, euler = map(result.latent, saved)
    assert first.isfinite().all()
    assert not torch.equal(first, euler)
