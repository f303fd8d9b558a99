"""An expert without its weights, to answer the host's questions when the real one is closed."""

from typing import Any

import comfy.model_detection
import torch
from comfy.model_base import BaseModel
from comfy.model_patcher import ModelPatcher


def model_of(config: dict[str, Any]) -> BaseModel:
    """The host's model of a `unet_config`, on the meta device."""
    model_config: Any = comfy.model_detection.model_config_from_unet_config(config)
    model_config.set_inference_dtype(torch.bfloat16, None)
    return model_config.get_model({}, device=torch.device("meta"))


def twin_of(patcher: ModelPatcher) -> ModelPatcher:
    """A patcher of the same model on the meta device: latent format and sampling are real, weights are not there."""
    model = patcher.model.model_config.get_model({}, device=torch.device("meta"))
    model.model_sampling = patcher.get_model_object("model_sampling")
    return ModelPatcher(model, load_device=patcher.load_device, offload_device=patcher.offload_device)
