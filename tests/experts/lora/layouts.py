"""The 46 known layouts of a LoRA file of Wan, each from one description: how modules are spelled, what each carries."""

from typing import NamedTuple

import torch
from torch import Tensor

from . import adapters as a
from .adapters import Adapter, Formula

DIM, LAYERS = 128, 2
T2V, I2V, I2V_21 = "t2v", "i2v", "i2v 2.1"

_ATTENTION = tuple(f"{kind}_attn.{letter}" for kind in ("self", "cross") for letter in "qkvo")
_FFN = ("ffn.0", "ffn.2")
_DIFFUSERS = {
    "self_attn.q": "attn1.to_q",
    "self_attn.k": "attn1.to_k",
    "self_attn.v": "attn1.to_v",
    "self_attn.o": "attn1.to_out.0",
    "cross_attn.q": "attn2.to_q",
    "cross_attn.k": "attn2.to_k",
    "cross_attn.v": "attn2.to_v",
    "cross_attn.o": "attn2.to_out.0",
    "cross_attn.k_img": "attn2.add_k_proj",
    "cross_attn.v_img": "attn2.add_v_proj",
    "ffn.0": "ffn.net.0.proj",
    "ffn.2": "ffn.net.2",
    "text_embedding.0": "condition_embedder.text_embedder.linear_1",
    "text_embedding.2": "condition_embedder.text_embedder.linear_2",
    "time_embedding.0": "condition_embedder.time_embedder.linear_1",
    "time_embedding.2": "condition_embedder.time_embedder.linear_2",
    "time_projection.1": "condition_embedder.time_proj",
    "head.head": "proj_out",
}


def _in_blocks(modules: tuple[str, ...], blocks: range = range(LAYERS), name: str = "blocks") -> tuple[str, ...]:
    return tuple(f"{name}.{block}.{module}" for block in blocks for module in modules)


LINEARS = _in_blocks((*_ATTENTION, *_FFN))
EMBEDDERS = ("text_embedding.0", "text_embedding.2", "time_embedding.0", "time_embedding.2", "time_projection.1")
IMAGE = _in_blocks(("cross_attn.k_img", "cross_attn.v_img"))
MODULATIONS = ("blocks.0.modulation", "blocks.1.modulation", "head.modulation")
NORMS = _in_blocks(("self_attn.norm_q", "self_attn.norm_k", "cross_attn.norm_q", "cross_attn.norm_k"))

Items = tuple[tuple[Adapter, tuple[str, ...]], ...]


class Layout(NamedTuple):
    """`spell` is a template over native and diffusers names, dotted or (with `_`) underscored.

    `read`, `keys`, `changed` are for T2V and I2V A14B; `image` is (read, changed) on a 2.1 I2V where that differs.
    """

    name: str
    spell: str
    items: Items
    read: int
    keys: int
    changed: int
    image: tuple[int, int] | None = None
    role: str = "high"
    low_items: Items = ()
    width: int = DIM

    def expected(self, kind: str) -> tuple[int, int]:
        """Keys read and weights changed on one kind of model."""
        return self.image if kind == I2V_21 and self.image else (self.read, self.changed)


def _all(name: str, spell: str, adapter: Adapter, each: int = 2, **fields: object) -> Layout:
    """One adapter on the 20 linears of both blocks, every key read."""
    keys = each * len(LINEARS)
    return Layout(name, spell, ((adapter, LINEARS),), keys, keys, len(LINEARS), **fields)


NATIVE, KOHYA, DIFFUSERS = "diffusion_model.{native}", "lora_unet_{native_}", "transformer.{diffusers}"

