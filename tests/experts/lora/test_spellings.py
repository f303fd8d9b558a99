"""Wrappers, halves and adapters that nobody has listed: a key is read if it names a module of the expert."""

from collections.abc import Callable

import pytest
import torch
from comfy.model_patcher import ModelPatcher
from wan_duet.experts.lora.apply import apply_loras
from wan_duet.experts.lora.expert_lora import ExpertLora
from wan_duet.experts.lora.merge import merge_lora
from wan_duet.experts.lora.patches import Patches, find_patches
from wan_duet.experts.lora.schedule import constant
from wan_duet.experts.lora.spec import LoraSpec
from wan_duet.experts.lora.unread import grouped
from wan_duet.experts.pair import Experts
from wan_duet.tests.experts.lora.conftest import loaded
from wan_duet.tests.experts.lora.layouts import I2V_21, LINEARS, T2V

Tensors = dict[str, torch.Tensor]

DOTTED = [
    "module.{}",
    "_orig_mod.{}",
    "model._orig_mod.diffusion_model.{}",
    "my_trainer.dit.{}",
    "net.{}",
    "model.diffusion_model.{}",
    "generator_ema.{}",
]
FLAT = ["lora_unet_", "lora_dit_", "lora_wan_", "lora_model_", "lora_unet___", "my_own_", "LORA_UNET_", "lora_wan2_"]
SUFFIXES = [
    ("lora_A.style.weight", "lora_B.style.weight"),
    ("lora_A.my_adapter_2.weight", "lora_B.my_adapter_2.weight"),
    ("lora_down.default.weight", "lora_up.default.weight"),
    ("lora_a.weight", "lora_b.weight"),
    ("lora.down.weight", "lora.up.weight"),
    ("lora_A", "lora_B"),
    ("lora_linear_layer.down.weight", "lora_linear_layer.up.weight"),
]


def written(
    path: Callable[[str], str], down: str = "lora_A.weight", up: str = "lora_B.weight", seed: int = 0
) -> Tensors:
    """A LoRA of rank 4 on every linear of the tiny T2V, whose shapes are (128, 128) but for the ffn."""
    torch.manual_seed(seed)
    tensors = {}
    for module in LINEARS:
        rows, columns = {"ffn.0": (256, 128), "ffn.2": (128, 256)}.get(module.split(".", 2)[2], (128, 128))
        tensors[f"{path(module)}.{down}"] = 0.3 * torch.randn(4, columns)
        tensors[f"{path(module)}.{up}"] = 0.3 * torch.randn(rows, 4)
    return tensors


def shapes(tiny: dict[str, ModelPatcher]) -> dict[str, torch.Size]:
    return {name: weight.shape for name, weight in tiny[T2V].model.state_dict().items()}


def read(tensors: Tensors, tiny: dict[str, ModelPatcher], role: str = "high", kind: str = T2V) -> Patches:
    return find_patches(tensors, role, tiny[kind].model)


def all_read(found: Patches) -> None:
    assert (len(found.read), found.unread, len(found.changed), found.misfits) == (40, (), 20, ())


@pytest.mark.parametrize("wrapper", DOTTED)
def test_any_dotted_wrapper_is_stripped(wrapper: str, tiny: dict[str, ModelPatcher]) -> None:
    all_read(read(written(wrapper.format), tiny))


@pytest.mark.parametrize("prefix", FLAT)
def test_any_underscored_prefix_is_stripped(prefix: str, tiny: dict[str, ModelPatcher]) -> None:
    tensors = written(lambda module: prefix + module.replace(".", "_"), "lora_down.weight", "lora_up.weight")
    all_read(read(tensors, tiny))


def test_dots_may_follow_underscores(tiny: dict[str, ModelPatcher]) -> None:
    tensors = written(lambda module: "lora_unet_" + module.replace(".", "_", 1), "lora_down.weight", "lora_up.weight")
    assert "lora_unet_blocks_0.self_attn.q.lora_down.weight" in tensors
    all_read(read(tensors, tiny))


@pytest.mark.parametrize("inside", ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "module"])
def test_wrappers_around_single_blocks_are_stripped(inside: str, tiny: dict[str, ModelPatcher]) -> None:
    all_read(read(written(lambda module: module.replace(".", f".{inside}.", 2).replace(f".{inside}.", ".", 1)), tiny))


@pytest.mark.parametrize(("down", "up"), SUFFIXES)
def test_adapters_may_have_a_name(down: str, up: str, tiny: dict[str, ModelPatcher]) -> None:
    all_read(read(written("diffusion_model.{}".format, down, up), tiny))


