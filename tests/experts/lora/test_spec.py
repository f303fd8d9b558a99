"""What a row means: which file goes to which expert, how strong."""

from dataclasses import replace

import pytest
from wan_duet.experts.lora.files import claimed_role, files_of
from wan_duet.experts.lora.spec import SAME, LoraSpec

FILES = ["a_high_noise.safetensors", "a_low_noise.safetensors", "b.safetensors", "c_high.safetensors"]


@pytest.mark.parametrize("half", FILES[:2])
def test_either_half_brings_the_other_along(half: str) -> None:
    assert files_of(LoraSpec(half), FILES) == {"high": FILES[0], "low": FILES[1]}


@pytest.mark.parametrize("single", ["b.safetensors", "c_high.safetensors"])
def test_a_file_without_a_partner_goes_to_both(single: str) -> None:
    assert files_of(LoraSpec(single), FILES) == {"high": single, "low": single}


def test_low_file_same_puts_one_file_on_both() -> None:
    assert files_of(LoraSpec(FILES[0], low_file=SAME), FILES) == {"high": FILES[0], "low": FILES[0]}


def test_a_named_low_file_is_taken_as_it_is() -> None:
    row = LoraSpec("b.safetensors", low_file="c_high.safetensors")
    assert files_of(row, FILES) == {"high": "b.safetensors", "low": "c_high.safetensors"}


@pytest.mark.parametrize("named", FILES[:2])
@pytest.mark.parametrize(("role", "half"), [("high", FILES[0]), ("low", FILES[1])])
def test_a_row_for_one_expert_takes_its_half_of_a_pair(named: str, role: str, half: str) -> None:
    assert files_of(LoraSpec(named, expert=role), FILES) == {role: half}
    assert files_of(LoraSpec(named, expert=role, low_file=SAME), FILES) == {role: named}


@pytest.mark.parametrize("role", ["high", "low"])
def test_a_single_file_goes_to_the_expert_that_is_chosen(role: str) -> None:
    assert files_of(LoraSpec("b.safetensors", expert=role), FILES) == {role: "b.safetensors"}


def test_a_half_is_not_put_on_the_other_expert_unless_that_is_asked_for() -> None:
    row = LoraSpec("c_high.safetensors", expert="low")
    with pytest.raises(ValueError, match=r"expert is 'low', but c_high\.safetensors is the high half .* low_file"):
        files_of(row, FILES)
    assert files_of(replace(row, low_file=SAME), FILES) == {"low": "c_high.safetensors"}


def test_a_half_on_its_own_expert_asks_for_no_partner() -> None:
    twice = [*FILES, "A_low_noise.safetensors"]
    assert files_of(LoraSpec(FILES[0], expert="high"), twice) == {"high": FILES[0]}
    with pytest.raises(ValueError, match="2 possible partners"):
        files_of(LoraSpec(FILES[0], expert="low"), twice)


def test_strength_is_multiplied_by_the_schedule() -> None:
    row = LoraSpec("b", strength=0.5, schedule="0.8;2")
    assert (row.strength_on("high").constant, row.strength_on("low").constant) == (0.4, 1.0)


def test_strength_is_zero_where_the_row_is_not_meant() -> None:
    assert LoraSpec("b", expert="high").strength_on("low").constant == 0
    assert LoraSpec("b", strength=0, schedule="1,2").strength_on("high").constant == 0


def test_an_expert_whose_stage_changes_keeps_the_whole_schedule() -> None:
    row = LoraSpec("b.safetensors", strength=0.5, schedule="0.9,0.8;1")
    assert row.strength_on("low").constant == 0.5
    assert row.strength_on("high").constant is None
    assert str(row.strength_on("high")) == "0.45,0.4;0.5"


def test_the_product_of_strength_and_schedule_is_what_has_a_limit() -> None:
    assert LoraSpec("b", strength=0.5, schedule="30").strength_on("high").constant == 15
    assert LoraSpec("b", strength=-20).strength_on("low").constant == -20


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"strength": 20.5}, "strength 20.5 is outside -20 to 20"),
        ({"strength": float("nan")}, "strength nan is outside -20 to 20"),
        ({"strength": 5.0, "schedule": "1;5"}, "strength 5 times schedule '1;5' is 25, outside -20 to 20"),
        ({"expert": "middle"}, "'middle' is none of both, high, low"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused(fields: dict, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        LoraSpec("b", **fields)


@pytest.mark.parametrize(
    ("name", "metadata", "role"),
    [
        ("a_low.safetensors", {"modelspec.timestep_range": "875,1000"}, "high"),
        ("a.safetensors", {"modelspec.timestep_range": "0,875"}, "low"),
        ("a.safetensors", {"modelspec.timestep_range": "0,1000"}, None),
        ("a.safetensors", {"modelspec.timestep_range": "all"}, None),
        ("a_low.safetensors", {"ss_output_name": "a_high"}, "low"),
        ("renamed.safetensors", {"ss_output_name": "a_high"}, "high"),
    ],
)
def test_the_timestep_range_says_more_than_the_name(name: str, metadata: dict[str, str], role: str | None) -> None:
    assert claimed_role(name, metadata) == role
