"""Patchers: tell the host's kinds apart, and apply patches for good."""

from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import CallbacksMP, WrappersMP

__all__ = ["CallbacksMP", "WrappersMP", "is_dynamic", "merge_patches"]


def is_dynamic(patcher: Any) -> bool:
    """Say whether the host keeps this patcher's weights mapped and patches them as they are used (2026 hosts)."""
    return hasattr(patcher, "is_dynamic") and patcher.is_dynamic()


def merge_patches(patcher: ModelPatcher) -> None:
    """Apply the patches of a patcher that nobody else holds, a weight at a time, computed where it will run."""
    for key in list(patcher.patches):
        module: Any = patcher.get_model_object(key.rpartition(".")[0])
        quantised = hasattr(module, "set_weight")  # then the host puts a new weight in the old one's place
        patcher.patch_weight_to_device(key, device_to=patcher.load_device, inplace_update=not quantised)
        if quantised:
            module.to(patcher.offload_device)
        patcher.backup.pop(key, None)
        del patcher.patches[key]
