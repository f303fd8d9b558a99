"""The one door to the host's model classes: which model a file holds, and the layers it is made of."""

from comfy.ldm.wan.model import sinusoidal_embedding_1d
from comfy.model_base import BaseModel
from comfy.model_detection import detect_unet_config, model_config_from_unet, model_config_from_unet_config
from comfy.ops import disable_weight_init

__all__ = [
    "BaseModel",
    "detect_unet_config",
    "disable_weight_init",
    "model_config_from_unet",
    "model_config_from_unet_config",
    "sinusoidal_embedding_1d",
]
