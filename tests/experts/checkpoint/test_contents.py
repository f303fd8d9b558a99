"""What a file is, told from its header."""

from pathlib import Path
from typing import Any

import pytest
import torch
from comfy.ldm.wan.model import CameraWanModel, VaceWanModel, WanModel, WanModel_S2V
from comfy.ldm.wan.model_animate import AnimateWanModel
from safetensors.torch import save
from wan_duet.dev.tiny import transformer, vae
from wan_duet.experts import variant
from wan_duet.experts.checkpoint.contents import read_checkpoint
from wan_duet.tests.experts.headers import Shapes, shapes_of, write_header

SIZE_14B = {"dim": 5120, "ffn_dim": 13824, "num_heads": 40, "num_layers": 40}
SIZE_5B = {"dim": 3072, "ffn_dim": 14336, "num_heads": 24, "num_layers": 30, "in_dim": 48, "out_dim": 48}
SIZE_1_3B = {"dim": 1536, "ffn_dim": 8960, "num_heads": 12, "num_layers": 30}

# The released models, by the host's class and the sizes of their config.json
RELEASED: dict[str, tuple[variant.WanVariant, type[torch.nn.Module], dict[str, Any]]] = {
    "Wan2.2-T2V-A14B": (variant.T2V_A14B, WanModel, SIZE_14B),
    "Wan2.2-I2V-A14B": (variant.I2V_A14B, WanModel, {**SIZE_14B, "in_dim": 36}),
    "Wan2.2-TI2V-5B": (variant.TI2V_5B, WanModel, SIZE_5B),
    "Wan2.2-Animate-14B": (variant.ANIMATE, AnimateWanModel, {**SIZE_14B, "in_dim": 36}),
    "Wan2.2-S2V-14B": (variant.S2V, WanModel_S2V, SIZE_14B),
    "Wan2.1-VACE-14B": (variant.VACE, VaceWanModel, {**SIZE_14B, "vace_layers": 8, "vace_in_dim": 96}),
    "Wan2.2-Fun-A14B-Control": (variant.FUN_CONTROL_A14B, WanModel, {**SIZE_14B, "in_dim": 52, "in_dim_ref_conv": 16}),
    "Wan2.2-Fun-A14B-Control-Camera": (
        variant.FUN_CAMERA_A14B,
        CameraWanModel,
        {**SIZE_14B, "model_type": "camera_2.2", "in_dim": 36, "in_dim_control_adapter": 24},
    ),
    "Wan2.2-VACE-Fun-A14B": (variant.VACE, VaceWanModel, {**SIZE_14B, "vace_layers": 8, "vace_in_dim": 96}),
    "Wan2.1-I2V-14B": (variant.WAN_2_1, WanModel, {**SIZE_14B, "model_type": "i2v", "in_dim": 36}),
    "Wan2.1-T2V-1.3B": (variant.WAN_2_1, WanModel, SIZE_1_3B),
}


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
@pytest.mark.parametrize("name", RELEASED)
def test_a_released_model_is_known_by_its_header(tmp_path: Path, name: str, prefix: str) -> None:
    expected, net, sizes = RELEASED[name]
    shapes = {prefix + key: shape for key, shape in shapes_of(net, **sizes).items()}
    checkpoint = read_checkpoint(str(write_header(tmp_path / "model.safetensors", shapes)))
    found = (checkpoint.variant, checkpoint.dim, checkpoint.layers, checkpoint.in_dim)
    assert found == (expected, sizes["dim"], sizes["num_layers"], sizes.get("in_dim", 16))


def test_a_checkpoint_describes_itself_in_one_line(tmp_path: Path) -> None:
    # 28.6 GB is what the repackaged wan2.2_t2v_high_noise_14B_fp16.safetensors weighs
    checkpoint = read_checkpoint(str(write_header(tmp_path / "model.safetensors", shapes_of(**SIZE_14B))))
    assert str(checkpoint) == "T2V A14B, 40 blocks of 5120, 28.6 GB, bf16"


def test_boundaries_and_shifts_are_those_of_the_official_configs() -> None:
    # wan/configs/*.py of Wan-Video/Wan2.2: boundary, sample_shift
    assert [(k.boundary, k.shift) for k in (variant.T2V_A14B, variant.I2V_A14B)] == [(0.875, 12.0), (0.900, 5.0)]
    assert [k.shift for k in (variant.TI2V_5B, variant.ANIMATE, variant.S2V)] == [5.0, 5.0, 3.0]
    # config/wan2.2/wan_civitai_{i2v,t2v}.yaml of aigc-apps/VideoX-Fun, and what its examples name with them
    fun = (variant.FUN_CONTROL_A14B, variant.FUN_CAMERA_A14B, variant.VACE_FUN_A14B)
    assert [(k.boundary, k.shift) for k in fun] == [(0.900, 5.0), (0.900, 5.0), (0.875, 12.0)]
    pairs = [k for k in vars(variant).values() if isinstance(k, variant.WanVariant) and k.pair]
    assert pairs == [variant.T2V_A14B, variant.I2V_A14B, *fun]
    assert not any(k.assumed for k in pairs)