LAYOUTS = [
    _all("native_peft", NATIVE, a.PEFT),
    _all("native_peft_bf16", NATIVE, a.PEFT_BF16),
    _all("native_down_up_alpha", NATIVE, a.KOHYA, 3),
    Layout(
        "lightx2v_diff",
        NATIVE,
        (
            (a.lora_and_differences, LINEARS),
            (a.difference, (*NORMS, *MODULATIONS)),
            (a.difference_and_bias, (*_in_blocks(("norm3",)), "head.head", "patch_embedding.own")),
        ),
        read=79,
        keys=79,
        changed=59,
    ),
    Layout(
        "lightx2v_diff_m",
        NATIVE,
        ((a.PEFT, LINEARS), (a.DIFFERENCE_M, ("blocks.0", "blocks.1"))),
        read=42,
        keys=42,
        changed=22,
    ),
    _all("kohya_musubi", KOHYA, a.KOHYA, 3),
    _all("kohya_fun_double_underscore", "lora_unet__{native_}", a.KOHYA, 3),
    Layout(
        "kohya_fun_without_block0",
        "lora_unet__{native_}",
        ((a.KOHYA, _in_blocks((*_ATTENTION, *_FFN), range(1, 2))),),
        read=30,
        keys=30,
        changed=10,
    ),
    _all("kohya_diffusers_names", "lora_unet_{diffusers_}", a.KOHYA, 3),
    Layout("diffusers_peft", DIFFUSERS, ((a.PEFT, (*LINEARS, *EMBEDDERS, "head.head")),), read=52, keys=52, changed=26),
    _all("diffusers_bare", "{diffusers}", a.PEFT),
    _all("diffusers_diffusion_model_prefix", "diffusion_model.{diffusers}", a.PEFT),
    Layout("diffusers_lora_bias", DIFFUSERS, ((a.lora_with_bias, LINEARS),), read=60, keys=60, changed=40),
    _all("diffusers_pair_one_file", DIFFUSERS, a.PEFT, low_items=((a.PEFT, LINEARS),)),
    _all("diffusers_low_only", "transformer_2.{diffusers}", a.PEFT, role="low"),
    _all("transformer_native_names", "transformer.{native}", a.PEFT),
    _all("bare_native", "{native}", a.PEFT),
    _all("diffsynth_default", "{native}", a.PEFT_DEFAULT),
    _all("diffsynth_diffusion_model", NATIVE, a.PEFT_DEFAULT),
    _all("pipe_dit_prefix", "pipe.dit.{native}", a.PEFT),
    _all("peft_base_model", "base_model.model.{native}", a.PEFT),
    _all("peft_base_model_diffusers", "base_model.model.transformer.{diffusers}", a.PEFT),
    _all("lokr_native", NATIVE, a.lokr, 4),
    _all("lokr_full_native", NATIVE, a.lokr_full, 3),
    _all("lokr_kohya", KOHYA, a.lokr, 4),
    _all("loha_kohya", KOHYA, a.loha, 5),
    _all("lokr_lycoris_simpletuner", "lycoris_{diffusers_}", a.lokr, 4),
    _all("lokr_lycoris_native", "lycoris_{native_}", a.lokr, 4),
    _all("dora_kohya", KOHYA, a.KOHYA_DORA, 4),
    _all("dora_native", NATIVE, a.PEFT_DORA, 3),
    _all("dora_peft_magnitude", NATIVE, a.PEFT_MAGNITUDE, 3),
    Layout("i2v21_native", NATIVE, ((a.PEFT, (*LINEARS, *IMAGE)),), read=40, keys=48, changed=20, image=(48, 24)),
    Layout("i2v21_kohya", KOHYA, ((a.KOHYA, (*LINEARS, *IMAGE)),), read=60, keys=72, changed=20, image=(72, 24)),
    Layout(
        "i2v21_lightx2v",
        NATIVE,
        (
            (a.DOWN_UP, (*LINEARS, *IMAGE, "img_emb.proj.1", "img_emb.proj.3")),
            (a.difference, (*NORMS, *_in_blocks(("cross_attn.norm_k_img",)), "img_emb.proj.0")),
        ),
        read=48,
        keys=63,
        changed=28,
        image=(63, 37),
    ),
    Layout(
        "i2v_patch_embedding_36",
        NATIVE,
        ((a.PEFT, LINEARS), (a.difference, ("patch_embedding.36",))),
        read=41,
        keys=41,
        changed=20,
        image=(41, 21),
    ),
    Layout(
        "patch_embedding_conv_lora",
        NATIVE,
        ((a.PEFT, LINEARS), (a.DOWN_UP, ("patch_embedding.own",))),
        read=42,
        keys=42,
        changed=21,
    ),
    Layout(
        "vace_lora",
        NATIVE,
        ((a.PEFT, (*LINEARS, *_in_blocks((*_ATTENTION, *_FFN), range(1), "vace_blocks"))),),
        read=40,
        keys=60,
        changed=20,
    ),
    Layout(
        "stand_in",
        NATIVE,
        ((a.side_path, _in_blocks(("self_attn.q", "self_attn.k", "self_attn.v"))),),
        read=0,
        keys=12,
        changed=0,
    ),
    Layout(
        "recammaster_extras",
        NATIVE,
        ((a.difference, _in_blocks(("self_attn.o",))), (a.WHOLE, _in_blocks(("cam_encoder", "projector")))),
        read=2,
        keys=6,
        changed=2,
    ),
    Layout("family_5b", NATIVE, ((a.PEFT, LINEARS),), read=40, keys=40, changed=0, width=192),
    Layout("family_5b_lokr", NATIVE, ((a.lokr_full, LINEARS),), read=60, keys=60, changed=0, width=192),
    Layout(
        "deeper_model", NATIVE, ((a.PEFT, _in_blocks((*_ATTENTION, *_FFN), range(4))),), read=40, keys=80, changed=20
    ),
    Layout(
        "other_model_flux",
        "transformer.{native}",
        ((a.PEFT, _in_blocks(("attn.to_q", "attn.to_k", "attn.to_v"), name="single_transformer_blocks")),),
        read=0,
        keys=12,
        changed=0,
    ),
    Layout(
        "other_model_hunyuan",
        NATIVE,
        ((a.PEFT, _in_blocks(("img_attn_qkv", "img_attn_proj", "txt_attn_qkv"), name="double_blocks")),),
        read=0,
        keys=12,
        changed=0,
    ),
    Layout(
        "lora_and_diff_on_one_weight",
        NATIVE,
        ((a.lora_and_difference, ("blocks.0.self_attn.q",)),),
        read=3,
        keys=3,
        changed=1,
    ),
    Layout("empty_file", "note", ((a.WHOLE, ("note",)),), read=0, keys=1, changed=0),
]


