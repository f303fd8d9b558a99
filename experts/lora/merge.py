"""Merge a LoRA into an expert that is being opened."""

import os
from uuid import uuid5

from comfy.model_patcher import ModelPatcher

from ...host.lora import never_merged, patched
from ..checkpoint.meta_model import skeleton
from .expert_lora import ExpertLora
from .files import read_weights, scale_of
from .patches import find_patches


def merge_lora(patcher: ModelPatcher, lora: ExpertLora) -> None:
    """Patch `patcher`, a clone: the host merges what it can, and what it would forget becomes an object patch.

    Raises ValueError for a strength that changes.
    """
    strength = lora.constant()
    before = patcher.patches_uuid
    # Not the patcher's own model: a quantised weight may have another shape than the one it stands for
    model = skeleton(patcher.model.model_config.unet_config)
    forgotten = never_merged(model)
    scale = scale_of(lora.path)
    for part in find_patches(read_weights(lora.path), lora.role, model, scale).parts:
        patcher.add_patches({name: patch for name, patch in part.items() if name not in forgotten}, strength)
        for name in part.keys() & forgotten:
            patcher.add_object_patch(name, patched(patcher, name, part[name], strength))
    # The host merges again whenever this changes: the same LoRAs on the same weights keep what is merged already
    file = os.stat(lora.path)
    patcher.patches_uuid = uuid5(before, f"{lora} {file.st_mtime_ns} {file.st_size} {scale}")
