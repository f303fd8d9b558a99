"""Tiny checkpoints of the host's real classes: it reads sizes from the file, so a small file is a small Wan.

`tiny.py COMFYUI BASE` writes them to BASE/models under the official file names.
"""

from __future__ import annotations

import io
import json
import os
import string
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

UMT5_CONFIG = Path(__file__).with_name("umt5_config_xxl.json")
XXL_MARK = "encoder.block.23.layer.1.DenseReluDense.wi_1.weight"  # of a layer that the tiny encoder lacks
XXL_INNER = 10240  # the first axis of that weight
# Names and shapes by which the host recognises the families that tests need as headers only.
MARKERS: dict[str, dict[str, tuple[int, ...]]] = {
    "camera_2.2": {"control_adapter.conv.weight": (1, 1)},
    "s2v": {"casual_audio_encoder.encoder.final_linear.weight": (1, 1)},
    "humo": {"audio_proj.audio_proj_glob_1.layer.bias": (1,)},
    "animate": {"face_adapter.fuser_blocks.0.k_norm.weight": (128,), "img_emb.proj.0.bias": (1280,)},
}


def transformer(
    seed: int,
    *,
    in_dim: int = 16,
    dim: int = 128,
    layers: int = 2,
    model_type: str = "t2v",
    out_dim: int = 16,
    **settings: Any,
) -> dict[str, Tensor]:
    """Return random fp32 weights of a Wan transformer: t2v, i2v (the kind with CLIP) or vace."""
    from comfy.ldm.wan.model import VaceWanModel, WanModel

    if model_type == "vace":
        settings = {"vace_layers": layers, "vace_in_dim": 96, **settings}
    family = VaceWanModel if model_type == "vace" else WanModel
    net = family(
        model_type=model_type,
        in_dim=in_dim,
        out_dim=out_dim,
        dim=dim,
        ffn_dim=2 * dim,
        num_heads=dim // 128,
        num_layers=layers,
        operations=torch.nn,
        dtype=torch.float32,
        **settings,
    )
    return random_weights(net, seed)


def header(family: str, **sizes: Any) -> dict[str, Tensor]:
    """Return a state dict that the host's model detection takes for `family`, a key of MARKERS."""
    markers = {name: torch.zeros(shape) for name, shape in MARKERS[family].items()}
    return {**transformer(0, **sizes), **markers}


def lora(seed: int, *, dim: int = 128, layers: int = 2, rank: int = 4) -> dict[str, Tensor]:
    """Return a random bf16 LoRA on the self-attention of every block, in the host's own spelling."""
    generator = torch.Generator().manual_seed(seed)
    weights: dict[str, Tensor] = {}
    for block in range(layers):
        for linear in "qkvo":
            name = f"diffusion_model.blocks.{block}.self_attn.{linear}"
            weights[f"{name}.lora_down.weight"] = torch.randn(rank, dim, generator=generator).bfloat16() / dim
            weights[f"{name}.lora_up.weight"] = torch.randn(dim, rank, generator=generator).bfloat16()
    return weights


def lora_on_blocks(weights: dict[str, Tensor], seed: int, *, rank: int) -> dict[str, Tensor]:
    """Return a random fp32 LoRA on every linear of the blocks of a transformer with these weights."""
    generator = torch.Generator().manual_seed(seed)
    found: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if name.startswith("blocks.") and name.endswith(".weight") and weight.ndim == 2:
            stem = f"diffusion_model.{name.removesuffix('.weight')}"
            rows, columns = weight.shape
            found[f"{stem}.lora_A.weight"] = torch.randn(rank, columns, generator=generator) / columns
            found[f"{stem}.lora_B.weight"] = torch.randn(rows, rank, generator=generator)
    return found


def vae(seed: int) -> dict[str, Tensor]:
    """Return random fp32 weights of the Wan 2.1 VAE, which the A14B models use."""
    from comfy.ldm.wan.vae import WanVAE

    return random_weights(WanVAE(dim=8, z_dim=16, temperal_downsample=[False, True, True]), seed)