def build(layout: Layout, shapes: dict[str, torch.Size], seed: int = 0) -> tuple[dict[str, Tensor], dict[str, Formula]]:
    """The file of a layout for a model of `shapes`, and what it does to each weight that fits."""
    torch.manual_seed(seed)
    tensors, formulas = _written(layout.items, layout.spell, layout.width, shapes)
    if layout.low_items:
        others, _ = _written(layout.low_items, layout.spell.replace("transformer.", "transformer_2."), DIM, shapes)
        tensors |= others
    return tensors, {name: formula for name, formula in formulas.items() if name in shapes}


def _written(
    items: Items, spell: str, width: int, shapes: dict[str, torch.Size]
) -> tuple[dict[str, Tensor], dict[str, Formula]]:
    tensors: dict[str, Tensor] = {}
    formulas: dict[str, Formula] = {}
    for adapter, modules in items:
        for module in modules:
            name, weight, shape = _target(module, width, shapes)
            written = adapter(shape)
            path = _spelled(spell, name)
            tensors |= {f"{path}{suffix}": tensor.contiguous() for suffix, tensor in written.tensors.items()}
            if shapes.get(weight) == shape and written.weight:
                formulas[weight] = written.weight
                if written.bias:
                    formulas[weight.replace(".weight", ".bias")] = written.bias
    return tensors, formulas


def _target(module: str, width: int, shapes: dict[str, torch.Size]) -> tuple[str, str, torch.Size]:
    """The module's name in the file, the weight it means, and the shape the file is made for."""
    if module.startswith("patch_embedding."):
        name, channels = module.split(".")
        weight = f"diffusion_model.{name}.weight"
        shape = shapes[weight]
        return name, weight, shape if channels == "own" else torch.Size((DIM, int(channels), *shape[2:]))
    if f"diffusion_model.{module}.modulation" in shapes:
        weight = f"diffusion_model.{module}.modulation"
    elif module.endswith("modulation"):
        weight = f"diffusion_model.{module}"
    else:
        weight = f"diffusion_model.{module}.weight"
    factor = width / DIM
    known = shapes.get(weight) or torch.Size((DIM, DIM))
    return module, weight, known if width == DIM else torch.Size(int(size * factor) for size in known)


def _spelled(spell: str, native: str) -> str:
    block, _, rest = native.partition(".")
    head = ""
    if "blocks" in block:
        number, _, rest = rest.partition(".")
        head = f"{block}.{number}."
    else:
        rest = native
    diffusers = head + _DIFFUSERS.get(rest, rest)
    return spell.format(
        native=native, native_=native.replace(".", "_"), diffusers=diffusers, diffusers_=diffusers.replace(".", "_")
    )
