"""Every spelling of a LoRA key, brought to the one the host reads: `diffusion_model.<module>.<suffix>`.

A key is whatever wraps the network, a module, and a suffix. Wrappers are stripped until a module of the expert's own is
found: `k_img` and `norm_q` can't be told from a path by rule, nor can anybody list what trainers write in front.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch

from ..partner import role_of
from ..variant import HIGH, LOW

HOST_PREFIX = "diffusion_model."
_INSIDE = re.compile(r"(?<![^.])(?:_\w+|module|processor)\.")  # what torch and old diffusers put around single modules
_WORD = re.compile(r"[^._]+")
# Words before a module's name that make it the module of another network, or of a part that only some Wans have
_OTHER_PART = re.compile(
    r"te\d?|text|clip|t5|umt5|vae|blocks?|layers?|vace|face|audio|pose|ref|cam|camera|motion|casual|controlnet"
    r"|encoder|decoder|image|img|vision|ip|refiner|injector|single|double|joint"
)
_NUMBER = re.compile(r"(?<!wan)(?<=[a-z])_?([12])(?=_|$)")  # transformer_2 and dit2 are the low expert

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

# The halves of an adapter, maybe of a named one (PEFT), and what else is said of it
_ADAPTER = re.compile(
    r"[._](?:lora|network)[._](?:(?P<half>a|b|up|down|mid)(?:(?:\.(?P<name>[^.]+))?\.(?P<kind>weight|bias))?"
    r"|(?P<other>magnitude_vector|alpha)(?:\.(?!weight$)(?P<owner>[^.]+))?(?:\.weight)?)",
    re.IGNORECASE,
)
_HALVES = {"a": "A", "b": "B"}
_OTHERS = {"magnitude_vector": ".dora_scale", "alpha": ".alpha"}
_NAMED = re.compile(r"(\.(?:lokr|hada)_\w+)\.(?P<name>(?!weight$)[^.]+)")


class Spelled(NamedTuple):
    """A key taken apart: the words in front, the expert's module that it names, and what follows."""

    wrapper: str
    module: str
    suffix: str

    @property
    def is_down(self) -> bool:
        """Say whether it is the half of an adapter whose first size is the rank."""
        return _host_suffix(self.suffix) in (".lora_A.weight", ".lora_down.weight")

    @property
    def host(self) -> str:
        """The host's spelling of it."""
        return f"{HOST_PREFIX}{self.module}{_host_suffix(self.suffix)}"


def spellings(weights: Iterable[str]) -> dict[str, str]:
    """Every spelling of a module's name (native or diffusers), underscored, to its native one."""
    natives = [name.removeprefix(HOST_PREFIX).removesuffix(".weight") for name in weights]
    table: dict[str, str] = {}
    for spell in (_native, _diffusers):
        for native in natives:
            spelled = spell(native).replace(".", "_")
            table.setdefault(spelled, native)
            table.setdefault(spelled.removesuffix("_to_out_0") + "_to_out" * spelled.endswith("_to_out_0"), native)
    return table


def spelled(key: str, table: Mapping[str, str]) -> Spelled | None:
    """The meaning of `key`, if it names a module of the expert that `table` knows."""
    path = _INSIDE.sub("", key)
    if path.endswith(".diff_m"):  # LightX2V's difference of a block's modulation
        path = path.removesuffix("diff_m") + "modulation.diff"
    flat = path.replace(".", "_")
    words = list(_WORD.finditer(path))
    for end in _ends(path):
        for number, word in enumerate(words):
            if word.start() >= end or (number and _OTHER_PART.fullmatch(words[number - 1][0])):
                break
            module = table.get(flat[word.start() : end])
            if module is not None and _may_begin(path, words, number):
                return Spelled("_".join(before[0] for before in words[:number]), module, path[end:])
    return None


def share_of(role: str, keys: Mapping[str, Spelled | None]) -> list[str]:
    """The keys meant for one expert: a file may hold a LoRA for each, named in words or as a first and a second."""
    wrappers = {key: found.wrapper if found else _unknown_wrapper(key) for key, found in keys.items()}
    firsts = {_NUMBER.sub("", wrapper) for wrapper in wrappers.values() if _number(wrapper) == "2"}
    other = {HIGH: LOW, LOW: HIGH}[role]
    return [key for key, found in keys.items() if _role(wrappers[key], found, firsts) != other]


def host_tensor(key: str, tensor: torch.Tensor, dims: int) -> torch.Tensor:
    """The tensor of `key` as the host expects it: PEFT's magnitudes [out] become a column of a `dims`-D weight."""
    if "lora_magnitude_vector" in key:
        return tensor.reshape(-1, *[1] * (dims - 1))
    return tensor


def _may_begin(path: str, words: list[re.Match[str]], number: int) -> bool:
    """Say whether the name of a module may begin at a word: at a dot, or within a first part that is all underscores.

    `lora_transformer_blocks_0` is a block of Wan; `transformer_blocks` belong to other models.
    """
    start = words[number].start()
    if number == 0 or path[start - 1] == ".":
        return True
    return "." not in path[:start] and (words[number - 1][0] != "transformer" or number == 2)


def _ends(path: str) -> list[int]:
    """The places where the name of a module may end, the last one first; `k.img` is a module of its own."""
    return [match.start() for match in re.finditer(r"\.(?!img\b)|_lora\.", path)][::-1]


def _host_suffix(suffix: str) -> str:
    adapter = _ADAPTER.fullmatch(suffix)
    if adapter is None:
        named = _NAMED.fullmatch(suffix)
        return named[1] if named else suffix
    if adapter["other"]:
        return _OTHERS[adapter["other"].lower()]
    half = adapter["half"].lower()
    if adapter["kind"] == "bias":
        return ".diff_b" if half in ("b", "up") else suffix
    return f".lora_{_HALVES.get(half, half)}.weight"


def _role(wrapper: str, found: Spelled | None, firsts: set[str]) -> str | None:
    """The expert that the words in front of a key name, or those of its adapter."""
    adapter = found and (_ADAPTER.fullmatch(found.suffix) or _NAMED.fullmatch(found.suffix))
    for words in (wrapper, (adapter and adapter["name"]) or ""):
        role = role_of(words)
        if role:
            return role
    number = _number(wrapper)
    if firsts and (number == "1" or wrapper in firsts):
        return HIGH
    return LOW if number == "2" else None


def _number(wrapper: str) -> str | None:
    found = _NUMBER.search(wrapper)
    return found[1] if found else None


def _unknown_wrapper(key: str) -> str:
    """The words in front of a key of no known module: up to its blocks, or the first ones."""
    start = re.split(r"(?:^|(?<=[._]))blocks[._]", key)[0] if "blocks" in key else key.partition(".")[0]
    return "_".join(_WORD.findall(_INSIDE.sub("", start)))


def _native(name: str) -> str:
    return name


def _diffusers(name: str) -> str:
    name = f".{name}."
    for native, other in _DIFFUSERS.items():
        name = name.replace(native, other)
    return name[1:-1]
