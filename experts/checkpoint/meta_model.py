"""A model without weights: its module names and shapes, on the meta device."""

from typing import Any

import torch

from ...host.models import BaseModel, disable_weight_init, model_config_from_unet_config


def skeleton(config: dict[str, Any], dtype: torch.dtype = torch.bfloat16) -> BaseModel:
    """Build the host's model for a `unet_config`, as large as the real one and without a byte of it (20 ms for a 14B).

    Raises ValueError for a config that this host has no model for.
    """
    known = model_config_from_unet_config({k: v for k, v in config.items() if k != "dtype"})
    if known is None:
        raise ValueError(f"this ComfyUI knows no model with the settings {config}; connect a Wan 2.2 expert")
    known.set_inference_dtype(dtype, None)
    known.custom_operations = operations()
    return known.get_model({}, "", device=torch.device("meta"))


def operations() -> type:
    """Build the host's layers with their weights there from the start.

    Under DynamicVRAM a layer of the host has none until a file is read, unless a subclass reads files in its own way.
    """
    host = disable_weight_init
    layers = {
        name: type(name, (layer,), {"_load_from_state_dict": torch.nn.Module._load_from_state_dict})
        for name, layer in vars(host).items()
        if isinstance(layer, type) and issubclass(layer, torch.nn.Module)
    }
    return type("operations", (host,), layers)
