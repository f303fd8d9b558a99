"""How sigmas are spaced: the host's schedulers are the host's own, and ours leave the high expert its share."""

from itertools import pairwise

import pytest
from comfy.model_patcher import ModelPatcher
from comfy.samplers import SCHEDULER_NAMES, KSampler
from wan_duet.samplers.plan import Plan, two_phases
from wan_duet.samplers.schedules import FLOW_SCHEDULERS, SCHEDULERS, schedule_sigmas
from wan_duet.tests.samplers.runs import SHIFT, shifted

TRIMMED = sorted(KSampler.DISCARD_PENULTIMATE_SIGMA_SAMPLERS)


@pytest.mark.parametrize("steps", [4, 20, 50])
@pytest.mark.parametrize("sampler", ["euler", TRIMMED[0]])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_every_scheduler_descends_to_zero(scheduler: str, sampler: str, steps: int) -> None:
    sigmas = schedule_sigmas(scheduler, sampler, steps, SHIFT)
    assert all(before > after for before, after in pairwise(sigmas))
    assert sigmas[-1] == 0
    assert sigmas[0] <= 1


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_sigmas_never_repeat_however_many_there_are(scheduler: str) -> None:
    assert all(before > after for before, after in pairwise(schedule_sigmas(scheduler, "euler", 1500, SHIFT)))


def test_a_scheduler_without_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match=r"scheduler 'kl_optimal' can't space 1 steps\. Take more steps"):
        schedule_sigmas("kl_optimal", "euler", 1, SHIFT)


@pytest.mark.parametrize("steps", [4, 20])
@pytest.mark.parametrize("sampler", ["euler", *TRIMMED])
@pytest.mark.parametrize("scheduler", SCHEDULER_NAMES)
def test_the_schedulers_of_the_host_are_its_own(scheduler: str, sampler: str, steps: int, high: ModelPatcher) -> None:
    host = KSampler(shifted(high), steps, "cpu", sampler, scheduler, denoise=1.0)
    assert schedule_sigmas(scheduler, sampler, steps, SHIFT) == tuple(host.sigmas.tolist())


@pytest.mark.parametrize(("scheduler", "high"), [("flow_karras", (4, 10, 19)), ("flow_exponential", (3, 7, 13))])
def test_flow_schedulers_leave_the_high_expert_the_steps_of_diffusers(scheduler: str, high: tuple[int, ...]) -> None:
    phases = two_phases(0.875, 1, 1)
    runs = [Plan(schedule_sigmas(scheduler, "euler", steps, SHIFT), SHIFT, phases) for steps in (8, 20, 40)]
    assert tuple(plan.roles().count("high") for plan in runs) == high


@pytest.mark.parametrize("sampler", ["euler", TRIMMED[0]])
@pytest.mark.parametrize("scheduler", FLOW_SCHEDULERS)
def test_flow_schedulers_make_the_steps_asked_for(scheduler: str, sampler: str) -> None:
    assert [len(schedule_sigmas(scheduler, sampler, steps, SHIFT)) for steps in (4, 20)] == [5, 21]
