"""Which names are the two halves of one model."""

import pytest
from wan_duet.experts.partner import partner_of, role_of

PAIRS = [
    # as published
    ("wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors", "wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors"),
    ("Wan2_2-T2V-A14B_HIGH_fp8_e4m3fn_scaled_KJ.safetensors", "Wan2_2-T2V-A14B-LOW_fp8_e4m3fn_scaled_KJ.safetensors"),
    ("Wan2.2-I2V-A14B-HighNoise-Q4_K_M.gguf", "Wan2.2-I2V-A14B-LowNoise-Q4_K_M.gguf"),
    ("high_noise_model/diffusion_pytorch_model.safetensors", "low_noise_model/diffusion_pytorch_model.safetensors"),
    ("smoothMixWan22I2VT2V_i2vHigh.safetensors", "smoothMixWan22I2VT2V_i2vLow.safetensors"),
    ("wan22RemixT2VI2V_i2vHighV20.safetensors", "wan22RemixT2VI2V_i2vLowV20.safetensors"),
    ("wan22EnhancedCamera_fp8H.safetensors", "wan22EnhancedCamera_fp8L.safetensors"),
    ("wan22_i2v_HN_fp8.safetensors", "wan22_i2v_LN_fp8.safetensors"),
    ("wan22_t2v_H.safetensors", "wan22_t2v_L.safetensors"),
    # any separator, any case
    ("wan a high noise.safetensors", "wan a low noise.safetensors"),
    ("wan22-high-noise-fp16.safetensors", "wan22_low_noise_fp16.safetensors"),
    ("WANB_HIGHNOISE.safetensors", "wanb_lownoise.safetensors"),
    ("wan22.high.fp8.safetensors", "wan22.low.fp8.safetensors"),
    ("wan-c-h.safetensors", "wan-c-l.safetensors"),
    ("HighNoise.safetensors", "LowNoise.safetensors"),
    # sub-folders, with either separator
    ("wan/t2v/HIGH.safetensors", "wan/t2v/LOW.safetensors"),
    ("wan\\high\\model.safetensors", "wan\\low\\model.safetensors"),
    ("HighNoise/Wan2.2-T2V-HighNoise.safetensors", "LowNoise/Wan2.2-T2V-LowNoise.safetensors"),
    ("low_vram/wan22_high_noise.safetensors", "low_vram/wan22_low_noise.safetensors"),
    ("slow_motion/flowers_high.safetensors", "slow_motion/flowers_low.safetensors"),
]


@pytest.mark.parametrize(("high", "low"), PAIRS)
def test_the_two_halves_find_each_other_among_all_other_files(high: str, low: str) -> None:
    files = [name for pair in PAIRS for name in pair]
    assert (role_of(high), role_of(low)) == ("high", "low")
    assert (partner_of(high, files), partner_of(low, files)) == (low, high)


@pytest.mark.parametrize(
    ("name", "stranger"),
    [
        ("wan22_t2v_high_noise_fp8.safetensors", "wan22_t2v_low_noise_fp16.safetensors"),
        ("wan22_t2v_high_noise.safetensors", "wan22_i2v_low_noise.safetensors"),
        ("wan22_high_v2.safetensors", "wan22_low_v1.safetensors"),
        ("wan22-high-Q8_0.gguf", "wan22-low-Q4_0.gguf"),
        ("a/wan22_high.safetensors", "b/wan22_low.safetensors"),
        ("wan22_high.safetensors", "wan22_low.gguf"),
        ("wan22_high.safetensors", "wan22_high.safetensors"),
        ("wan22_high.safetensors", "wan22_HIGH.safetensors"),
        ("wan22_high.safetensors", "wan22.safetensors"),
    ],
)
def test_a_difference_in_anything_but_the_role_is_no_partner(name: str, stranger: str) -> None:
    assert partner_of(name, [stranger]) is None


@pytest.mark.parametrize(
    "name",
    ["flow_model", "slow_motion", "workflow", "glowing", "highlights", "highres", "hello", "lora", "wan22", "hl"],
)
def test_a_role_is_a_word_of_its_own(name: str) -> None:
    assert role_of(f"{name}.safetensors") is None
    assert partner_of(f"{name}.safetensors", ["low_noise.safetensors", "high_noise.safetensors"]) is None


def test_two_equally_good_partners_are_named_and_left_to_the_user() -> None:
    files = ["wan-low.safetensors", "wan_low.safetensors"]
    with pytest.raises(ValueError, match=r"wan_high.* has 2 possible partners: wan-low.*, wan_low.*Choose one by hand"):
        partner_of("wan_high.safetensors", files)
