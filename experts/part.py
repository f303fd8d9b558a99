"""A few modules of a checkpoint, read without the rest."""

from collections.abc import Mapping, Sequence

import torch
from comfy.model_base import BaseModel
from torch import Tensor

from .checkpoint import Checkpoint, prefix_of
from .header import read_header
from .skeleton import skeleton

SCALES = (".scale_weight", ".weight_scale")  # of an fp8 weight, in ComfyUI's older and newer files
BESIDE = (".scale_input", ".input_scale", ".comfy_quant")  # what else they say of it


def part_of(path: str, checkpoint: Checkpoint, modules: Sequence[str]) -> BaseModel | None:
    """The model with the weights of a few modules of its network in fp32, the others on the meta device.

    None if the file has them in a form that is not known here, or can't be mapped.
    """
    model = skeleton(checkpoint.config, torch.float32)
    if not modules:
        return model
    names = {f"{name}.{own}" for name in modules for own in model.diffusion_model.get_submodule(name).state_dict()}
    try:
        tensors, _ = read_header(path, (*names, *SCALES))
    except RuntimeError:  # it is larger than what this machine lets anybody map
        return None
    prefix = prefix_of(tensors) or ""
    starts = tuple(f"{prefix}{name}." for name in modules)
    weights = _unscaled({key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(starts)})
    if weights is None or weights.keys() != names:
        return None
    model.diffusion_model.load_state_dict(weights, strict=False, assign=True)
    return model


def _unscaled(stored: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Weights in fp32, each by its scale; None if one is not of floats, or has another scale for each of its parts."""
    weights = {key: tensor for key, tensor in stored.items() if not key.endswith((*SCALES, *BESIDE))}
    scales = {key.rpartition(".")[0] + ".weight": tensor for key, tensor in stored.items() if key.endswith(SCALES)}
    if any(scale.numel() != 1 for scale in scales.values()):
        return None
    if not all(weight.is_floating_point() for weight in weights.values()):
        return None
    return {key: weight.float() * scales.get(key, torch.ones(())).float() for key, weight in weights.items()}
