"""A few modules of a checkpoint, read without the rest."""

from collections.abc import Sequence

import torch

from ...host.models import BaseModel
from .contents import Checkpoint, own_tensors, prefix_of
from .header import read_header
from .meta_model import skeleton
from .quantised import as_host_reads, unpacked


def part_of(path: str, checkpoint: Checkpoint, modules: Sequence[str]) -> BaseModel | None:
    """The model with the weights of a few modules of its network in fp32, the others on the meta device.

    None if the file can't be mapped, or lacks one of them.
    """
    model = skeleton(checkpoint.config, torch.float32)
    network = model.diffusion_model
    names = [f"{module}.{own}" for module in modules for own in network.get_submodule(module).state_dict()]
    if not names:
        return model
    try:
        keys, _ = read_header(path)
        prefix = prefix_of(keys) or ""
        starts = tuple(f"{prefix}{module}." for module in modules)
        tensors, metadata = read_header(path, tuple(key for key in keys if key.startswith(starts)))
        own = own_tensors(tensors, prefix)
        if not own.keys() >= set(names):
            return None
        read, _ = as_host_reads(own, metadata, modules)
        weights = {name: unpacked(read.diffusion_model, name) for name in names}
    except RuntimeError:  # it is larger than what this machine lets anybody map
        return None
    network.load_state_dict(weights, strict=False, assign=True)
    return model
