"""A report on this ComfyUI: its way with weights, and known troubles of such a pair on such a machine, with cures."""

from collections.abc import Callable
from typing import NamedTuple

from .host_facts import KEEPS_CASTS, NEVER_MAPPED, WSL, HostFacts, gather
from .pair import Experts

SAGE = "sage"
ATTENTION = {
    SAGE: "SageAttention",
    "flash": "FlashAttention",
    "pytorch": "PyTorch",
    "sub_quad": "sub-quadratic",
    "comfy_kitchen_int8": "Comfy Kitchen (int8)",
}
PLACES = {
    "DISABLED": "in main memory, for the CPU",
    "SHARED": "in the memory that CPU and GPU share",
    "HIGH_VRAM": "on the GPU, always",
    "NO_VRAM": "in main memory, on the GPU only while they are used",
}
FITTING = "on the GPU as far as they fit, the rest in main memory"
SPEED_UPS = {"fp16_accumulation": "fp16 accumulation", "fp8_matrix_mult": "fp8 products", "autotune": "autotune"}


class Trouble(NamedTuple):
    """A combination that is known to go wrong, and its cure; `says` is formatted with the facts as `f`."""

    applies: Callable[[HostFacts], bool]
    says: str


TROUBLES = (
    # Comfy-Org/ComfyUI#8573 (I2V), #7020 (fp8), thu-ml/SageAttention#221 (fp8)
    Trouble(
        lambda f: f.attention == SAGE and (f.image_to_video or f.fp8),
        "SageAttention has made videos of I2V and of fp8 files black. If yours is, start ComfyUI without "
        "--use-sage-attention.",
    ),
    # Comfy-Org/ComfyUI#8689, thu-ml/SageAttention#162
    Trouble(
        lambda f: f.attention == SAGE and "fp16_accumulation" in f.flags and not f.keeps_casts,
        "With SageAttention and fp16 accumulation, torch.compile makes noise. To compile, set "
        f"{KEEPS_CASTS}=1 before ComfyUI starts.",
    ),
    # kijai/ComfyUI-WanVideoWrapper#1030, #915, pytorch/pytorch#167082
    Trouble(
        lambda f: f.e4m3 and f.capability is not None and f.capability < (8, 9),
        "torch.compile fails with fp8 e4m3 on this GPU (compute capability {f.capability[0]}.{f.capability[1]}, "
        "8.9 is needed). To compile, take 16-bit files, with weight_dtype fp8_e5m2 if they are too large.",
    ),
    # kijai/ComfyUI-WanVideoWrapper#283
    Trouble(
        lambda f: f.image_to_video and f.weight_dtype == "fp8_e4m3fn_fast",
        "fp8_e4m3fn_fast has made I2V videos blocky. If yours is, choose weight_dtype fp8_e4m3fn.",
    ),
    # city96/ComfyUI-GGUF#36, #113
    Trouble(
        lambda f: f.gguf,
        "Each LoRA slows GGUF files down, because it is added anew in every step. With several, fp8 files are faster.",
    ),
    # Comfy-Org/ComfyUI#15661, #14437
    Trouble(
        lambda f: f.maps and f.disk.spins and "high_ram" not in f.flags,
        "DynamicVRAM reads a hard disk again and again. Move the files to an SSD, or, if their {f.gigabytes:.0f} GB "
        "fit into memory, start ComfyUI with --high-ram.",
    ),
    # Comfy-Org/ComfyUI#14076
    Trouble(
        lambda f: f.maps and f.disk.filesystem == "fuseblk",
        "DynamicVRAM is slow on a disk that ntfs-3g has mounted. Mount it with ntfs3.",
    ),
    # Comfy-Org/ComfyUI#15679
    Trouble(
        lambda f: f.system == WSL and f.maps and f.pins and "fast_disk" not in f.flags,
        "Under WSL, pinned weights count as shared GPU memory of Windows. If that runs short, start ComfyUI with "
        "--fast-disk.",
    ),
    # Comfy-Org/ComfyUI#14250, Mooshieblob1/MooshieUI#641
    Trouble(
        lambda f: f.maps and f.pins and f.short_of_memory,
        "If a run stops with 'HostBuffer.read_file_slice failed', start ComfyUI with --disable-pinned-memory.",
    ),
    # Comfy-Org/ComfyUI#14876
    Trouble(
        lambda f: f.system == "Windows" and f.short_of_memory,
        "If each run is slower than the one before, empty the standby list of Windows with RAMMap.",
    ),
    # Comfy-Org/ComfyUI#14437; `ensure_pin_budget` of comfy/model_management.py knows no limit with this flag
    Trouble(
        lambda f: f.maps and f.keeps and "high_ram" in f.flags and f.size > f.ram,
        "--high-ram holds both files in memory, and their {f.gigabytes:.0f} GB are more than there is: the rest goes "
        "to the page file. If that is slow, start ComfyUI without it.",
    ),
    # `unet_offload_device` of comfy/model_management.py is the GPU then
    Trouble(
        lambda f: f.vram_state == "HIGH_VRAM" and f.keeps and f.size > f.vram,
        "--highvram and --gpu-only keep both experts on the GPU, where their {f.gigabytes:.0f} GB do not fit. Start "
        "ComfyUI without, or choose residency 'one at a time'.",
    ),
    # Comfy-Org/ComfyUI#12724; `execute_async` of execution.py unloads all models after a run
    Trouble(
        lambda f: f.maps and f.keeps and "disable_smart_memory" in f.flags,
        "--disable-smart-memory gives both experts' memory back after every run, and the next one reads them again. "
        "Start ComfyUI without it, unless other programs need that memory.",
    ),
    # kijai/ComfyUI-WanVideoWrapper#1044; no node's output outlives a prompt then, and a handle is one
    Trouble(
        lambda f: f.keeps and "cache_none" in f.flags,
        "--cache-none forgets both experts after every run, and the next one reads them again. Residency 'one at a "
        "time' saves more memory, without it.",
    ),
    # Comfy-Org/ComfyUI#14481; main.py asks for this version
    Trouble(
        lambda f: f.unmapped_by_torch,
        "PyTorch {f.torch} is too old for DynamicVRAM. Update it to 2.8 or newer.",
    ),
)


