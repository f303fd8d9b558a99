"""Whatever a graph asks of a run, two experts with equal weights do it bit for bit as the host does on one model."""

from typing import Any

import pytest
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor
from wan_duet.tests.samplers.runs import SIZE, SOLVERS, Job, assert_same_run, hooked, plain, prompt, random


def video(*, batch: int = 1) -> Tensor:
    return random(batch, *SIZE[1:], seed=3)


def kept_left() -> Tensor:
    """A noise mask that keeps the left half of the latent."""
    mask = torch.ones(1, 1, 8, 8)
    mask[..., :4] = 0
    return mask


# Prompts for parts of the run: a percent is a sigma that depends on the shift; 53 is the boundary at shift 8.
RANGES = [*prompt(1, end_percent=0.4), *prompt(4, start_percent=0.6), *prompt(5)]
JOBS: dict[str, dict[str, Any]] = {
    "4 steps": {"steps": 4},
    "8 steps": {"steps": 8},
    "cfg 1": {"cfg": 1.0},
    "strength .5": {"strength": 0.5, "latent": video()},
    "strength .9": {"strength": 0.9, "latent": video()},
    "low expert only": {"strength": 0.4, "latent": video()},
    "noise mask": {"latent": video(), "mask": kept_left()},
    "batch of 2": {"latent": video(batch=2)},
    "prompts of different length": {"negative": prompt(2, tokens=13)},
    "ranges": {"positive": RANGES},
    "ranges at another shift": {"positive": RANGES, "shift": 5.0},
    "areas": {"positive": [*prompt(1), *prompt(4, area=(8, 4, 0, 4), strength=2.0)]},
    "hooks": {"positive": hooked()},
    "scheduled hooks": {"positive": hooked((0.0, 1.0), (0.2, 0.2), (0.4, 0.9), (0.54, 0.4))},
}


@pytest.mark.parametrize("sampler", SOLVERS)
@pytest.mark.parametrize("job", JOBS)
def test_equal_experts_do_a_job_as_one_model_does(
    job: str, sampler: str, high: ModelPatcher, twin: ModelPatcher
) -> None:
    assert_same_run(high, twin, Job(sampler, **JOBS[job]))


@pytest.mark.parametrize("job", JOBS)
def test_each_of_these_jobs_makes_a_video_of_its_own(job: str, high: ModelPatcher) -> None:
    usual = plain(high, Job())
    assert not torch.equal(plain(high, Job(**JOBS[job])), usual)
