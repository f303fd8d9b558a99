"""The change that merges a LoRA into an expert when it is opened."""

import os
from dataclasses import dataclass
from typing import ClassVar
from uuid import uuid5

from comfy.model_patcher import ModelPatcher

from ...host.lora import never_merged, patched
from ..checkpoint.meta_model import skeleton
from .files import read_weights, scale_of
from .patches import find_patches


@dataclass(frozen=True)
class MergeLora:
    """One LoRA file at one strength, on the expert in `role`."""

    merges_weights: ClassVar[bool] = True
    path: str
    role: str
    strength: float

    @property
    def held_bytes(self) -> int:
        """The file's size: the host keeps the tensors as long as the patcher lives."""
        return os.path.getsize(self.path)

    def __call__(self, patcher: ModelPatcher) -> None:
        """Patch `patcher`, a clone: the host merges what it can, and what it would forget becomes an object patch."""
        before = patcher.patches_uuid
        # Not the patcher's own model: a quantised weight may have another shape than the one it stands for
        model = skeleton(patcher.model.model_config.unet_config)
        forgotten = never_merged(model)
        scale = scale_of(self.path)
        for part in find_patches(read_weights(self.path), self.role, model, scale).parts:
            patcher.add_patches({name: patch for name, patch in part.items() if name not in forgotten}, self.strength)
            for name in part.keys() & forgotten:
                patcher.add_object_patch(name, patched(patcher, name, part[name], self.strength))
        # The host merges anew whenever this changes: the same rows on the same weights keep what is merged already
        file = os.stat(self.path)
        patcher.patches_uuid = uuid5(before, f"{self} {file.st_mtime_ns} {file.st_size} {scale}")
