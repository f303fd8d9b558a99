"""From two file names to a checked pair, or to words about what is wrong with them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from comfy.ldm.wan.model import VaceWanModel
from safetensors.torch import save_file
from wan_duet.experts import variant
from wan_duet.experts.files import load_pair, report
from wan_duet.experts.pair import Experts
from wan_duet.tests.experts.conftest import SMALL
from wan_duet.tests.experts.headers import shapes_of, write_header

Put = Callable[..., str]

I2V = {"in_dim": 36}
TI2V_5B = {"in_dim": 48, "out_dim": 48}
WAN_2_1_I2V = {"model_type": "i2v", "in_dim": 36}


def names(experts: Experts) -> list[str]:
    return [expert.handle.name for expert in experts]


@pytest.fixture
def high(put: Put) -> str:
    return put("wan_high_noise.safetensors")


@pytest.fixture
def low(put: Put) -> str:
    return put("wan_low_noise.safetensors")


def test_auto_finds_the_partner_by_name(high: str, low: str) -> None:
    experts = load_pair(high, "auto")
    assert (names(experts), experts.variant) == ([high, low], variant.T2V_A14B)


def test_naming_a_pair_opens_neither_file(high: str, low: str) -> None:
    assert [expert.handle.in_memory for expert in load_pair(high, "auto")] == [False, False]


def test_auto_finds_the_partner_in_its_sub_folder(put: Put) -> None:
    high, low = (put(os.path.join("wan", role, "model.safetensors")) for role in ("high", "low"))
    assert names(load_pair(high, "auto")) == [high, low]


def test_a_low_file_chosen_by_hand_need_not_look_like_a_partner(high: str, low: str, put: Put) -> None:
    other = put("something_else.safetensors")
    assert names(load_pair(high, other)) == [high, other]


def test_none_is_a_single_expert_even_where_a_partner_lies_beside_it(high: str, low: str) -> None:
    experts = load_pair(high, "none")
    assert (names(experts), experts.low) == ([high], None)


def test_auto_without_a_partner_says_what_to_do(high: str) -> None:
    with pytest.raises(ValueError, match=rf"no partner of {high} .* Choose the low-noise file by hand, or 'none'"):
        load_pair(high, "auto")


def test_auto_without_a_partner_names_the_nearest_files(high: str, put: Put) -> None:
    for name in ("wan_low_noise_v2.safetensors", "unlike.safetensors", "wan_lownoise_x.safetensors", "zzz.safetensors"):
        put(name)
    with pytest.raises(
        ValueError, match=r"nearest names: wan_low_noise_v2\.safetensors, wan_lownoise_x\.safetensors, \w+"
    ):
        load_pair(high, "auto")


def test_swapped_halves_change_places_whatever_else_their_names_say(put: Put) -> None:
    high, low = (put(f"wan_{role}_lighting_v2.safetensors") for role in ("high", "low"))
    for experts in (load_pair(high, "auto"), load_pair(low, "auto"), load_pair(low, high)):
        assert names(experts) == [high, low]


def test_auto_with_two_partners_asks_for_one(high: str, low: str, put: Put) -> None:
    put("wan-low-noise.safetensors")
    with pytest.raises(ValueError, match="2 possible partners"):
        load_pair(high, "auto")


@pytest.mark.parametrize("sizes", [TI2V_5B, WAN_2_1_I2V], ids=["TI2V-5B", "Wan 2.1"])
def test_a_model_without_experts_needs_no_partner(put: Put, sizes: dict[str, object]) -> None:
    experts = load_pair(put("dense.safetensors", **sizes), "auto")
    assert experts.low is None and not experts.variant.pair


FUN_CONTROL = {"in_dim": 52}
ODD = {"in_dim": 20}


def put_vace(folder: Path, name: str) -> str:
    shapes = shapes_of(VaceWanModel, dim=256, ffn_dim=512, num_heads=2, num_layers=2, vace_layers=1, vace_in_dim=96)
    write_header(folder / name, shapes)
    return name


def test_a_fun_control_half_needs_its_partner(put: Put) -> None:
    with pytest.raises(ValueError, match="no partner of fun_control_high_noise"):
        load_pair(put("fun_control_high_noise.safetensors", **FUN_CONTROL), "auto")
    experts = load_pair("fun_control_high_noise.safetensors", put("fun_control_low_noise.safetensors", **FUN_CONTROL))
    assert "Fun Control A14B pair: boundary 0.9, shift 5 by default" in report(experts)


def test_a_vace_file_named_high_is_half_of_vace_fun(folder: Path) -> None:
    high = put_vace(folder, "vace_fun_high_noise.safetensors")
    with pytest.raises(ValueError, match="no partner of vace_fun_high_noise"):
        load_pair(high, "auto")
    put_vace(folder, "vace_fun_low_noise.safetensors")
    experts = load_pair(high, "auto")
    assert experts.variant is variant.VACE_FUN_A14B
    assert "VACE-Fun A14B pair: boundary 0.875, shift 12 by default" in report(experts)
    single = load_pair(put_vace(folder, "vace_14B.safetensors"), "auto")
    assert (single.low, single.variant) == (None, variant.VACE)


def test_a_half_of_an_unknown_kind_needs_its_partner_and_its_boundary_is_assumed(put: Put) -> None:
    high = put("odd_high_noise.safetensors", **ODD)
    with pytest.raises(ValueError, match="no partner of odd_high_noise"):
        load_pair(high, "auto")
    put("odd_low_noise.safetensors", **ODD)
    assert "Wan (t2v, 20 channels) pair: boundary 0.875 (assumed: it is not known where" in report(
        load_pair(high, "auto")
    )
    assert load_pair(put("odd.safetensors", **ODD), "auto").low is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("wan2.2_fun_control_high_noise_14B.safetensors", variant.FUN_CONTROL_A14B),
        ("Wan2_2-Fun-Control-Camera-A14B-HIGH.safetensors", variant.FUN_CAMERA_A14B),
        ("wan2.2_fun_vace_high_noise_14B.safetensors", variant.VACE_FUN_A14B),
        ("wan2.2_fun_inpaint_high_noise_14B.safetensors", variant.I2V_A14B),
        ("Wan2.2-Fun-A14B-InP-high.safetensors", variant.I2V_A14B),
    ],
)
def test_a_missing_half_of_a_variant_is_taken_for_what_its_name_says(
    folder: Path, name: str, expected: variant.WanVariant
) -> None:
    assert load_pair(name, "auto").variant is expected


def test_halves_of_different_kinds_are_refused(high: str, put: Put) -> None:
    with pytest.raises(ValueError, match=r"different kinds.*high: wan_high.* is T2V A14B.*low: wan_low.* is I2V A14B"):
        load_pair(high, put("wan_low_noise.safetensors", **I2V))


@pytest.mark.parametrize("sizes", [{"num_layers": 3}, {"dim": 384, "num_heads": 3}], ids=["depth", "width"])
def test_halves_of_different_sizes_are_refused(high: str, put: Put, sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"different sizes.*2 blocks of 256.*(3 blocks of 256|2 blocks of 384)"):
        load_pair(high, put("wan_low_noise.safetensors", **sizes))


def test_one_file_in_both_places_is_refused_unless_allowed(high: str) -> None:
    with pytest.raises(ValueError, match=f"high and low are the same file .{high}.*allow_same_file"):
        load_pair(high, high)
    assert names(load_pair(high, high, allow_same_file=True)) == [high, high]


def test_a_link_to_the_same_file_is_the_same_file(high: str, folder: Path) -> None:
    try:
        (folder / "wan_low_noise.safetensors").symlink_to(folder / high)
    except OSError:
        pytest.skip("no symbolic links here")
    with pytest.raises(ValueError, match="the same file"):
        load_pair(high, "auto")


def test_a_truncated_low_file_is_refused_before_a_weight_is_read(high: str, low: str, folder: Path) -> None:
    os.truncate(folder / low, os.path.getsize(folder / low) - 1)
    with pytest.raises(ValueError, match=f"{low} is truncated"):
        load_pair(high, "auto")


def test_missing_files_are_carried_along_and_raise_when_opened(high: str) -> None:
    for experts in (load_pair("gone.safetensors", "none"), load_pair("gone_high.safetensors", "gone_low.safetensors")):
        for expert in experts:
            assert "is not in models/diffusion_models" in report(experts)
            with pytest.raises(FileNotFoundError, match=r"gone\w*\.safetensors is not in models/diffusion_models"):
                expert.open()


def test_a_missing_high_file_still_finds_its_partner_and_takes_its_kind(put: Put) -> None:
    low = put("wan_low_noise.safetensors", **I2V)
    experts = load_pair("wan_high_noise.safetensors", "auto")
    assert (names(experts), experts.variant) == (["wan_high_noise.safetensors", low], variant.I2V_A14B)


@pytest.mark.parametrize(("task", "expected"), [("i2v", variant.I2V_A14B), ("t2v", variant.T2V_A14B)])
def test_a_missing_pair_is_taken_for_what_its_name_says(folder: Path, task: str, expected: variant.WanVariant) -> None:
    experts = load_pair(f"wan2.2_{task}_high_noise.safetensors", "auto")
    assert experts.variant is expected
    with pytest.raises(FileNotFoundError, match=r"no partner of wan2\.2"):
        experts["low"].open()


def test_a_missing_file_in_both_places_is_one_file_in_both_places(folder: Path) -> None:
    with pytest.raises(ValueError, match="the same file"):
        load_pair("gone.safetensors", "gone.safetensors")


def test_a_gguf_file_is_sent_to_its_own_loader(high: str) -> None:
    experts = load_pair(high, "Wan2.2-LowNoise-Q4_K_M.GGUF")
    with pytest.raises(FileNotFoundError, match=r"GGUF loader .* Experts From Models"):
        experts["low"].open()
    assert "GGUF loader" in report(experts)


def test_the_report_names_each_file_what_it_is_and_the_defaults(high: str, low: str, folder: Path) -> None:
    size = f"{os.path.getsize(folder / high) / 1e6:.1f} MB"
    assert report(load_pair(high, "auto")).splitlines() == [
        f"high: wan_high_noise.safetensors: T2V A14B, 2 blocks of 256, {size}, bf16",
        f"low: wan_low_noise.safetensors: T2V A14B, 2 blocks of 256, {size}, bf16",
        "T2V A14B pair: boundary 0.875, shift 12 by default",
    ]


def test_the_report_says_that_the_halves_are_stored_differently(high: str, folder: Path) -> None:
    shapes = shapes_of(**SMALL)
    save_file(
        {name: torch.zeros(shape, dtype=torch.float16) for name, shape in shapes.items()}, folder / "low.safetensors"
    )
    text = report(load_pair(high, "low.safetensors"))
    assert "  the halves differ: high is bf16, low is fp16" in text.splitlines()


@pytest.mark.parametrize("second", ["auto", "wan_high_noise.safetensors"])
def test_the_report_says_that_swapped_halves_changed_places(high: str, low: str, second: str) -> None:
    lines = report(load_pair(low, second), low).splitlines()
    assert lines[0] == f"changed places: {low} says low, and {high} says high"
    assert lines[1].startswith(f"high: {high}")
    assert "changed places" not in report(load_pair(high, "auto"), high)


@pytest.mark.parametrize(
    ("first", "second", "doubt"),
    [
        ("wan_low_noise", "b", "says low, but it is in the high"),
        ("b", "wan_high_noise", "says high, but it is in the low"),
    ],
)
def test_the_report_doubts_a_single_name_that_looks_swapped(
    high: str, low: str, put: Put, first: str, second: str, doubt: str
) -> None:
    put("b.safetensors")
    assert f"look again: this name {doubt}" in report(load_pair(f"{first}.safetensors", f"{second}.safetensors"))


def test_the_report_of_a_single_expert_says_that_it_does_every_step(put: Put) -> None:
    text = report(load_pair(put("dense.safetensors", **TI2V_5B), "auto"))
    assert text.splitlines()[-1] == "single expert (TI2V-5B): it does every step; shift 5 by default"
