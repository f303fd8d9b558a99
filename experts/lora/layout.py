"""Every known spelling of a LoRA key, brought to the one the host reads: `diffusion_model.<module>.<suffix>`.

Underscored names are looked up among the model's own modules: `k_img` and `norm_q` can't be told from a path by rule.
"""

import re
from collections.abc import Iterable

import torch

from ..kind import HIGH, LOW

HOST_PREFIX = "diffusion_model."
_DOTTED = re.compile(r"^(?:base_model\.model\.|diffusion_model\.|model\.|pipe\.dit\.|unet\.|transformer(?:_2)?\.)+")
_FLAT = re.compile(r"^(?:lora_unet__?|lora_transformer_|lycoris_)")
_SECOND = re.compile(r"^(?:base_model\.model\.)?transformer_2\.")  # the low expert, in diffusers' words
_FIRST = re.compile(r"^(?:base_model\.model\.)?transformer\.")

# Native to diffusers, on names between dots
_DIFFUSERS = {
    ".self_attn.": ".attn1.",
    ".cross_attn.": ".attn2.",
    ".q.": ".to_q.",
    ".k.": ".to_k.",
    ".v.": ".to_v.",
    ".o.": ".to_out.0.",
    ".k_img.": ".add_k_proj.",
    ".v_img.": ".add_v_proj.",
    ".norm_k_img.": ".norm_added_k.",
    ".norm3.": ".norm2.",
    ".ffn.0.": ".ffn.net.0.proj.",
    ".ffn.2.": ".ffn.net.2.",
    ".text_embedding.0.": ".condition_embedder.text_embedder.linear_1.",
    ".text_embedding.2.": ".condition_embedder.text_embedder.linear_2.",
    ".time_embedding.0.": ".condition_embedder.time_embedder.linear_1.",
    ".time_embedding.2.": ".condition_embedder.time_embedder.linear_2.",
    ".time_projection.1.": ".condition_embedder.time_proj.",
    ".img_emb.proj.0.": ".condition_embedder.image_embedder.norm1.",
    ".img_emb.proj.1.": ".condition_embedder.image_embedder.ff.net.0.proj.",
    ".img_emb.proj.3.": ".condition_embedder.image_embedder.ff.net.2.",
    ".img_emb.proj.4.": ".condition_embedder.image_embedder.norm2.",
    ".head.head.": ".proj_out.",
    ".head.modulation.": ".scale_shift_table.",
    ".modulation.": ".scale_shift_table.",
}

# PEFT to the host's own
_MAGNITUDES = {f".lora_magnitude_vector{tail}" for tail in ("", ".weight", ".default", ".default.weight")}
_SUFFIXES = {
    ".lora_B.bias": ".diff_b",
    ".lora_B.default.bias": ".diff_b",
    **dict.fromkeys(_MAGNITUDES, ".dora_scale"),
}


def spellings(weights: Iterable[str]) -> dict[str, str]:
    """Every spelling of a module's name (native or diffusers, dotted or underscored) to its native one."""
    natives = [name.removeprefix(HOST_PREFIX).removesuffix(".weight") for name in weights]
    table: dict[str, str] = {}
    for spell in (_native, _diffusers):
        for native in natives:
            spelled = spell(native)
            table.setdefault(spelled, native)
            table.setdefault(spelled.replace(".", "_"), native)
    return table


def share_of(role: str, keys: Iterable[str]) -> list[str]:
    """The keys meant for one expert: a file that names a `transformer_2` holds a LoRA for each."""
    keys = list(keys)
    if not any(_SECOND.match(key) for key in keys):
        return keys
    others = {HIGH: _SECOND, LOW: _FIRST}[role]
    return [key for key in keys if not others.match(key)]


def host_key(key: str, table: dict[str, str]) -> str:
    """The host's spelling of `key`; a key of no known module is left as it is."""
    path = _FLAT.sub("", _DOTTED.sub("", key))
    if path.endswith(".diff_m"):  # LightX2V's difference of a block's modulation
        path = path.removesuffix("diff_m") + "modulation.diff"
    end = len(path)
    while (end := path.rfind(".", 0, end)) > 0:
        if path[:end] in table:
            suffix = path[end:]
            return f"{HOST_PREFIX}{table[path[:end]]}{_SUFFIXES.get(suffix, suffix)}"
    return key


def host_tensor(key: str, tensor: torch.Tensor, dims: int) -> torch.Tensor:
    """The tensor of `key` as the host expects it: PEFT's magnitudes [out] become a column of a `dims`-D weight."""
    if any(key.endswith(suffix) for suffix in _MAGNITUDES):
        return tensor.reshape(-1, *[1] * (dims - 1))
    return tensor


def _native(name: str) -> str:
    return name


def _diffusers(name: str) -> str:
    name = f".{name}."
    for native, other in _DIFFUSERS.items():
        name = name.replace(native, other)
    return name[1:-1]
