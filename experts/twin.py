"""An expert without its weights, to answer the host's questions when the real one is closed."""

from comfy.model_patcher import ModelPatcher

from .skeleton import skeleton


def twin_of(patcher: ModelPatcher) -> ModelPatcher:
    """A patcher of the same model on the meta device: latent format and sampling are real, weights are not there."""
    model = skeleton(patcher.model.model_config.unet_config)
    model.add_module("model_sampling", patcher.get_model_object("model_sampling"))
    return ModelPatcher(model, load_device=patcher.load_device, offload_device=patcher.offload_device)
