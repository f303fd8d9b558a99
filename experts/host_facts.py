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
    """Facts that `host_report` depends on; those of the files come after those of the machine."""

    system: str = "Linux"
    """Operating system by Python's name, or WSL."""
    ram: int = 0
    """Bytes of main memory."""
    vram: int = 0
    """Bytes of the device that computes."""
    nvidia: bool = False
    """That device is NVIDIA's."""
    capability: tuple[int, int] | None = None
    """Its compute capability, if it is NVIDIA's."""
    torch: str = ""
    """Version of PyTorch."""
    flags: frozenset[str] = frozenset()
    """Switches that are on, by their names in the host's parsed arguments, and what --fast names."""
    keeps_casts: bool = False
    """Inductor is told to keep casts between precisions."""
    vram_state: str = "NORMAL_VRAM"
    """The host's name for where weights go."""
    can_map: bool = False
    """The host knows DynamicVRAM."""
    maps: bool = False
    """DynamicVRAM is on."""
    pins: bool = False
    """The host pins main memory."""
    attention: str = "pytorch"
    """The host's name for its attention."""
    compiles: bool = False
    """Comfy Compiler is on."""

    image_to_video: bool = False
    """The pair animates an image."""
    keeps: bool = True
    """Both experts stay in memory."""
    size: int = 0
    """Bytes of the open weights of all experts."""
    weight_dtype: str = "default"
    """Choice of the loader's widget."""
    stored: frozenset[str] = frozenset()
    """Types of the tensors in the files, by safetensors' names."""
    gguf: bool = False
    """A file is GGUF."""
    disk: Disk = UNKNOWN
    """Disk of the first file."""

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
