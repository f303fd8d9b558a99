"""Which LoRAs belong together, on names people really use; those of checkpoints are in the same pool."""

from functools import partial

import pytest
from wan_duet.experts.partner import partner_of, role_of
from wan_duet.experts.variant import HIGH, LOW

PAIRS = [
    # Checkpoints: Comfy-Org, Kijai, QuantStack, lightx2v, civitai, Wan2GP, official folders
    ("wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors", "wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors"),
    ("wan2.2_i2v_high_noise_14B_fp16.safetensors", "wan2.2_i2v_low_noise_14B_fp16.safetensors"),
    ("Wan2_2-T2V-A14B-HIGH_fp8_e5m2_scaled_KJ.safetensors", "Wan2_2-T2V-A14B-LOW_fp8_e5m2_scaled_KJ.safetensors"),
    ("Wan2_2-T2V-A14B_HIGH_fp8_e4m3fn_scaled_KJ.safetensors", "Wan2_2-T2V-A14B-LOW_fp8_e4m3fn_scaled_KJ.safetensors"),
    ("Wan2.2-I2V-A14B-HighNoise-Q5_K_M.gguf", "Wan2.2-I2V-A14B-LowNoise-Q5_K_M.gguf"),
    ("HighNoise/Wan2.2-T2V-A14B-HighNoise-Q3_K_L.gguf", "LowNoise/Wan2.2-T2V-A14B-LowNoise-Q3_K_L.gguf"),
    (
        "wan2.2_i2v_A14b_high_noise_scaled_fp8_e4m3_lightx2v_4step_1030.safetensors",
        "wan2.2_i2v_A14b_low_noise_scaled_fp8_e4m3_lightx2v_4step_1030.safetensors",
    ),
    ("DasiwaWAN22I2V14B_midnightHighV7.safetensors", "DasiwaWAN22I2V14B_midnightLowV7.safetensors"),
    ("wan2.2_text2video_14B_high_mbf16.safetensors", "wan2.2_text2video_14B_low_mbf16.safetensors"),
    ("smoothMixWan22I2VT2V_i2vV20High.safetensors", "smoothMixWan22I2VT2V_i2vV20Low.safetensors"),
    ("high_noise_model/diffusion_pytorch_model.safetensors", "low_noise_model/diffusion_pytorch_model.safetensors"),
    # LoRAs: distilled
    ("high_noise_model.safetensors", "low_noise_model.safetensors"),
    (
        "Wan2.2-Lightning_I2V-A14B-4steps-lora_HIGH_fp16.safetensors",
        "Wan2.2-Lightning_I2V-A14B-4steps-lora_LOW_fp16.safetensors",
    ),
    (
        "Wan22_A14B_T2V_HIGH_Lightning_4steps_lora_250928_rank128_fp16.safetensors",
        "Wan22_A14B_T2V_LOW_Lightning_4steps_lora_250928_rank64_fp16.safetensors",
    ),
    (
        "wan2.2_i2v_lightx2v_4steps_lora_v1_high_noise.safetensors",
        "wan2.2_i2v_lightx2v_4steps_lora_v1_low_noise.safetensors",
    ),
    ("Wan2.2-Fun-A14B-InP-high-noise-HPS2.1.safetensors", "Wan2.2-Fun-A14B-InP-low-noise-HPS2.1.safetensors"),
    # LoRAs: trainers' habits
    ("my_style_000005250_high_noise.safetensors", "my_style_000005250_low_noise.safetensors"),
    ("Wan2.2-I2V-A14B_high_noise_lora/epoch-4.safetensors", "Wan2.2-I2V-A14B_low_noise_lora/epoch-4.safetensors"),
    ("wan22\\high_noise\\orbit.safetensors", "wan22\\low_noise\\orbit.safetensors"),
    ("high/orbit.safetensors", "low/orbit.safetensors"),
    ("high/detail_slider.safetensors", "low/detail_slider.safetensors"),
    ("sepia.high_noise.safetensors", "sepia.low_noise.safetensors"),
    # LoRAs: letters and short forms
    ("Style-22-H-e8.safetensors", "Style-22-L-e8.safetensors"),
    ("style_h.safetensors", "style_l.safetensors"),
    ("CharacterH.safetensors", "CharacterL.safetensors"),
    ("portrait_HN.safetensors", "portrait_LN.safetensors"),
    ("W22_HN_Crane_v1.safetensors", "W22_LN_Crane_v1.safetensors"),
    ("wan22-hn-crane.safetensors", "wan22-ln-crane.safetensors"),
    ("CharacterH_high_noise.safetensors", "CharacterL_low_noise.safetensors"),
    # LoRAs: epochs, ranks and versions differ
    ("pan_HN-e40.safetensors", "pan_LN-e76.safetensors"),
    ("zoom-high-000016.safetensors", "zoom-low-000026.safetensors"),
    ("tilt_HIGH_e320.safetensors", "tilt_LOW_e496.safetensors"),
    ("dolly-100epoc-high-k3nk.safetensors", "dolly-154epoc-low-k3nk.safetensors"),
    ("Crane_High_v.1.0.safetensors", "Crane_Low_v1.0.safetensors"),
    ("truck_high_v1.safetensors", "truck_low_V1.safetensors"),
    ("boom_high_noise (1).safetensors", "boom_low_noise.safetensors"),
    ("Crane Shot (High Noise) v2.safetensors", "Crane Shot (Low Noise) v2.safetensors"),
    ("arc_high_rank64_bf16.safetensors", "arc_low_rank32_fp16.safetensors"),
    # LoRAs: glued
    ("V3STYLEHIGH.safetensors", "V3STYLELOW.safetensors"),
    ("MotionHighWan2_2.safetensors", "MotionLowWan2_2.safetensors"),
    ("CraneFP8HIGH.safetensors", "CraneFP8LOW.safetensors"),
    ("orbit_wan2.2high_epoch80.safetensors", "orbit_wan2.2low_epoch80.safetensors"),
    ("WANTT2VHIGHNOISEMOTION.safetensors", "WANTT2VLOWNOISEMOTION.safetensors"),
    ("HIGHV2_orbit.safetensors", "LOWV2_orbit.safetensors"),
]

