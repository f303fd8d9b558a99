"""Cache nodes in graphs on a real server: what leaves them is what the report says."""

import json
import re
from typing import Any

import pytest
import torch
from wan_duet.dev.client import PromptError
from wan_duet.dev.server import Server
from wan_duet.tests.nodes.graph import Graph, Result, Runner

TOTALS = re.compile(r"In all (\d+) of (\d+) evaluations, (\d+) of (\d+) block forwards")
BLOCK_CACHES = ["WanDuet_FirstBlockCache", "WanDuet_DualBlockCache"]
PLANNED = ["WanDuet_TeaCache", "WanDuet_MagCache"]
NODES = [*BLOCK_CACHES, *PLANNED, "WanDuet_SeaCache"]
OWN: dict[str, dict[str, Any]] = {
    "WanDuet_DualBlockCache": {"first_blocks": 1},
    "WanDuet_TeaCache": {"coefficients": "auto"},
    "WanDuet_MagCache": {"ratios": "auto", "retention": "none"},
}
CUSTOM: dict[str, Any] = {"acceleration": "custom", "max_consecutive": 2, "low_only": False}


def cached(
    run: Runner,
    files: dict[str, str],
    node: str | None,
    *,
    steps: int = 12,
    as_models: bool = False,
    behind: str = "",
    **settings: Any,
) -> tuple[torch.Tensor, str]:
    """The latent and the report of a run with a cache, or without one; `as_models` takes it over the MODEL wire.

    With `behind`, the same node once more at the end of that wire, at another acceleration.
    """
    graph = Graph()
    experts = graph.load(files["high"], files["low"])
    chosen = {**CUSTOM, **OWN.get(node or "", {}), **settings}
    if node:
        experts = graph.add(node, experts=experts, **chosen)
    if as_models:
        models = graph.add("WanDuet_ModelsFromExperts", experts=experts)
        experts = graph.add("WanDuet_ExpertsFromModels", models=models[2])
        if node and behind:
            experts = graph.add(node, experts=experts, **{**chosen, "acceleration": behind})
    plan = graph.plan(experts, steps=steps, cfg_high=3.5, cfg_low=3.5)
    sampler = graph.add("WanDuet_Sampler", experts=experts, plan=plan, sampler=plan[1], seed=3, **graph.inputs())
    latent, report = graph.save(sampler), graph.show(sampler[1])
    result: Result = run(graph)
    return result.latent(latent), result.text(report)


@pytest.fixture(scope="module")
def plain(server: Any, output_folder: str, files: dict[str, str]) -> torch.Tensor:
    """The run without a cache."""
    return cached(Runner(server, output_folder), files, None)[0]


@pytest.mark.parametrize("node", NODES)
def test_at_threshold_0_the_video_is_the_uncached_one(
    run: Runner, files: dict[str, str], plain: torch.Tensor, node: str
) -> None:
    latent, report = cached(run, files, node, reuse_threshold=0.0)
    assert torch.equal(latent, plain)
    assert TOTALS.search(report) and "(1.000)" in report


@pytest.mark.parametrize("node", BLOCK_CACHES)
def test_a_high_threshold_reuses_as_often_as_the_guards_allow(
    run: Runner, files: dict[str, str], plain: torch.Tensor, node: str
) -> None:
    latent, report = cached(run, files, node, reuse_threshold=1.0, warmup=1)
    assert not torch.equal(latent, plain)
    assert "high: 4 of 8 evaluations computed  #..#..##" in report
    assert "low: 2 of 4 evaluations computed  #..#" in report
    found = TOTALS.search(report)
    assert found
    computed, evaluations, blocks_run, blocks = map(int, found.groups())
    assert evaluations == 12
    assert blocks == 12 * 2 * 2  # of 2 blocks, for 2 prompts
    assert blocks_run == (evaluations + computed) * 2  # the first block always runs


@pytest.mark.parametrize("node", PLANNED)
def test_a_planned_cache_meets_its_target(run: Runner, files: dict[str, str], node: str) -> None:
    _, report = cached(run, files, node, steps=16, reuse_threshold=0.0, target_speedup=2.0, warmup=1, max_consecutive=3)
    found = TOTALS.search(report)
    assert found and found.groups() == ("8", "16", "32", "64")  # no block runs in a reused evaluation


