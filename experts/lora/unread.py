"""The keys that nobody reads, grouped by why."""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from .patches import Patches

_BLOCK = re.compile(r"(\bblocks[._])(\d+)")
_SHOWN = 4  # patterns a group


class Reason(NamedTuple):
    """Why keys were not read. `harmless`: nothing the file was made for is lost on this expert."""

    text: str
    harmless: bool


class Group(NamedTuple):
    """Keys that were not read for one reason."""

    reason: Reason
    keys: list[str]

    def __str__(self) -> str:
        patterns = folded(self.keys)
        more = f", and {len(patterns) - _SHOWN} more" if len(patterns) > _SHOWN else ""
        count = f"{len(self.keys)} key{'s' * (len(self.keys) > 1)}"
        return f"{count}: {self.reason.text} ({', '.join(patterns[:_SHOWN])}{more})"


_REASONS = (
    (
        r"[kv][._]img|img_emb|add_[kv]_proj|norm_added_k|image_embedder",
        Reason("image attention of Wan 2.1 I2V, which this expert doesn't have: harmless", harmless=True),
    ),
    (r"vace_", Reason("VACE blocks, which this expert doesn't have: harmless", harmless=True)),
    (
        r"(?:^|\.)(?:lora_te|text_encoder|te\d?\.|clip|u?mt5)",
        Reason("text encoder, which Wan Duet leaves as it is: harmless", harmless=True),
    ),
    (r"[qkvo]_loras\.", Reason("a side path that needs its own node (Stand-In): not applied", harmless=False)),
)
_OTHER_MODELS = (  # the first that fits any key of a file
    (r"double_blocks|single_(?:transformer_)?blocks", "Flux or Hunyuan Video"),
    (r"joint_blocks", "Stable Diffusion 3"),
    (r"(?:down|up|input|output|mid)_blocks?[._]", "Stable Diffusion"),
    (r"transformer_blocks.*(?:img_mod|txt_mod|img_mlp|txt_mlp)", "Qwen Image"),
    (r"transformer_blocks", "LTX Video, Qwen Image or another transformer"),
)
_OF_ANOTHER_MODEL = Reason("names of another model: not applied", harmless=False)
_NO_MODULE = Reason("modules this expert doesn't have: not applied", harmless=False)
_AGAIN = Reason("another adapter of modules that have one already: not applied", harmless=False)
_OF_A_MODULE = (
    (
        r"[._]lora[._](?:a|b|up|down)(?:$|\.(?!(?:.*\.)?bias$))",
        Reason("half of an adapter without its other half: not applied", harmless=False),
    ),
    (
        r"\.(?:base_layer\.)?(?:weight|bias)$",
        Reason("whole weights, which no LoRA has: not applied", harmless=False),
    ),
)
_UNKNOWN_KIND = Reason("a kind of adapter that ComfyUI doesn't read: not applied", harmless=False)


def grouped(patches: Patches, layers: int) -> list[Group]:
    """The groups of unread keys, for an expert of `layers` blocks."""
    groups: dict[Reason, list[str]] = defaultdict(list)
    for key in patches.unread:
        if key in patches.again:
            reason = _AGAIN
        else:
            reason = _of_a_module(patches.known[key]) if key in patches.known else _reason(key, layers)
        groups[reason].append(key)
    return [Group(reason, found) for reason, found in groups.items()]


def folded(keys: Iterable[str]) -> list[str]:
    """The keys with their block numbers folded: `blocks.{0..39}.cross_attn.k_img.lora_A.weight x40`."""
    patterns: dict[str, list[int]] = defaultdict(list)
    for key in keys:
        patterns[_BLOCK.sub(r"\1*", key)].append(block_of(key) or 0)
    return [_folded(pattern, blocks) for pattern, blocks in patterns.items()]


def block_of(key: str) -> int | None:
    """The number of the block a key or weight belongs to."""
    found = _BLOCK.search(key)
    return int(found[2]) if found else None


def _folded(pattern: str, blocks: list[int]) -> str:
    if len(blocks) == 1:
        return pattern.replace("*", str(blocks[0]))
    return f"{pattern.replace('*', f'{{{min(blocks)}..{max(blocks)}}}')} x{len(blocks)}"


def other_model(keys: Iterable[str]) -> str | None:
    """The other model that a file's keys name, none of which could be read; None if that can't be told."""
    keys = [key for key in keys if not _told(key)]
    found = (name for pattern, name in _OTHER_MODELS if any(re.search(pattern, key) for key in keys))
    return next(found, None)


def _of_a_module(suffix: str) -> Reason:
    found = (reason for pattern, reason in _OF_A_MODULE if re.match(pattern, suffix, re.IGNORECASE))
    return next(found, _UNKNOWN_KIND)


def _told(key: str) -> Reason | None:
    return next((reason for pattern, reason in _REASONS if re.search(pattern, key)), None)


def _reason(key: str, layers: int) -> Reason:
    if reason := _told(key):
        return reason
    if any(re.search(pattern, key) for pattern, _ in _OTHER_MODELS):
        return _OF_ANOTHER_MODEL
    block = block_of(key)
    if block is not None and block >= layers:
        return Reason(f"blocks from {layers} on, and this expert has {layers}: not applied", harmless=False)
    return _NO_MODULE