def test_an_odd_spelling_merges_to_the_weights_of_a_plain_one(
    tiny: dict[str, ModelPatcher], base: dict[str, dict], saved: Callable
) -> None:
    odd = written(
        lambda module: "lora_unet_" + module.replace(".", "_", 1), "lora_A.style.weight", "lora_B.style.weight"
    )
    patcher = tiny[T2V].clone()
    merge_lora(patcher, ExpertLora(saved(odd), "high", constant(0.5)))
    plain = written("{}".format)
    with loaded(patcher) as merged:
        for module in LINEARS:
            weight = base[T2V][f"diffusion_model.{module}.weight"]
            wanted = weight + 0.5 * plain[f"{module}.lora_B.weight"] @ plain[f"{module}.lora_A.weight"]
            assert torch.allclose(merged[f"diffusion_model.{module}.weight"], wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("high", "low"),
    [
        ("high_noise_model.{}", "low_noise_model.{}"),
        ("diffusion_model.high_noise.{}", "diffusion_model.low_noise.{}"),
        ("transformer_high.{}", "transformer_low.{}"),
        ("lora_unet_high_noise_{}", "lora_unet_low_noise_{}"),
        ("pipe.dit.{}", "pipe.dit2.{}"),
        ("transformer_1.{}", "transformer_2.{}"),
        ("base_model.model.transformer.{}", "base_model.model.transformer_2.{}"),
    ],
)
def test_a_file_with_halves_gives_each_expert_its_own(high: str, low: str, tiny: dict[str, ModelPatcher]) -> None:
    tensors = written(high.format) | written(low.format, seed=1)
    for role, own in (("high", high), ("low", low)):
        found = read(tensors, tiny, role)
        all_read(found)
        assert set(found.read) == written(own.format).keys()
        assert found.elsewhere == 40


def test_an_adapters_name_may_tell_its_expert(tiny: dict[str, ModelPatcher]) -> None:
    halves = [
        written("{}".format, f"lora_A.{role}_noise.weight", f"lora_B.{role}_noise.weight") for role in ("high", "low")
    ]
    for role, own in zip(("high", "low"), halves, strict=True):
        found = read(halves[0] | halves[1], tiny, role)
        all_read(found)
        assert set(found.read) == own.keys()


@pytest.mark.parametrize(
    "path",
    [
        "vace_blocks.0.self_attn.q",
        "lora_unet_vace_blocks_0_self_attn_q",
        "text_encoder.blocks.0.self_attn.q",
        "transformer.transformer_blocks.0.attn1.to_q",
        "lora_unet_transformer_blocks_0_attn1_to_q",
        "transformer.single_transformer_blocks.0.proj_out",
        "controlnet.blocks.0.self_attn.q",
        "blocks.0.self_attn.q_loras",
    ],
)
def test_modules_of_other_networks_are_not_taken_for_the_experts_own(path: str, tiny: dict[str, ModelPatcher]) -> None:
    found = read({f"{path}.lora_down.weight": torch.zeros(4, 128), f"{path}.lora_up.weight": torch.zeros(128, 4)}, tiny)
    assert (found.read, found.changed, found.known) == ((), set(), {})


def reasons(tensors: Tensors, tiny: dict[str, ModelPatcher]) -> list[str]:
    return [group.reason.text for group in grouped(read(tensors, tiny), 2)]


Q = "diffusion_model.blocks.0.self_attn.q"


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ([f"{Q}.lora_A.weight"], "half of an adapter without its other half: not applied"),
        ([f"{Q}.lora_down.default.weight"], "half of an adapter without its other half: not applied"),
        ([f"{Q}.lora_down.weight", f"{Q}.alpha"], "half of an adapter without its other half: not applied"),
        ([f"{Q}.vera_lambda_b"], "a kind of adapter that ComfyUI doesn't read: not applied"),
        ([f"{Q}.lora_A.bias"], "a kind of adapter that ComfyUI doesn't read: not applied"),
        ([f"{Q}.base_layer.weight"], "whole weights, which no LoRA has: not applied"),
        (
            ["lora_unet_blocks_0.cross_attn.k.img.lora_down.weight"],
            "image attention of Wan 2.1 I2V, which this expert doesn't have: harmless",
        ),
        (["diffusion_model.blocks.0.cam_encoder.weight"], "modules this expert doesn't have: not applied"),
        (["te1.blocks.0.q.lora_A.weight"], "text encoder, which Wan Duet leaves as it is: harmless"),
    ],
)
def test_the_reason_for_an_unread_key_is_true(keys: list[str], reason: str, tiny: dict[str, ModelPatcher]) -> None:
    shape = {True: (), False: (4, 128)}
    assert reasons({key: torch.zeros(shape[key.endswith(".alpha")]) for key in keys}, tiny) == [reason]


def test_of_two_adapters_on_one_module_the_first_is_applied_and_the_other_named(tiny: dict[str, ModelPatcher]) -> None:
    two = [written("{}".format, f"lora_A.{name}.weight", f"lora_B.{name}.weight") for name in ("first", "second")]
    found = read(two[0] | two[1], tiny)
    assert set(found.read) == two[0].keys()
    assert [(len(group.keys), group.reason.text) for group in grouped(found, 2)] == [
        (40, "another adapter of modules that have one already: not applied")
    ]


def test_image_attention_with_a_dot_is_read_where_there_is_any(tiny: dict[str, ModelPatcher]) -> None:
    path = "lora_unet_blocks_0.cross_attn.k.img"
    tensors = {f"{path}.lora_down.weight": torch.zeros(4, 128), f"{path}.lora_up.weight": torch.zeros(128, 4)}
    assert read(tensors, tiny, kind=I2V_21).changed == {"diffusion_model.blocks.0.cross_attn.k_img.weight"}


def test_the_high_expert_says_that_a_file_is_for_the_low_one_alone(pair: Experts, loras: Callable) -> None:
    loras("style_low_noise.safetensors", written("low_noise_model.{}".format))
    lines = apply_loras(pair, (LoraSpec("style_low_noise.safetensors"),))[1].splitlines()
    assert lines[1:] == [
        "   high: not on it, because style_low_noise.safetensors is for the low expert alone",
        "   low: style_low_noise.safetensors at 1: 40 of 40 keys read, 20 of 20 weights changed",
    ]