def report(experts: Experts) -> str:
    """Report what this ComfyUI does, and what to take care of with these experts on it."""
    return "\n".join(lines(gather(experts)))


def lines(facts: HostFacts) -> list[str]:
    """Write a line for the weights, one for attention and what speeds it up, and one for each trouble that applies."""
    attention = ATTENTION.get(facts.attention, facts.attention)
    speed_ups = [name for flag, name in SPEED_UPS.items() if flag in facts.flags]
    if facts.compiles:
        speed_ups.insert(0, "Comfy Compiler")
    return [
        f"weights: {_weights(facts)}",
        f"attention: {attention}" + "".join(f", {name}" for name in speed_ups),
        *(f"take care: {trouble.says.format(f=facts)}" for trouble in TROUBLES if trouble.applies(facts)),
    ]


def _weights(facts: HostFacts) -> str:
    if facts.maps and "fast_disk" in facts.flags:
        return "read from the files whenever the GPU needs them (DynamicVRAM, --fast-disk)"
    if facts.maps:
        copies = "pinned copies while memory is free" if facts.pins else "no pinned copies"
        return f"read from the files as the GPU needs them, {copies} (DynamicVRAM)"
    place = PLACES.get(facts.vram_state, FITTING)
    if not (facts.can_map and facts.nvidia):
        return place
    flag = next((f"--{flag.replace('_', '-')}" for flag in NEVER_MAPPED if flag in facts.flags), None)
    return f"{place}; DynamicVRAM is off ({flag or 'see the log of its start'})"
