"""After a run the guider says in words what it did, and what was not as planned."""

from collections.abc import Callable

import pytest
import torch
from comfy.model_patcher import ModelPatcher
from wan_duet.experts.handle import ModelHandle
from wan_duet.experts.pair import Expert, Experts
from wan_duet.tests.samplers.runs import Cond, Job, duet_guider, forwards, pair, plain, prompt

SKIPS_LOW = "9 of 20 steps run at cfg 1 and skip the negative prompt."


@pytest.fixture
def said(high: ModelPatcher, other: ModelPatcher) -> Callable[..., list[str]]:
    """Runs a job, of the plan's own sigmas unless others are given, and returns what was said about it."""

    def run(job: Job, sigmas: tuple[float, ...] | None = None) -> list[str]:
        texts: list[str] = []
        guider = duet_guider(pair(high, other), job, say=texts.append)
        guider.sample(**job.arguments | {"sigmas": torch.tensor(sigmas or job.sigmas)})
        return texts

    return run


def test_a_run_is_told_in_one_line(said: Callable[..., list[str]]) -> None:
    assert said(Job("euler")) == ["Ran 11 high + 9 low steps: 11 high + 9 low evaluations."]


def test_evaluations_are_counted_apart_from_steps(said: Callable[..., list[str]]) -> None:
    """Heun takes two evaluations a step and one for the last; the second of step 11 lies below the boundary."""
    assert said(Job("heun")) == ["Ran 11 high + 9 low steps: 21 high + 18 low evaluations."]


def test_the_given_sigmas_stay_as_they_were(high: ModelPatcher, other: ModelPatcher) -> None:
    """uni_pc writes into the sigmas it gets; the host keeps a SIGMAS output for the next run."""
    job = Job("uni_pc")
    arguments = job.arguments
    duet_guider(pair(high, other), job).sample(**arguments)
    assert tuple(arguments["sigmas"].tolist()) == job.sigmas


def test_each_run_is_counted_from_zero(high: ModelPatcher, other: ModelPatcher) -> None:
    job = Job("euler", steps=4)
    texts: list[str] = []
    guider = duet_guider(pair(high, other), job, say=texts.append)
    guider.sample(**job.arguments)
    guider.sample(**job.arguments)
    assert texts == ["Ran 3 high + 1 low steps: 3 high + 1 low evaluations."] * 2


def test_sigmas_that_are_not_the_plans_are_followed_and_told(said: Callable[..., list[str]]) -> None:
    assert said(Job("euler"), sigmas=(1.0, 0.9, 0.8, 0.4, 0.0)) == [
        "Ran 2 high + 2 low steps: 2 high + 2 low evaluations.\n"
        "The sigmas were not the plan's, which had 11 high + 9 low steps."
    ]


def test_the_experts_change_where_the_given_sigmas_say(high: ModelPatcher, other: ModelPatcher) -> None:
    sigmas = torch.tensor((1.0, 0.9, 0.8, 0.4, 0.0))
    job = Job("euler")
    with forwards(high) as by_high, forwards(other) as by_low:
        duet_guider(pair(high, other), job).sample(**job.arguments | {"sigmas": sigmas})
    assert [round(forward.timestep) for forward in by_high] == [1000, 900]
    assert [round(forward.timestep) for forward in by_low] == [800, 400]


def test_an_ignored_negative_prompt_is_told_once(said: Callable[..., list[str]]) -> None:
    (text,) = said(Job("euler", cfg=3.5, cfg_low=1.0))
    assert text.splitlines().count(SKIPS_LOW) == 1


@pytest.mark.parametrize(
    ("cfg_low", "negative"),
    [(3.5, prompt(2)), (1.0, [[torch.zeros(1, 8, 4096), {}]]), (1.0, [])],
    ids=["used", "zeroed out", "none"],
)
def test_no_negative_prompt_is_missed_where_none_is_ignored(
    cfg_low: float, negative: Cond, said: Callable[..., list[str]]
) -> None:
    (text,) = said(Job("euler", cfg=3.5, cfg_low=cfg_low, negative=negative))
    assert "negative" not in text


def test_a_single_expert_does_every_step(high: ModelPatcher) -> None:
    job = Job("dpmpp_2m")
    texts: list[str] = []
    guider = duet_guider(Experts(Expert(ModelHandle(high, "model"))), job, say=texts.append)
    assert torch.equal(guider.sample(**job.arguments), plain(high, job))
    assert guider.evaluations == {"high": 20}
    assert len(texts) == 1
