"""What a strength costs and where it starts: the tables of both meanings, and when the high expert is not needed."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wan_duet.experts.handle import MissingHandle
from wan_duet.experts.pair import Expert, Experts
from wan_duet.samplers.plan import Plan, steps_at
from wan_duet.samplers.planner import ALL_STEPS, LAST_STEPS, STRENGTH_MODES, make_plan, report

T2V = Experts(*(Expert(MissingHandle(f"wan_t2v_{role}.safetensors", "not there")) for role in ("high", "low")))


class Row(NamedTuple):
    """Steps, shift and strength; then steps that run, the first sigma, and how many are high."""

    steps: int
    shift: float
    strength: float
    ran: int
    first: float
    high: int


# diffusers: int(steps * strength) of the full grid
LAST = [
    Row(4, 5, 0.25, 1, 0.625, 0),
    Row(4, 5, 0.5, 2, 0.833, 0),
    Row(4, 5, 0.8, 3, 0.938, 1),
    Row(8, 5, 0.5, 4, 0.833, 0),
    Row(8, 5, 0.7, 5, 0.893, 1),
    Row(8, 5, 0.8, 6, 0.938, 2),
    Row(8, 5, 0.9, 7, 0.972, 3),
    Row(20, 8, 0.3, 6, 0.774, 0),
    Row(20, 8, 0.5, 10, 0.889, 1),
    Row(20, 8, 0.7, 14, 0.949, 5),
    Row(20, 8, 0.9, 18, 0.986, 9),
    Row(27, 5, 0.1, 2, 0.288, 0),
    Row(27, 5, 0.3, 8, 0.679, 0),
    Row(27, 5, 0.5, 13, 0.823, 0),
    Row(27, 5, 0.7, 18, 0.909, 3),
    Row(27, 5, 0.8, 21, 0.946, 6),
    Row(27, 5, 0.9, 24, 0.976, 9),
    Row(27, 5, 0.95, 25, 0.984, 10),
    Row(27, 5, 1.0, 27, 1.0, 12),
    Row(40, 12, 0.25, 10, 0.800, 0),
    Row(40, 12, 0.5, 20, 0.923, 6),
    Row(40, 12, 0.7, 28, 0.966, 14),
    Row(40, 12, 0.9, 36, 0.991, 22),
    Row(27, 2, 0.5, 13, 0.650, 0),
    Row(27, 2, 0.8, 21, 0.875, 1),
    Row(27, 2, 0.9, 24, 0.941, 4),
    Row(27, 2, 1.0, 27, 1.0, 7),
]
# ComfyUI's denoise: all steps, of a grid of int(steps / strength)
ALL = [
    Row(4, 5, 0.1, 4, 0.357, 0),
    Row(4, 5, 0.25, 4, 0.625, 0),
    Row(4, 5, 0.3, 4, 0.690, 0),
    Row(4, 5, 0.5, 4, 0.833, 0),
    Row(4, 5, 0.7, 4, 0.952, 2),
    Row(4, 5, 0.9, 4, 1.0, 2),
    Row(8, 5, 0.7, 8, 0.930, 2),
    Row(8, 5, 0.8, 8, 0.952, 3),
    Row(8, 5, 0.9, 8, 1.0, 4),
    Row(20, 8, 0.3, 20, 0.777, 0),
    Row(20, 8, 0.5, 20, 0.889, 2),
    Row(20, 8, 0.7, 20, 0.953, 7),
    Row(27, 5, 0.3, 27, 0.682, 0),
    Row(27, 5, 0.9, 27, 0.978, 10),
    Row(40, 12, 0.9, 40, 0.992, 24),
    Row(27, 2, 0.5, 27, 0.667, 0),
    Row(27, 2, 0.9, 27, 0.947, 4),
]


shifts, modes = st.sampled_from([1.0, 3.0, 5.0, 8.0, 12.0]), st.sampled_from(STRENGTH_MODES)


def planned(steps: int, shift: float, strength: float, mode: str) -> Plan:
    return make_plan(T2V, steps=steps, cfg_high=3.5, cfg_low=3.5, shift=shift, strength=strength, strength_mode=mode)


@pytest.mark.parametrize(("mode", "row"), [*((LAST_STEPS, row) for row in LAST), *((ALL_STEPS, row) for row in ALL)])
def test_a_strength_runs_the_published_steps(mode: str, row: Row) -> None:
    plan = planned(row.steps, row.shift, row.strength, mode)
    assert len(plan.steps()) == row.ran
    assert plan.sigmas[0] == pytest.approx(row.first, abs=1e-3)
    assert plan.roles().count("high") == row.high


@pytest.mark.parametrize(("steps", "strength"), [(50, 0.58), (90, 0.7), (100, 0.29), (100, 0.57), (100, 0.58)])
def test_a_product_that_floats_miss_by_a_bit_is_whole(steps: int, strength: float) -> None:
    assert int(steps * strength) != round(steps * strength)
    assert steps_at(steps, strength) == round(steps * strength)


@given(st.integers(1, 100), st.floats(0, 1), shifts, modes)
def test_any_strength_ends_at_the_full_plans_end_and_more_strength_is_never_fewer_steps(
    steps: int, strength: float, shift: float, mode: str
) -> None:
    if strength and steps / strength > 10_000:
        return
    plan = planned(steps, shift, strength, mode)
    ran = len(plan.steps())
    assert (ran == 0) == (strength == 0) and ran <= steps
    assert plan.sigmas == () or plan.sigmas[-1] == 0
    if mode == LAST_STEPS:
        full = planned(steps, shift, 1.0, mode).sigmas
        assert plan.sigmas == (full[len(full) - 1 - ran :] if ran else ())
        assert steps * strength - 1 < ran <= max(steps * strength + 1e-6, 1)
    text = report(plan, T2V)
    assert ("less than one step" in text) == (0 < steps * strength < 1 and ran == 1)


@pytest.mark.parametrize("mode", STRENGTH_MODES)
def test_full_strength_is_the_plain_plan(mode: str) -> None:
    assert planned(20, 8.0, 1.0, mode) == make_plan(T2V, steps=20, cfg_high=3.5, cfg_low=3.5, shift=8.0)


@pytest.mark.parametrize("shift", [1.0, 2.0, 3.0, 5.0, 8.0, 12.0])
def test_up_to_the_boundary_before_the_shift_only_the_low_expert_has_steps(shift: float) -> None:
    last = 0.875 / (shift - 0.875 * (shift - 1))
    for strength in (last - 0.02, last + 0.03):
        for steps in (100, 1000):
            roles = planned(steps, shift, strength, LAST_STEPS).roles()
            assert ("high" in roles) == (strength > last)


def lines(steps: int, shift: float, strength: float, mode: str) -> list[str]:
    plan = planned(steps, shift, strength, mode)
    text = report(plan, T2V)
    return text.split("\n\n")[0].splitlines()[1:]


def test_the_report_says_what_a_strength_comes_to() -> None:
    idle = "The high expert has no step: its file is not opened."
    assert lines(20, 8.0, 0.5, LAST_STEPS) == ["Starts at sigma 0.8889: the last 10 of 20 steps."]
    assert lines(20, 8.0, 0.3, LAST_STEPS) == ["Starts at sigma 0.7742: the last 6 of 20 steps.", idle]
    assert lines(20, 8.0, 0.3, ALL_STEPS) == ["Starts at sigma 0.7775: all 20 steps.", idle]
    assert lines(4, 5.0, 0.1, LAST_STEPS) == [
        "Starts at sigma 0.6250: the last 1 of 4 steps.",
        "Strength 0.1 of 4 steps is less than one step: one runs.",
        idle,
    ]
    assert lines(8, 5.0, 0.9, ALL_STEPS) == [
        "Starts at sigma 1.0000: all 8 steps.",
        "That is pure noise: at strength 0.9 nothing is left of the source.",
    ]