NO_HALVES = [
    "LowRA.safetensors",
    "MyLowRA_v2.safetensors",
    "5XLOWCS_v2.safetensors",
    "highlight_reel.safetensors",
    "HighLight.safetensors",
    "flow.safetensors",
    "slow_motion.safetensors",
    "OVERFLOW.safetensors",
    "Overflow_v2.safetensors",
    "low_light.safetensors",
    "Low-Light photography.safetensors",
    "low_angle_shot.safetensors",
    "high-resolution.safetensors",
    "high_heels.safetensors",
    "THIGH.safetensors",
    "lightx2v_T2V_14B_cfg_step_distill_v2_lora_rank64_bf16.safetensors",
    "HLK_style.safetensors",
    "style_l2.safetensors",
    "wan2.1-t2v-14b-Q3_K_L.gguf",
    "TI2V_5B_low_light.safetensors",
    "5B_HIGH_detail.safetensors",
    "Wan2.1_T2V_1.3B_high.safetensors",
    "orbit.safetensors",
]
other_half = partial(partner_of, trained_apart=True)
POOL = [name for pair in PAIRS for name in pair] + NO_HALVES


@pytest.mark.parametrize(("high", "low"), PAIRS)
def test_either_half_of_a_real_pair_finds_the_other_among_all_names(high: str, low: str) -> None:
    assert (role_of(high), role_of(low)) == (HIGH, LOW)
    assert (other_half(high, POOL), other_half(low, POOL)) == (low, high)


@pytest.mark.parametrize("name", NO_HALVES)
def test_a_name_that_only_sounds_like_a_half_is_none(name: str) -> None:
    assert role_of(name) is None
    assert other_half(name, POOL) is None


def test_low_lightning_is_a_half_though_low_light_is_not() -> None:
    assert role_of("Wan22_LOW_Lightning.safetensors") == LOW


def test_the_plainest_word_decides() -> None:
    assert role_of("low_vram/wan_high_noise.safetensors") == HIGH
    assert role_of("low/wan_high_noise.safetensors") == HIGH
    assert role_of("high_noise_backup/wan_low_noise.safetensors") == LOW


def test_the_nearest_partner_wins_and_keeps_its_own() -> None:
    files = ["a_high_v1.pt", "a_low_v1.pt", "a_high_v2.pt", "a_low_v3.pt"]
    assert other_half("a_high_v1.pt", files) == "a_low_v1.pt"
    assert other_half("a_high_v2.pt", files[:3]) is None


def test_a_file_without_a_role_does_not_hide_the_half_of_another_epoch() -> None:
    assert other_half("style_high_e10.pt", ["style_e10.pt", "style_low_e20.pt"]) == "style_low_e20.pt"


def test_the_same_precision_is_nearer_than_another() -> None:
    files = ["a_low_e20_bf16.pt", "a_low_e20_fp16.pt"]
    assert other_half("a_high_e10_fp16.pt", files) == "a_low_e20_fp16.pt"


def test_several_partners_are_listed_not_guessed() -> None:
    with pytest.raises(ValueError, match=r"2 possible partners: a_low_e20\.pt, a_low_e30\.pt"):
        other_half("a_high_e10.pt", ["a_low_e20.pt", "a_low_e30.pt"])


@pytest.mark.parametrize(
    "other",
    ["wan2.2_i2v_low_noise.safetensors", "other/wan2.2_t2v_low_noise.safetensors", "wan2.2_t2v_low_noise.gguf"],
)
def test_halves_of_another_task_folder_or_format_are_no_partner(other: str) -> None:
    assert other_half("wan2.2_t2v_high_noise.safetensors", [other]) is None


def test_halves_of_one_checkpoint_must_be_alike() -> None:
    assert partner_of("wan_high_e10.safetensors", ["wan_low_e20.safetensors"]) is None
    assert partner_of("wan_high_fp8.safetensors", ["wan_low_fp16.safetensors"]) is None
