"""From a pair and a few numbers to a plan, with what looks odd said before the run."""

from typing import Any

import pytest
from comfy.model_patcher import ModelPatcher
from wan_duet.experts.handle import MissingHandle, ModelHandle
from wan_duet.experts.lora.expert_lora import ExpertLora
from wan_duet.experts.lora.schedule import parse_schedule
from wan_duet.experts.pair import Expert, Experts
from wan_duet.samplers.plan import Plan
from wan_duet.samplers.planner import make_plan, report
from wan_duet.samplers.presets import PRESETS, preset_plan
from wan_duet.samplers.solvers.names import WRONG_ON_FLOW
from wan_duet.tests.samplers.runs import pair, shifted


def absent(*names: str) -> Experts:
    """Experts that are known by name only, so that opening one would raise."""
    return Experts(*(Expert(MissingHandle(name, "not there")) for name in names))


T2V = absent("wan_t2v_high.safetensors", "wan_t2v_low.safetensors")
I2V = absent("wan_i2v_high.safetensors", "wan_i2v_low.safetensors")


def plan_of(experts: Experts, *, steps: int = 20, cfg_low: float = 3.5, **values: Any) -> Plan:
    return make_plan(experts, steps=steps, cfg_high=3.5, cfg_low=cfg_low, **values)


def said(experts: Experts, plan: Plan) -> list[str]:
    """The report, but for its table of steps."""
    return report(plan, experts).split("\n\n")[0].splitlines()


@pytest.mark.parametrize(
    ("experts", "boundary", "shift", "high"), [(T2V, 0.875, 12.0, 26), (I2V, 0.9, 5.0, 15)], ids=["T2V", "I2V"]
)
def test_the_official_40_steps_follow_from_the_model(
    experts: Experts, boundary: float, shift: float, high: int
) -> None:
    plan = plan_of(experts, steps=40)
    assert (plan.boundary, plan.shift) == (boundary, shift)
    assert plan.roles() == ["high"] * high + ["low"] * (40 - high)


def test_given_numbers_count_more_than_the_models() -> None:
    plan = plan_of(T2V, shift=3.0, boundary=0.8)
    assert (plan.boundary, plan.shift) == (0.8, 3.0)
    assert plan.sigmas != plan_of(T2V).sigmas


def test_a_shift_set_on_a_connected_model_is_the_models_own(high: ModelPatcher, other: ModelPatcher) -> None:
    assert plan_of(pair(high, other)).shift == 12.0
    assert plan_of(pair(shifted(high), shifted(other))).shift == 8.0


def test_a_single_expert_has_no_boundary(high: ModelPatcher) -> None:
    assert plan_of(Experts(Expert(ModelHandle(high, "model")))).boundary is None


def test_strength_keeps_the_last_steps_of_the_plan() -> None:
    assert plan_of(T2V, strength=0.25).sigmas == plan_of(T2V).sigmas[15:]


def test_a_usual_plan_is_told_in_two_lines() -> None:
    assert said(T2V, plan_of(T2V, shift=8.0)) == [
        "11 high + 9 low steps (boundary 0.875, shift 8, euler / simple)",
        "A half split (10 + 10) would hand 1 step above the boundary to the low expert.",
    ]


def test_the_report_ends_with_a_table_of_the_steps() -> None:
    text = report(plan_of(T2V), T2V)
    assert len(text.split("\n\n")[1].splitlines()) == 1 + 20


def test_a_strength_that_keeps_no_step_is_told() -> None:
    assert said(T2V, plan_of(T2V, strength=0.0)) == ["No step to do: at this strength the latent comes back as it is."]


def test_a_plan_that_starts_late_tells_where() -> None:
    assert said(T2V, plan_of(T2V, shift=8.0, strength=0.5))[1] == "Starts at sigma 0.8889: the last 10 of 20 steps."


@pytest.mark.parametrize(
    ("values", "warning"),
    [
        ({"boundary": 0.001}, "The low expert gets no step at all."),
        ({"cfg_low": 1.0}, "7 of 20 steps run at cfg 1 and skip the negative prompt."),
        ({"cfg_low": 0.0}, "cfg 0 is below 1, where there is no guidance: only the negative prompt counts."),
        ({"cfg_low": 0.5}, "cfg 0.5 is below 1, where there is no guidance: it leads towards the negative prompt."),
    ],
)
def test_what_looks_odd_is_told(values: dict[str, Any], warning: str) -> None:
    assert warning in said(T2V, plan_of(T2V, **values))
    assert warning not in said(T2V, plan_of(T2V))


@pytest.mark.parametrize("name", WRONG_ON_FLOW)
def test_a_solver_that_is_wrong_on_flow_is_told(name: str) -> None:
    text = report(plan_of(T2V, sampler=name), T2V)
    assert f"Sampler '{name}' is not made for flow models and spoils the video: use '{WRONG_ON_FLOW[name]}'." in text


def test_phases_beyond_the_experts_are_told() -> None:
    plan = preset_plan(PRESETS["Anti-slow-motion 3-phase"], T2V)
    assert "Opens at cfg 3.5, down to timestep 985." in said(T2V, plan)
    assert not any("Opens" in line for line in said(T2V, plan_of(T2V)))


@pytest.mark.parametrize("strength", [1.0, 0.0])
def test_a_schedule_the_plan_has_no_phases_for_is_an_error(strength: float) -> None:
    experts = T2V.with_lora(ExpertLora("style.safetensors", "high", parse_schedule("0;1;0")))
    with pytest.raises(ValueError, match=r"'0;1;0' has 3 parts .* the plan has 2 phases"):
        said(experts, plan_of(experts, strength=strength))


@pytest.mark.parametrize(("scheduler", "better"), [("karras", "flow_karras"), ("kl_optimal", "simple")])
def test_a_scheduler_that_starves_the_high_expert_is_told(scheduler: str, better: str) -> None:
    assert f"Scheduler '{scheduler}' is not made for flow models: try '{better}'." in said(
        T2V, plan_of(T2V, scheduler=scheduler)
    )


def test_a_shift_that_overrules_a_connected_models_is_told(high: ModelPatcher, other: ModelPatcher) -> None:
    experts = pair(shifted(high), shifted(other))
    warning = "The connected MODELs carry shift 8; this run uses 5 for both experts."
    assert warning in said(experts, plan_of(experts, shift=5.0))
    assert warning not in said(experts, plan_of(experts))
