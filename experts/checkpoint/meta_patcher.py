"""An expert without its weights, to answer the host's questions when the real one is closed."""

import comfy.model_management
from comfy.model_patcher import ModelPatcher

from .contents import Checkpoint
from .meta_model import skeleton


def twin_of_checkpoint(checkpoint: Checkpoint) -> ModelPatcher:
    """The twin of a file that is still closed."""
    device, offload = comfy.model_management.get_torch_device(), comfy.model_management.unet_offload_device()
    return ModelPatcher(checkpoint.skeleton, load_device=device, offload_device=offload)


def twin_of(patcher: ModelPatcher) -> ModelPatcher:
    """A patcher of the same model on the meta device: latent format and sampling are real, weights are not there."""
    model = skeleton(patcher.model.model_config.unet_config)
    model.add_module("model_sampling", patcher.get_model_object("model_sampling"))
    return ModelPatcher(model, load_device=patcher.load_device, offload_device=patcher.offload_device)