def test_a_wan_of_an_unknown_family_is_named_by_its_type(tmp_path: Path) -> None:
    humo = {**shapes_of(in_dim=36), "audio_proj.audio_proj_glob_1.layer.bias": (1,)}
    found = read_checkpoint(str(write_header(tmp_path / "model.safetensors", humo))).variant
    assert (found.label, found.pair, found.assumed) == ("Wan (humo, 36 channels)", None, True)


def test_no_weight_is_read_so_a_file_may_be_larger_than_any_memory(tmp_path: Path) -> None:
    terabyte = 2**40
    shapes = {**shapes_of(num_layers=1), "blocks.0.ballast": (terabyte // 2,)}
    checkpoint = read_checkpoint(str(write_header(tmp_path / "model.safetensors", shapes)))
    assert checkpoint.size > terabyte


REAL_FILE = save(transformer(0, layers=1))
HEADER = 8 + int.from_bytes(REAL_FILE[:8], "little")


@pytest.mark.parametrize("cut", [1, 7, 8, 9, HEADER - 1, HEADER, HEADER + 1, len(REAL_FILE) // 2, len(REAL_FILE) - 1])
def test_a_truncated_file_is_refused_with_its_size(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "cut.safetensors"
    file.write_bytes(REAL_FILE[:cut])
    with pytest.raises(ValueError, match=rf"cut\.safetensors is truncated .* It has {cut:,} bytes: .* fetch it again"):
        read_checkpoint(str(file))


def test_the_same_file_in_full_is_accepted(tmp_path: Path) -> None:
    file = tmp_path / "full.safetensors"
    file.write_bytes(REAL_FILE)
    assert read_checkpoint(str(file)).variant is variant.T2V_A14B


@pytest.mark.parametrize(
    "content", [b"", b"<!DOCTYPE html><title>Not found</title>", b"PK\x03\x04" + bytes(200), b"GGUF" + bytes(200)]
)
def test_a_file_that_is_not_safetensors_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "page.safetensors"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"page\.safetensors is truncated or not a safetensors file"):
        read_checkpoint(str(file))


NOT_WAN: dict[str, Shapes] = {
    "a LoRA of Wan": {
        "diffusion_model.blocks.0.self_attn.q.lora_A.weight": (4, 128),
        "diffusion_model.blocks.0.self_attn.q.lora_B.weight": (128, 4),
    },
    "an SD3": {"joint_blocks.0.context_block.attn.qkv.weight": (192, 64), "x_embedder.proj.weight": (64, 16, 2, 2)},
    "the VAE of Wan": {name: tuple(weight.shape) for name, weight in vae(0).items()},
    "a lone head": {"head.modulation": (1, 2, 128)},
    "nothing": {},
}


@pytest.mark.parametrize("name", NOT_WAN)
def test_another_model_is_refused_with_what_it_holds(tmp_path: Path, name: str) -> None:
    file = write_header(tmp_path / "other.safetensors", NOT_WAN[name])
    held = ", ".join(sorted(NOT_WAN[name])[:2]) or "nothing"
    with pytest.raises(ValueError, match=f"is not a Wan transformer: it holds {len(NOT_WAN[name])} tensors .{held}"):
        read_checkpoint(str(file))


@pytest.mark.parametrize(
    ("name", "shapes", "said"),
    [
        ("high-00001-of-00006.safetensors", {}, "is shard 1 of 6 of a checkpoint"),
        ("diffusion_pytorch_model-00006-of-00006.safetensors", {}, "is shard 6 of 6 of a checkpoint"),
        ("wan.safetensors", {"blocks.0.attn1.to_q.weight": (4, 4)}, "is a Wan transformer in the diffusers layout"),
        ("wan.safetensors", {"blocks.0.self_attn.q.qweight": (4, 4)}, "is packed for a loader of its own"),
        ("wan.pth", {}, r"is a pickle \(\.pth\)"),
    ],
)
def test_what_holds_a_wan_in_another_way_is_called_by_its_name(
    tmp_path: Path, name: str, shapes: Shapes, said: str
) -> None:
    with pytest.raises(ValueError, match=rf"{name} {said}.*(single file|Experts From Models)"):
        read_checkpoint(str(write_header(tmp_path / name, shapes)))


def test_a_shard_that_is_the_only_one_is_a_whole_file(tmp_path: Path) -> None:
    file = write_header(tmp_path / "model-00001-of-00001.safetensors", shapes_of(**SIZE_14B))
    assert read_checkpoint(str(file)).variant is variant.T2V_A14B
