"""Two names that differ in the expert's word alone are halves, whatever the word seems to mean."""

import pytest
from wan_duet.experts.alike import nearest_names, role_beside, seeming_role
from wan_duet.experts.partner import partner_of, role_of, roles_of

PAIRS = [
    ("wan_high_lighting_v2.0.safetensors", "wan_low_lighting_v2.0.safetensors"),
    ("wan_HIGH_rank_64.safetensors", "wan_LOW_rank_64.safetensors"),
    ("STROLLHIGHV3.safetensors", "STROLLV3LOW.safetensors"),
    ("marchhighv3.safetensors", "marchlowv3.safetensors"),
    ("StRoLLHiGhV4.safetensors", "StRoLLlOwV4.safetensors"),
    ("风格_高噪_v1.safetensors", "风格_低噪_v1.safetensors"),
    ("水墨高噪声.safetensors", "水墨低噪声.safetensors"),
    ("水彩高.safetensors", "水彩低.safetensors"),
    ("pottery_hi.safetensors", "pottery_lo.safetensors"),
    ("potteryHi_v2.safetensors", "potteryLo_v2.safetensors"),
    ("wan_high_speed.safetensors", "wan_low_speed.safetensors"),
    ("wan_high_res.safetensors", "wan_low_res.safetensors"),
    ("myhighmodel.safetensors", "mylowmodel.safetensors"),
    ("clay_HN_v2.safetensors", "clay_LN_v2.safetensors"),
]
POOL = [name for pair in PAIRS for name in pair]


@pytest.mark.parametrize(("high", "low"), PAIRS)
@pytest.mark.parametrize("trained_apart", [False, True])
def test_the_halves_find_each_other_and_know_their_places(high: str, low: str, trained_apart: bool) -> None:
    assert (partner_of(high, POOL, trained_apart), partner_of(low, POOL, trained_apart)) == (low, high)
    assert roles_of(high, low) == ("high", "low")
    assert roles_of(low, high) == ("low", "high")


@pytest.mark.parametrize(("high", "low"), PAIRS)
def test_the_word_alone_tells_them_apart_and_nothing_else_has_to(high: str, low: str) -> None:
    assert (role_beside(high, low), role_beside(low, high)) == ("high", "low")


@pytest.mark.parametrize("name", ["wan_high_lighting_v2.0", "wan_high_speed", "wan_low_res", "Hi-Fi", "lo-fi_beats"])
def test_alone_a_word_that_means_something_else_is_none(name: str) -> None:
    assert role_of(f"{name}.safetensors") is None
    assert partner_of(f"{name}.safetensors", [f"{name}.safetensors", "other_low.safetensors"]) is None


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("HighLight.safetensors", "low_light.safetensors"),
        ("highlight.safetensors", "light_low.safetensors"),
        ("flow.safetensors", "fhi.safetensors"),
        ("TI2V_5B_high.safetensors", "TI2V_5B_low.gguf"),
        ("a/wan_high_res.safetensors", "b/wan_low_res.safetensors"),
        ("wan_high_res.safetensors", "wan_high_res.safetensors"),
    ],
)
def test_names_that_differ_in_more_are_not_alike(name: str, other: str) -> None:
    assert role_beside(name, other) is None


def test_two_that_are_alike_are_listed_not_guessed() -> None:
    with pytest.raises(ValueError, match="2 possible partners"):
        partner_of("strollhighv3.safetensors", ["strolllowv3.safetensors", "STROLLlowV3.safetensors"])


def test_the_nearest_names_are_three() -> None:
    files = ["cat.safetensors", "wan_low_v2.safetensors", "wan_low_v3.safetensors", "dog.pt", "wan_low.safetensors"]
    assert nearest_names("wan_high_v1.safetensors", files)[:2] == ["wan_low_v2.safetensors", "wan_low_v3.safetensors"]
    assert len(nearest_names("wan_high_v1.safetensors", files)) == 3


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("walkhighv3.safetensors", "high"),
        ("walklowv3.safetensors", "low"),
        ("slow_motion.safetensors", None),
        ("flowers.safetensors", None),
        ("thigh.safetensors", None),
        ("high_low.safetensors", None),
    ],
)
def test_a_glued_word_seems_to_name_an_expert(name: str, role: str | None) -> None:
    assert seeming_role(name) == role
