"""A distilled LoRA, or its absence, against the plan: said before the run."""

import pytest
from comfy.model_patcher import ModelPatcher
from wan_duet.experts.handle import MissingHandle
from wan_duet.experts.lora.expert_lora import ExpertLora
from wan_duet.experts.lora.schedule import constant, parse_schedule
from wan_duet.experts.pair import Expert, Experts
from wan_duet.samplers.distilled import distilled_lines, is_distilled
from wan_duet.samplers.lora_schedule import resolve_loras
from wan_duet.samplers.planner import make_plan
from wan_duet.samplers.presets import PRESETS, preset_plan
from wan_duet.tests.samplers.runs import pair, with_lora

LIGHTNING = "loras/Wan2.2-Lightning_T2V-A14B-4steps-lora_HIGH_fp16.safetensors"
GUIDED = "4 of 4 steps guide a distilled model at a cfg above 1: it is made for cfg 1."


def experts(name: str = "wan2.2_t2v_{}.safetensors") -> Experts:
    """A pair of T2V files that are not there."""
    return Experts(*(Expert(MissingHandle(name.format(role), "not there")) for role in ("high", "low")))


def merged(path: str, *roles: str, weight: float = 1.0) -> Experts:
    found = experts()
    for role in roles:
        found = found.with_lora(ExpertLora(path, role, constant(weight)))
    return found


def said(found: Experts, *, steps: int, cfg_high: float = 1.0, cfg_low: float = 1.0) -> list[str]:
    plan = make_plan(found, steps=steps, cfg_high=cfg_high, cfg_low=cfg_low, shift=5.0)
    return distilled_lines(resolve_loras(found, plan), plan)


@pytest.mark.parametrize(
    "name",
    [
        "Wan2.2-Lightning_T2V-A14B-4steps-lora_HIGH_fp16.safetensors",
        "Wan21_T2V_14B_lightx2v_cfg_step_distill_lora_rank32.safetensors",
        "wan2.2_i2v_A14b_high_noise_scaled_fp8_e4m3_lightx2v_4step_1030.safetensors",
        "Wan2.2_T2V_A14B_LOW_4steps_lora_rank64_Seko_V1.1.safetensors",
        "Wan21_CausVid_14B_T2V_lora_rank32.safetensors",
        "FastWan_T2V_14B_480p_lora_rank_128_bf16.safetensors",
        "Wan21_AccVid_T2V_14B_lora_rank32_fp16.safetensors",
        "Wan2.1_T2V_14B_FusionX_LoRA.safetensors",
        "my_lcm_lora.safetensors",
        "TurboWan2.2-I2V-A14B-high-720P.safetensors",
        "turbodiffusion_i2v_low.safetensors",
        "Wan22_Turbo_HIGH.safetensors",
        "wan2.2turbo.safetensors",
        "wan2.2_t2v_rCM_high.safetensors",
        "rcm_lora_low.safetensors",
        "SparkDiffusion_high.safetensors",
        "wan22-spark-low.safetensors",
        "LightWan2.2_nvfp4_high.safetensors",
        "wan_self_forcing_low.safetensors",
        "wan2.2-6step-high.safetensors",
    ],
)
def test_distilled_files_are_known_by_name(name: str) -> None:
    assert is_distilled(name)


@pytest.mark.parametrize(
    "name",
    [
        "wan2.2_t2v_high_noise_14B_fp16.safetensors",
        "style_000004000_high_noise.safetensors",
        "character-1400steps.safetensors",
        "dance_14_steps_back.safetensors",
        "light_leaks_low.safetensors",
        "calcmode.safetensors",
        "sparkles_high.safetensors",
        "Sparkling_Water.safetensors",
        "turbocharged_car.safetensors",
        "rcmp_uniform.safetensors",
        "18steps.safetensors",
    ],
)
def test_others_are_not(name: str) -> None:
    assert not is_distilled(name)


def test_a_distilled_pair_on_a_turbo_plan_has_nothing_to_be_told() -> None:
    assert said(merged(LIGHTNING, "high", "low"), steps=4) == []
    assert said(experts(), steps=20, cfg_high=3.5, cfg_low=3.5) == []
    assert said(experts(), steps=20, cfg_high=3.5) == []  # 20 steps are no turbo


def test_the_folder_may_be_all_that_tells() -> None:
    path = "loras/Wan2.2-T2V-A14B-4steps-lora-rank64-Seko-V1.1/high_noise_model.safetensors"
    found = merged(path, "high", "low")
    assert said(found, steps=4) == []
    assert GUIDED in said(found, steps=4, cfg_high=3.5, cfg_low=3.5)


def test_guidance_on_a_distilled_lora_is_told() -> None:
    found = merged(LIGHTNING, "high", "low")
    assert GUIDED in said(found, steps=4, cfg_high=3.5, cfg_low=3.5)
    assert f"Distilled by name: {LIGHTNING}." in said(found, steps=4, cfg_high=3.5)
    assert "2 of 4 steps guide" in said(found, steps=4, cfg_low=3.5)[0]


def test_many_steps_on_a_distilled_lora_are_told() -> None:
    found = merged(LIGHTNING, "low")
    assert "16 steps with a distilled model: it is made for 4 to 8." in said(found, steps=16, cfg_high=3.5)
    assert said(found, steps=15, cfg_high=3.5) == []


def test_a_distilled_checkpoint_counts_like_a_lora() -> None:
    found = experts("wan2.2_t2v_{}_lightx2v_4step.safetensors")
    assert said(found, steps=4) == []
    assert GUIDED in said(found, steps=4, cfg_high=3.5, cfg_low=3.5)


@pytest.mark.parametrize("name", ["Turbo 4", "Turbo 8", "Hybrid", "Anti-slow-motion 3-phase"])
def test_a_turbo_preset_without_its_lora_is_told(name: str) -> None:
    plan = preset_plan(PRESETS[name], experts())
    (line,) = distilled_lines(resolve_loras(experts(), plan), plan)
    assert "at cfg 1 without a distilled LoRA" in line
    assert ("(low expert)" if name == "Hybrid" else "(high and low expert)") in line


def test_the_expert_that_lacks_one_is_named() -> None:
    (line,) = said(merged(LIGHTNING, "high"), steps=4)
    assert line.startswith("2 of 4 steps run at cfg 1 without a distilled LoRA (low expert)")


def test_a_lora_at_strength_zero_does_not_count() -> None:
    preset = PRESETS["Anti-slow-motion 3-phase"]
    found = experts()
    for role in ("high", "low"):
        found = found.with_lora(ExpertLora(LIGHTNING, role, parse_schedule("0;1;1")))
    plan = preset_plan(preset, found)
    assert distilled_lines(resolve_loras(found, plan), plan) == []
    always = merged(LIGHTNING, "high", "low")
    assert "1 of 8 steps guide a distilled model" in distilled_lines(resolve_loras(always, plan), plan)[0]


def test_what_a_connected_model_carries_is_not_known(high: ModelPatcher, other: ModelPatcher) -> None:
    assert said(pair(with_lora(high), with_lora(other)), steps=4) == []
    assert said(pair(high, other), steps=4) == []
