"""Two experts with equal weights give bit for bit what the host's own run on one model gives, with every sampler."""

import comfy.samplers
import pytest
from comfy.model_patcher import ModelPatcher
from wan_duet.tests.samplers.runs import Job, assert_same_run


@pytest.mark.parametrize("sampler", comfy.samplers.SAMPLER_NAMES)
def test_equal_experts_make_the_run_of_one_model(sampler: str, high: ModelPatcher, twin: ModelPatcher) -> None:
    assert_same_run(high, twin, Job(sampler))