def test_magcache_measures_ratios_and_uses_them_from_then_on(
    run: Runner, files: dict[str, str], server: Server, plain: torch.Tensor
) -> None:
    folder = server.base / "user" / "wan_duet" / "magnitudes"
    try:
        latent, report = cached(run, files, "WanDuet_MagCache", reuse_threshold=0.0, ratios="measure")
        assert torch.equal(latent, plain)
        assert "high: 8 ratios measured" in report and "low: 4 ratios measured" in report
        kept = {path: json.loads(path.read_text()) for path in sorted(folder.rglob("pair_*.json"))}
        assert {path.name: len(points) for path, points in kept.items()} == {"pair_high.json": 8, "pair_low.json": 4}
        high = next(iter(kept))
        high.write_text(json.dumps([[sigma, 1.0] for sigma, _ in kept[high]]))
        _, report = cached(run, files, "WanDuet_MagCache", reuse_threshold=1e-6, warmup=1)
        assert "high: 4 of 8 evaluations computed  #..#..##" in report  # ratios of 1: nothing ever drifts
        assert "low: 4 of 4" in report
    finally:
        for path in folder.rglob("pair_*.json"):
            path.unlink()


@pytest.mark.parametrize("node", [NODES[0], PLANNED[0]])
def test_over_the_model_wire_a_cache_still_follows_the_plan(run: Runner, files: dict[str, str], node: str) -> None:
    settings = {"reuse_threshold": 1.0, "target_speedup": 2.0}
    expected, report = cached(run, files, node, **settings)
    latent, said = cached(run, files, node, as_models=True, **settings)
    assert TOTALS.search(report) and said == report
    assert torch.equal(latent, expected)


def test_behind_the_model_wire_none_is_no_cache_either(run: Runner, files: dict[str, str], plain: torch.Tensor) -> None:
    latent, report = cached(run, files, NODES[0], as_models=True, behind="none", reuse_threshold=1.0)
    assert torch.equal(latent, plain)
    assert not TOTALS.search(report)


def test_measuring_for_another_sampler_is_refused(run: Runner, files: dict[str, str]) -> None:
    """It would not know when all was measured, and a part of it would be taken for the whole."""
    with pytest.raises(
        PromptError, match=r"ratios is 'measure', which only Wan 2\.2 Video Sampler and Wan 2\.2 Guider can do"
    ):
        cached(run, files, "WanDuet_MagCache", ratios="measure", reuse_threshold=0.0, as_models=True)


def test_acceleration_none_is_no_cache(run: Runner, files: dict[str, str], plain: torch.Tensor) -> None:
    latent, report = cached(run, files, NODES[0], acceleration="none", reuse_threshold=1.0)
    assert torch.equal(latent, plain)
    assert not TOTALS.search(report)


def test_a_short_run_is_left_alone_and_says_so(run: Runner, files: dict[str, str]) -> None:
    _, report = cached(run, files, NODES[0], steps=8, reuse_threshold=1.0)
    assert "8 of 8 evaluations" in report and "fewer than 12 steps" in report
    _, report = cached(run, files, NODES[0], steps=8, reuse_threshold=1.0, force=True)
    assert "8 of 8 evaluations" not in report


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"start_step": 3, "end_percent": 50}, "has both steps"),
        ({"start_step": 5, "end_step": 5}, "Start before the end"),
        ({"target_speedup": 0.5}, r"target_speedup is 0\.5\. Set 2 to compute half"),
        ({"end_step": 13}, "the run has 12 steps"),
    ],
)
def test_wrong_settings_are_refused_by_name(
    run: Runner, files: dict[str, str], settings: dict[str, float], said: str
) -> None:
    with pytest.raises(PromptError, match=said):
        cached(run, files, NODES[0], reuse_threshold=0.1, **settings)


def test_more_first_blocks_than_there_are_are_told_before_the_run(
    run: Runner, graph: Graph, files: dict[str, str]
) -> None:
    experts = graph.load(files["high"])
    settings = {**CUSTOM, "reuse_threshold": 0.1, "first_blocks": 2}
    with_cache = graph.add("WanDuet_DualBlockCache", experts=experts, **settings)
    graph.show(graph.plan(with_cache)[3])
    with pytest.raises(PromptError, match=r"DualBlockCache.*first_blocks is 2, but the model has 2 blocks"):
        run(graph)
