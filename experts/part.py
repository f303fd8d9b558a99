"""A few modules of a checkpoint, read without the rest."""

from collections.abc import Sequence

import torch
from comfy.model_base import BaseModel

from .checkpoint import Checkpoint, prefix_of
from .header import read_header
from .skeleton import skeleton


def part_of(path: str, checkpoint: Checkpoint, modules: Sequence[str]) -> BaseModel | None:
    """The model with the weights of a few modules of its network in fp32, the others on the meta device.

    None if the file has them in another form, such as scaled fp8, or can't be mapped.
    """
    model = skeleton(checkpoint.config, torch.float32)
    if not modules:
        return model
    try:
        tensors, _ = read_header(path, tuple(_names(model, modules)))
    except RuntimeError:  # it is larger than the memory that this machine lets anybody map
        return None
    prefix = prefix_of(tensors) or ""
    starts = tuple(f"{prefix}{name}." for name in modules)
    stored = {key.removeprefix(prefix): tensor.float() for key, tensor in tensors.items() if key.startswith(starts)}
    if stored.keys() != _names(model, modules):
        return None
    model.diffusion_model.load_state_dict(stored, strict=False, assign=True)
    return model


def _names(model: BaseModel, modules: Sequence[str]) -> set[str]:
    """The weights of some modules of its network, by name."""
    return {f"{name}.{own}" for name in modules for own in model.diffusion_model.get_submodule(name).state_dict()}
