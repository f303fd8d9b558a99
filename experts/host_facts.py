"""Facts about this ComfyUI, its machine and the files of a pair, gathered before any weight is read."""

import os
import platform
from dataclasses import dataclass
from typing import Any

import comfy.model_management
import torch

from ..host import memory as host_memory
from ..host import settings
from .checkpoint.header import stored_types
from .disk import UNKNOWN, Disk, disk_of
from .handle import FileHandle
from .memory import CPU, residency
from .pair import Experts

WSL = "WSL"
NEVER_MAPPED = ("disable_dynamic_vram", "highvram", "gpu_only", "novram", "cpu")  # flags that switch DynamicVRAM off
KEEPS_CASTS = "TORCHINDUCTOR_EMULATE_PRECISION_CASTS"


@dataclass(frozen=True)
class HostFacts:
    """Facts that `host_report` depends on. Sizes are bytes; `flags` are as in the host's parsed arguments."""

    system: str = "Linux"
    ram: int = 0
    vram: int = 0
    nvidia: bool = False
    capability: tuple[int, int] | None = None
    torch: str = ""
    flags: frozenset[str] = frozenset()
    keeps_casts: bool = False
    vram_state: str = "NORMAL_VRAM"
    can_map: bool = False
    maps: bool = False
    pins: bool = False
    attention: str = "pytorch"
    compiles: bool = False

    image_to_video: bool = False
    keeps: bool = True
    size: int = 0
    weight_dtype: str = "default"
    stored: frozenset[str] = frozenset()
    gguf: bool = False
    disk: Disk = UNKNOWN

    @property
    def e4m3(self) -> bool:
        """Say whether weights are fp8 e4m3 once they are open."""
        return "e4m3" in self.weight_dtype or (self.weight_dtype == "default" and "F8_E4M3" in self.stored)

    @property
    def fp8(self) -> bool:
        """Say whether weights are fp8 of any kind once they are open."""
        return self.e4m3 or "fp8" in self.weight_dtype or any(kind.startswith("F8_E") for kind in self.stored)

    @property
    def gigabytes(self) -> float:
        """The size as a text gives it."""
        return self.size / 1e9

    @property
    def unmapped_by_torch(self) -> bool:
        """Say whether nothing but PyTorch keeps this host from DynamicVRAM."""
        wanted = self.can_map and self.nvidia and not self.maps and not self.flags & set(NEVER_MAPPED)
        return wanted and tuple(map(int, self.torch.split(".")[:2])) < (2, 8)

    @property
    def short_of_memory(self) -> bool:
        """Say whether the files take more than half of main memory; Windows lets no program pin more than that."""
        return 2 * self.size > self.ram


def gather(experts: Experts) -> HostFacts:
    """The facts of this process and of the files of `experts`; takes milliseconds."""
    device = comfy.model_management.get_torch_device()
    nvidia = comfy.model_management.is_nvidia() and device.type == "cuda"
    flags = settings.flags()
    handles = [expert.handle for expert in experts]
    files = [handle for handle in handles if isinstance(handle, FileHandle)]
    return HostFacts(
        system=WSL if "microsoft" in platform.uname().release.lower() else platform.system(),
        ram=_total(CPU),
        vram=_total(device),
        nvidia=nvidia,
        capability=torch.cuda.get_device_capability(device) if nvidia else None,
        torch=torch.__version__,
        flags=flags,
        keeps_casts=os.environ.get(KEEPS_CASTS) == "1",
        vram_state=comfy.model_management.vram_state.name,
        can_map=settings.knows_dynamic_vram(),
        maps=host_memory.maps_files(),
        pins="disable_pinned_memory" not in flags and getattr(comfy.model_management, "MAX_PINNED_MEMORY", 0) > 0,
        attention=settings.attention(),
        compiles=settings.compiles(device),
        image_to_video=experts.variant.image_to_video,
        keeps=residency(experts).keep,
        size=sum(handle.held_bytes for handle in handles),
        weight_dtype=files[0].weight_dtype if files else "default",
        stored=frozenset().union(*(stored_types(handle.path) for handle in files)),
        gguf=any(handle.name.lower().endswith(".gguf") for handle in handles),
        disk=disk_of(files[0].path) if files else UNKNOWN,
    )


def _total(device: torch.device) -> int:
    total: Any = comfy.model_management.get_total_memory(device)
    return int(total)
