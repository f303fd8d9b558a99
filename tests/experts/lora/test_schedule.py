"""The schedule text: Wan2GP's multipliers."""

import pytest
from wan_duet.experts.lora.schedule import parse_schedule
from wan_duet.experts.lora.spec import LoraSpec

STEPS = [0] * 4 + [1] * 6  # the part of each
RUN = [0] * 10


@pytest.mark.parametrize("text", ["", "  ", "1"])
def test_no_text_is_one_throughout(text: str) -> None:
    assert parse_schedule(text).steps(RUN) == [1.0] * 10


def test_stages_are_separated_by_semicolons() -> None:
    assert parse_schedule("0.9 ; -1").steps(STEPS) == [0.9] * 4 + [-1.0] * 6
    assert parse_schedule("0;1;0").steps([0, 1, 1, 2]) == [0, 1, 1, 0]


def test_values_are_spread_evenly_over_their_stage() -> None:
    assert parse_schedule("0.9,0.8;3,2,1").steps(STEPS) == [0.9, 0.9, 0.8, 0.8, 3, 3, 2, 2, 1, 1]


def test_without_a_semicolon_values_are_spread_over_the_whole_run() -> None:
    assert parse_schedule("1,0.5").steps(RUN) == [1.0] * 5 + [0.5] * 5
    assert parse_schedule("1,2,3").steps([0] * 30) == [1.0] * 10 + [2.0] * 10 + [3.0] * 10


def test_more_values_than_steps_leave_some_out() -> None:
    assert parse_schedule("1,2,3,4;0").steps([0, 0, 1]) == [1.0, 3.0, 0.0]


def test_a_stage_that_comes_back_goes_on_where_it_was() -> None:
    assert parse_schedule("1,2;0").steps([0, 1, 0]) == [1.0, 0.0, 2.0]


@pytest.mark.parametrize(
    ("text", "high", "low"),
    [("0.5", 0.5, 0.5), ("0.9,0.9;1", 0.9, 1), (";1", 0, 1), ("1;", 1, 0), ("1;1;1", 1, 1), ("0.9,0.8;1", None, 1)],
)
def test_an_expert_whose_stage_has_one_value_needs_no_more(text: str, high: float | None, low: float) -> None:
    schedule = parse_schedule(text)
    assert (schedule.on("high").constant, schedule.on("low").constant) == (high, low)


@pytest.mark.parametrize("text", ["1,0.5", "0;1;0", "0;1;1"])
def test_before_there_is_a_plan_nobody_knows_whose_phase_it_is(text: str) -> None:
    schedule = parse_schedule(text)
    assert schedule.on("high") == schedule.on("low") == schedule
    assert str(schedule) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("0.9 1", "'0.9 1' is not a number"),
        ("1,,2", "'' is not a number"),
        ("high;low", "'high' is not a number"),
        ("21;1", "strength 1 times schedule '21;1' is 21, outside -20 to 20"),
        ("0.5,-20.5;1", "is 20.5, outside -20 to 20"),
        ("nan", "'nan' is not a number"),
        ("1;inf", "'inf' is not a number"),
    ],
)
def test_a_text_that_cannot_be_read_names_itself_and_the_row(text: str, problem: str) -> None:
    with pytest.raises(ValueError) as error:
        LoraSpec("style.safetensors", schedule=text)
    assert "LoRA style.safetensors" in str(error.value)
    assert f"schedule '{text}'" in str(error.value)
    assert problem in str(error.value)