def text_encoder(seed: int) -> dict[str, Tensor]:
    """Return random bf16 weights of the UMT5 of `umt5_config_xxl.json` and a tokenizer of single letters."""
    from comfy.text_encoders.t5 import T5

    config = json.loads(UMT5_CONFIG.read_text())
    net = T5(config, torch.float32, "cpu", torch.nn)
    weights = {name: weight.bfloat16() for name, weight in random_weights(net, seed).items()}
    weights[XXL_MARK] = _xxl_mark(config["d_model"])
    letters = string.ascii_letters + string.digits + string.punctuation
    weights["spiece_model"] = tokenizer([letters], "char", config["vocab_size"])
    return weights


def _xxl_mark(d_model: int) -> Tensor:
    """Return the smallest weight by which this host knows an XXL encoder: one axis of it is looked at, not the same
    one on every host."""
    from comfy.sd import TEModel, detect_te_model

    marks = (torch.zeros(shape, dtype=torch.bfloat16) for shape in ((1, d_model), (XXL_INNER, 1)))
    return next(mark for mark in marks if detect_te_model({XXL_MARK: mark}) is TEModel.T5_XXL)


def tokenizer(sentences: Iterable[str], kind: str, vocab_size: int) -> Tensor:
    """Return a SentencePiece model in bytes, with a token for each "char" or "word" of the sentences and T5's ids."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(  # pyright: ignore[reportAttributeAccessIssue]
        sentence_iterator=iter(sentences),
        model_writer=model,
        model_type=kind,
        vocab_size=vocab_size,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    return torch.frombuffer(bytearray(model.getvalue()), dtype=torch.uint8)


def write(base: Path) -> None:
    """Write the checkpoints that the shipped workflows name to `base`/models."""
    for task, in_dim in (("t2v", 16), ("i2v", 36)):
        for seed, stage in enumerate(("high", "low")):
            weights = {name: weight.bfloat16() for name, weight in transformer(seed, in_dim=in_dim).items()}
            _save(weights, base, f"diffusion_models/wan2.2_{task}_{stage}_noise_14B_fp8_scaled.safetensors")
    for seed, stage in enumerate(("high", "low")):
        _save(lora(seed), base, f"loras/wan2.2_t2v_lightx2v_4steps_lora_v1.1_{stage}_noise.safetensors")
    _save(vae(0), base, "vae/wan_2.1_vae.safetensors")
    _save(text_encoder(0), base, "text_encoders/umt5_xxl_fp8_e4m3fn_scaled.safetensors")


def random_weights(net: torch.nn.Module, seed: int) -> dict[str, Tensor]:
    """Scale by fan-in, so that activations keep their size through any depth and 40 steps stay finite."""
    generator = torch.Generator().manual_seed(seed)
    weights: dict[str, Tensor] = {}
    for name, parameter in net.state_dict().items():
        noise = torch.randn(parameter.shape, generator=generator)
        if name.endswith("gamma") or ("norm" in name and name.endswith("weight")):
            weights[name] = 1 + 0.1 * noise
        elif parameter.ndim < 2:
            weights[name] = 0.1 * noise
        elif name.endswith("modulation"):
            weights[name] = 0.3 * noise
        else:
            weights[name] = noise / parameter[0].numel() ** 0.5
    return weights


def _save(weights: dict[str, Tensor], base: Path, name: str) -> None:
    from safetensors.torch import save_file

    path = base / "models" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file(weights, partial)
    os.replace(partial, path)


if __name__ == "__main__":
    from cpu_torchvision import register_torchvision_operators

    comfyui, base = map(Path, sys.argv[1:])
    register_torchvision_operators()
    # In place of this folder, whose `server` would hide the host's.
    sys.path[0] = str(comfyui)
    import comfy.cli_args

    comfy.cli_args.args.cpu = True
    write(base)
