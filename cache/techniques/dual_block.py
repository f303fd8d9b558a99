"""DBCache and, with one block, FBCache: the first blocks always run, and what they add tells how much has changed.

After cache-dit's DBCache and ParaAttention's first-block cache; the last blocks never run on their own (B0).
"""

import math
from dataclasses import dataclass
from typing import Any

from comfy.model_base import BaseModel
from torch import Tensor

from .base import Policy, relative_change


@dataclass(frozen=True)
class DualBlock:
    """Compares what the first `blocks` blocks added with what they added when an evaluation was last computed."""

    blocks: int = 1
    modules = ()

    @property
    def name(self) -> str:
        return "FirstBlockCache" if self.blocks == 1 else f"DualBlockCache F{self.blocks}"

    def policy(self, model: BaseModel, role: str) -> Policy:
        """The same for both experts; raises ValueError if the model has no more blocks than would always run."""
        network: Any = model.diffusion_model
        layers = len(network.blocks)
        if self.blocks >= layers:
            raise ValueError(f"first_blocks is {self.blocks}, but the model has {layers} blocks. Set it below that.")
        return self

    def error(self, since: Tensor | None, seen: Tensor) -> float:
        return math.inf if since is None else relative_change(seen, since)

    def after(self, since: Tensor | None, seen: Tensor, computed: bool) -> Tensor | None:
        return seen if computed else since
