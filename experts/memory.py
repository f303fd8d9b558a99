"""Memory that a pair of experts takes, known from headers, and whether both of them stay there."""

from typing import Any, NamedTuple

import comfy.model_management
import torch

from ..host import memory as host_memory
from .handle import FileHandle
from .pair import AUTO, KEEP_BOTH, ONE_AT_A_TIME, Expert, Experts

_GIVES_BACK = "DynamicVRAM takes memory from the idle one when it is short"
HEADROOM = 0.08  # of all memory, left to the text encoder's remains, the VAE, the frames and the system
CPU = torch.device("cpu")


class Peak(NamedTuple):
    """Peak bytes of a run: in main memory with both experts kept or one at a time, and on the GPU."""

    ram_both: int
    ram_one: int
    vram: int


class Residency(NamedTuple):
    """Say whether both experts stay in memory, and why."""

    keep: bool
    why: str


def peak(experts: Experts, width: int = 832, height: int = 480, frames: int = 81) -> Peak:
    """Peak memory of a run over a video of `frames` frames of `width` x `height` pixels, from headers alone.

    A merged LoRA doubles a kept expert, because the host backs up every weight it changes; an expert that is thrown
    away needs no backup. The GPU figure is one whole expert and its activations; the host makes do with less.
    DynamicVRAM backs nothing up, and the copies that it pins have the file's own precision.
    """
    maps = host_memory.maps_files()
    held = [expert.handle.held_bytes + expert.lora_bytes for expert in experts]
    ram = [_file_bytes(expert) + expert.lora_bytes for expert in experts] if maps else held
    backed_up = [expert.handle.held_bytes for expert in experts if expert.merges_weights and not maps]
    activations = _activation_bytes(experts, width, height, frames)
    return Peak(sum(ram) + sum(backed_up), max(ram), max(held) + activations)


def residency(experts: Experts) -> Residency:
    """Say whether to keep both experts: as asked for, else by what the host says is free now."""
    if experts.residency != AUTO:
        return Residency(experts.residency == KEEP_BOTH, "asked for")
    files = [expert for expert in experts if isinstance(expert.handle, FileHandle)]
    if len(files) < 2:
        return Residency(True, "there is no second file to make room for")
    if host_memory.maps_files():
        return Residency(True, _GIVES_BACK if host_memory.gives_memory_back() else "--high-ram asks for it")
    opened = [expert for expert in files if expert.handle.in_memory]
    if len(opened) == len(files):
        return Residency(True, "both are in memory already")
    present = sum((2 if expert.merges_weights else 1) * expert.handle.held_bytes for expert in opened)
    needed = peak(experts).ram_both - present
    spare = _free_ram() - _reserve()
    why = f"both need {needed / 1e9:.1f} GB more and {max(spare, 0) / 1e9:.1f} GB can be spared"
    return Residency(needed <= spare, why)


def can_prefetch(handle: FileHandle) -> bool:
    """Say whether this file is still to be read, and the page cache can take it without pushing anything out."""
    return not handle.in_memory and handle.checkpoint.size < _free_ram() - _reserve()


def report(experts: Experts) -> str:
    """Both modes' peaks and what `residency` says now, for the loader's report."""
    if not all(expert.handle.held_bytes for expert in experts):
        return "memory: not known while a file is missing"
    chosen, peaks = residency(experts), peak(experts)
    if experts.low is None:
        return f"memory: {peaks.ram_one / 1e9:.1f} GB, GPU {peaks.vram / 1e9:.1f} GB at 832 x 480 x 81"
    mode = KEEP_BOTH if chosen.keep else ONE_AT_A_TIME
    limit = "at most " if host_memory.gives_memory_back() else ""
    return (
        f"memory: {limit}{peaks.ram_both / 1e9:.1f} GB for both, {peaks.ram_one / 1e9:.1f} GB one at a time, "
        f"GPU {peaks.vram / 1e9:.1f} GB at 832 x 480 x 81; residency {mode} ({chosen.why})"
    )


def _activation_bytes(experts: Experts, width: int, height: int, frames: int) -> int:
    """The host's own estimate for a batch of cond and uncond."""
    checkpoint = experts.high.handle.checkpoint
    if checkpoint is None:
        return 0
    model: Any = checkpoint.skeleton
    channels, stride = model.latent_format.latent_channels, checkpoint.variant.vae.stride
    return int(model.memory_required((2, channels, (frames - 1) // 4 + 1, height // stride, width // stride)))


def _reserve() -> int:
    total: Any = comfy.model_management.get_total_memory(CPU)
    return int(HEADROOM * total)


def _free_ram() -> int:
    free: Any = comfy.model_management.get_free_memory(CPU)
    return int(free)


def _file_bytes(expert: Expert) -> int:
    checkpoint = expert.handle.checkpoint
    return expert.handle.held_bytes if checkpoint is None else checkpoint.size
