"""Which expert does which step: the split of every published setting, at ties, strengths and sigmas of others."""

from fractions import Fraction

import pytest
from wan_duet.samplers.plan import (
    Phase,
    Plan,
    half_split_line,
    ignored_negative_line,
    last_steps,
    split_line,
    table,
    two_phases,
)
from wan_duet.samplers.schedules import schedule_sigmas

T2V, I2V = 0.875, 0.900
STEPS = (4, 6, 8, 20, 27, 30, 40, 50)
# Steps of the high-noise expert, counted on the official grids; where those disagree on a tie, a tie is high.
HIGH_STEPS: dict[tuple[float, float], tuple[int, ...]] = {
    (T2V, 5): (2, 3, 4, 9, 12, 13, 17, 21),
    (T2V, 8): (3, 4, 5, 11, 15, 17, 22, 27),
    (T2V, 12): (3, 4, 6, 13, 18, 19, 26, 32),
    (I2V, 3): (2, 2, 3, 6, 7, 8, 11, 13),
    (I2V, 5): (2, 3, 3, 8, 10, 11, 15, 18),
    (I2V, 8): (2, 3, 4, 10, 13, 15, 19, 24),
}
DOWN = (1.0, 0.95, 0.9, 0.8, 0.0)


def planned(steps: int, boundary: float | None, shift: float, cfg_high: float = 3.5, cfg_low: float = 3.5) -> Plan:
    phases = (Phase("high", cfg_high),) if boundary is None else two_phases(boundary, cfg_high, cfg_low)
    return Plan(schedule_sigmas("simple", "euler", steps, shift), shift, phases)


def high_steps(steps: int, boundary: float, shift: float) -> int:
    return planned(steps, boundary, shift).roles().count("high")


@pytest.mark.parametrize(("boundary", "shift"), HIGH_STEPS)
def test_the_split_is_the_published_one(boundary: float, shift: float) -> None:
    assert tuple(high_steps(steps, boundary, shift) for steps in STEPS) == HIGH_STEPS[boundary, shift]


@pytest.mark.parametrize("shift", [3, 5, 8, 12])
@pytest.mark.parametrize("boundary", [T2V, I2V])
def test_the_split_is_that_of_exact_arithmetic(boundary: float, shift: int) -> None:
    exact = Fraction(str(boundary))
    last_high = exact / (shift - exact * (shift - 1))  # the boundary before the shift
    for steps in range(4, 51):
        grid = [Fraction(1000 - 1000 * step // steps, 1000) for step in range(steps)]
        assert high_steps(steps, boundary, shift) == sum(time >= last_high for time in grid), f"{steps} steps"


@pytest.mark.parametrize("steps", [20, 40])
@pytest.mark.parametrize("boundary", [T2V, I2V])
def test_a_step_on_the_boundary_is_high(boundary: float, steps: int) -> None:
    plan = planned(steps, boundary, shift=3)
    nearest = min(plan.sigmas, key=lambda sigma: abs(sigma - boundary))
    assert nearest == pytest.approx(boundary, abs=1e-7)  # float32 puts it just below
    assert plan.role(nearest) == "high"


def test_a_sigma_just_below_the_boundary_is_low() -> None:
    plan = planned(20, T2V, 8)
    assert [plan.role(sigma) for sigma in (0.875, 0.8749995, 0.87499, 0.874)] == ["high", "high", "low", "low"]


def test_a_single_expert_does_every_step() -> None:
    plan = planned(20, None, 5, cfg_high=2.0, cfg_low=9.0)
    assert plan.roles() == ["high"] * 20
    assert plan.cfg(0.01) == 2.0
    assert split_line(plan) == "20 steps on a single expert"


def test_each_expert_has_its_cfg() -> None:
    plan = planned(20, T2V, 8, cfg_high=4.0, cfg_low=3.0)
    assert (plan.cfg(0.9), plan.cfg(0.8)) == (4.0, 3.0)


@pytest.mark.parametrize(
    ("strength", "kept"), [(1.0, 20), (0.9, 18), (0.52, 10), (0.5, 10), (0.05, 1), (0.04, 1), (0.0, 0)]
)
def test_strength_keeps_the_last_steps(strength: float, kept: int) -> None:
    sigmas = planned(20, T2V, 8).sigmas
    assert last_steps(sigmas, strength) == (sigmas[20 - kept :] if kept else ())


def test_sigmas_of_others_are_split_at_the_same_boundary() -> None:
    plan = planned(20, T2V, 8)
    assert plan.roles(DOWN) == ["high", "high", "high", "low"]
    assert split_line(plan, DOWN) == "3 high + 1 low steps"


@pytest.mark.parametrize(
    ("steps", "boundary", "shift", "would"),
    [
        (20, T2V, 8, "A half split (10 + 10) would hand 1 step above the boundary to the low expert."),
        (40, T2V, 12, "A half split (20 + 20) would hand 6 steps above the boundary to the low expert."),
        (27, I2V, 5, "A half split (13 + 14) would leave 3 steps below the boundary on the high expert."),
        (4, T2V, 5, "A half split (2 + 2) would happen to be right here."),
    ],
)
def test_the_plan_says_what_a_half_split_would_get_wrong(steps: int, boundary: float, shift: float, would: str) -> None:
    assert half_split_line(planned(steps, boundary, shift)) == would


@pytest.mark.parametrize(
    ("cfg_high", "cfg_low", "boundary", "line"),
    [
        (3.5, 3.5, T2V, None),
        (3.5, 1.0, T2V, "9 of 20 steps run at cfg 1 and skip the negative prompt."),
        (1.0, 1.0, T2V, "The whole run is at cfg 1 and skips the negative prompt."),
        (1.0, 3.5, None, "The whole run is at cfg 1 and skips the negative prompt."),
    ],
)
def test_the_plan_says_how_many_steps_skip_the_negative_prompt(
    cfg_high: float, cfg_low: float, boundary: float | None, line: str | None
) -> None:
    assert ignored_negative_line(planned(20, boundary, 8, cfg_high, cfg_low)) == line


def test_an_expert_without_a_step_skips_nothing() -> None:
    assert ignored_negative_line(Plan((0.8, 0.5, 0.0), 8, two_phases(T2V, 1.0, 3.5))) is None


def test_the_table_has_a_line_for_each_step() -> None:
    rows = table(Plan(DOWN, 8, two_phases(T2V, 3.5, 1.0))).splitlines()[1:]
    assert [row.split() for row in rows] == [
        ["1", "1.0000", "high", "cfg", "3.5"],
        ["2", "0.9500", "high", "cfg", "3.5"],
        ["3", "0.9000", "high", "cfg", "3.5"],
        ["4", "0.8000", "low", "cfg", "1"],
    ]
