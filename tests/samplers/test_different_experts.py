"""Two experts that differ: each answers for its own side of the boundary, at its own cfg."""

from collections.abc import Callable
from typing import Any

import comfy.model_management
import comfy.samplers
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from comfy_extras.nodes_easycache import EasyCacheNode
from torch import Tensor
from wan_duet.samplers.guider import DuetGuider
from wan_duet.samplers.plan import Phase, Plan
from wan_duet.tests.samplers.runs import (
    BOUNDARY,
    SOLVERS,
    Cond,
    Job,
    duet,
    duet_guider,
    forwards,
    pair,
    plain,
    prompt,
    relative_difference,
    shifted,
    two_passes,
)


def one_model_of(high: ModelPatcher, low: ModelPatcher, boundary: float = BOUNDARY) -> ModelPatcher:
    """A plain MODEL that answers with the weights of `low` below the boundary: what any sampler should see."""
    comfy.model_management.load_models_gpu([low])

    def answer(apply: Any, call: dict[str, Any]) -> Tensor:
        below = call["timestep"].max() < boundary
        return (low.model.apply_model if below else apply)(call["input"], call["timestep"], **call["c"])

    both = high.clone()
    both.set_model_unet_function_wrapper(answer)
    return both


@pytest.mark.parametrize("sampler", SOLVERS)
def test_every_solver_sees_the_expert_of_each_sigma(sampler: str, high: ModelPatcher, other: ModelPatcher) -> None:
    job = Job(sampler)
    expected = plain(one_model_of(high, other), job)
    found = duet(pair(high, other), job)
    assert torch.equal(found, expected)
    assert not torch.equal(found, plain(high, job))


def test_euler_is_as_two_passes(high: ModelPatcher, other: ModelPatcher) -> None:
    job = Job("euler")
    assert relative_difference(duet(pair(high, other), job), two_passes(high, other, job)) < 1e-6


def test_a_solver_with_history_is_not_as_two_passes(high: ModelPatcher, other: ModelPatcher) -> None:
    job = Job("dpmpp_2m")
    assert relative_difference(duet(pair(high, other), job), two_passes(high, other, job)) > 1e-3


def test_each_expert_has_its_cfg(high: ModelPatcher, other: ModelPatcher) -> None:
    job = Job("euler", cfg=3.5, cfg_low=1.0)
    assert relative_difference(duet(pair(high, other), job), two_passes(high, other, job)) < 1e-6


# At shift 8, 11 of 20 steps are at or above .875.
@pytest.mark.parametrize(
    ("cfg_high", "cfg_low", "rows_high", "rows_low"),
    [(3.5, 3.5, 2 * 11, 2 * 9), (3.5, 1.0, 2 * 11, 9), (1.0, 3.5, 11, 2 * 9), (1.0, 1.0, 11, 9)],
)
@pytest.mark.parametrize(
    "negative", [prompt(2), prompt(2, tokens=13)], ids=["with the prompt", "in a forward of its own"]
)
def test_an_expert_at_cfg_1_runs_no_unconditional_forward(
    negative: Cond,
    cfg_high: float,
    cfg_low: float,
    rows_high: int,
    rows_low: int,
    high: ModelPatcher,
    other: ModelPatcher,
) -> None:
    job = Job("euler", cfg=cfg_high, cfg_low=cfg_low, negative=negative)
    guider = duet_guider(pair(high, other), job)
    with forwards(high) as by_high, forwards(other) as by_low:
        guider.sample(**job.arguments)
    assert sum(forward.rows for forward in by_high) == rows_high
    assert sum(forward.rows for forward in by_low) == rows_low
    assert guider.evaluations == {"high": 11, "low": 9}


class CfgBySigma(comfy.samplers.CFGGuider):
    """The host's guider, with a cfg that follows the sigma."""

    cfg_at: Callable[[float], float]

    def predict_noise(self, x: Tensor, timestep: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        self.set_cfg(self.cfg_at(timestep.max().item()))
        return super().predict_noise(x, timestep, *args, **kwargs)


@pytest.mark.parametrize("sampler", SOLVERS)
def test_a_phase_has_its_own_cfg_on_its_own_expert(sampler: str, high: ModelPatcher, other: ModelPatcher) -> None:
    """The thresholds of the anti-slow-motion recipe: 985 within the high stage, 800 between the experts."""
    job = Job(sampler, steps=8, shift=5.0)
    phases = (Phase("high", 3.5, 0.985), Phase("high", 1.0, 0.8), Phase("low", 2.0))
    alone = CfgBySigma(shifted(one_model_of(high, other, boundary=0.8), job.shift))
    alone.cfg_at = lambda sigma: 3.5 if sigma >= 0.985 else 1.0 if sigma >= 0.8 else 2.0
    alone.set_conds(job.positive, job.negative)
    guider = DuetGuider(pair(high, other), Plan(job.sigmas, job.shift, phases))
    guider.set_conds(job.positive, job.negative)
    expected = alone.sample(**job.arguments)
    with forwards(high) as by_high, forwards(other) as by_low:
        assert torch.equal(guider.sample(**job.arguments), expected)
    if sampler == "euler":
        assert [forward.rows for forward in by_high] == [2, 1, 1, 1, 1]
        assert [forward.rows for forward in by_low] == [2, 2, 2]


def test_sigmas_that_rise_again_go_back_to_the_high_expert(high: ModelPatcher, other: ModelPatcher) -> None:
    job = Job("euler", given=(0.8, 0.6, 0.95, 0.9, 0.5, 0.92, 0.3, 0.0))
    expected = plain(one_model_of(high, other), job)
    with forwards(high) as by_high, forwards(other) as by_low:
        found = duet(pair(high, other), job)
    assert torch.equal(found, expected)
    assert [round(forward.timestep) for forward in by_high] == [950, 900, 920]
    assert [round(forward.timestep) for forward in by_low] == [800, 600, 500, 300]


def test_a_step_cache_works_within_each_stage(high: ModelPatcher, other: ModelPatcher) -> None:
    """EasyCache keeps its state per MODEL, so a cached run is two cached passes, with the same forwards skipped."""
    settings = {"reuse_threshold": 0.5, "start_percent": 0.0, "end_percent": 1.0, "verbose": False}
    first, second = (EasyCacheNode.execute(model, **settings).args[0] for model in (high, other))
    job = Job("euler")
    with forwards(high) as apart_high, forwards(other) as apart_low:
        expected = two_passes(first, second, job)
    with forwards(high) as by_high, forwards(other) as by_low:
        found = duet(pair(first, second), job)
    assert (len(by_high), len(by_low)) == (len(apart_high), len(apart_low))
    assert len(by_high) < 11
    assert len(by_low) < 9
    assert relative_difference(found, expected) < 1e-6
