"""How sigmas are spaced: the host's spacings are the host's own, and ours leave the high expert its share."""

from itertools import pairwise

import pytest
from comfy.model_patcher import ModelPatcher
from comfy.samplers import SCHEDULER_NAMES, KSampler
from wan_duet.samplers.plan import Plan, two_phases
from wan_duet.samplers.schedules import FLOW_SPACINGS, SPACINGS, spaced_sigmas
from wan_duet.tests.samplers.runs import SHIFT, shifted

TRIMMED = sorted(KSampler.DISCARD_PENULTIMATE_SIGMA_SAMPLERS)


@pytest.mark.parametrize("steps", [4, 20, 50])
@pytest.mark.parametrize("sampler", ["euler", TRIMMED[0]])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_every_spacing_descends_to_zero(spacing: str, sampler: str, steps: int) -> None:
    sigmas = spaced_sigmas(spacing, sampler, steps, SHIFT)
    assert all(before > after for before, after in pairwise(sigmas))
    assert sigmas[-1] == 0
    assert sigmas[0] <= 1


@pytest.mark.parametrize("spacing", SPACINGS)
def test_sigmas_never_repeat_however_many_there_are(spacing: str) -> None:
    assert all(before > after for before, after in pairwise(spaced_sigmas(spacing, "euler", 1500, SHIFT)))


def test_a_spacing_without_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match=r"spacing 'kl_optimal' can't space 1 steps\. Take more steps"):
        spaced_sigmas("kl_optimal", "euler", 1, SHIFT)


@pytest.mark.parametrize("steps", [4, 20])
@pytest.mark.parametrize("sampler", ["euler", *TRIMMED])
@pytest.mark.parametrize("spacing", SCHEDULER_NAMES)
def test_the_spacings_of_the_host_are_its_own(spacing: str, sampler: str, steps: int, high: ModelPatcher) -> None:
    host = KSampler(shifted(high), steps, "cpu", sampler, spacing, denoise=1.0)
    assert spaced_sigmas(spacing, sampler, steps, SHIFT) == tuple(host.sigmas.tolist())


@pytest.mark.parametrize(("spacing", "high"), [("flow_karras", (4, 10, 19)), ("flow_exponential", (3, 7, 13))])
def test_flow_spacings_leave_the_high_expert_the_steps_diffusers_leaves_it(spacing: str, high: tuple[int, ...]) -> None:
    phases = two_phases(0.875, 1, 1)
    runs = [Plan(spaced_sigmas(spacing, "euler", steps, SHIFT), SHIFT, phases) for steps in (8, 20, 40)]
    assert tuple(plan.roles().count("high") for plan in runs) == high


@pytest.mark.parametrize("sampler", ["euler", TRIMMED[0]])
@pytest.mark.parametrize("spacing", FLOW_SPACINGS)
def test_flow_spacings_make_the_steps_asked_for(spacing: str, sampler: str) -> None:
    assert [len(spaced_sigmas(spacing, sampler, steps, SHIFT)) for steps in (4, 20)] == [5, 21]
