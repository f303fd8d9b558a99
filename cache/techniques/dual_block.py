"""DBCache and, with one block, FBCache: the first blocks always run, and what they add tells how much has changed.

After cache-dit's DBCache and ParaAttention's first-block cache; the last blocks never run on their own (B0).
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from ...host.models import BaseModel
from .base import FAST, REGULAR, Acceleration, Policy, Technique, relative_change


@dataclass(frozen=True)
class DualBlock(Technique, Policy):
    """Compares what the first blocks added with what they added when an evaluation was last computed."""

    accelerations: ClassVar = {REGULAR: Acceleration(threshold=0.08), FAST: Acceleration(threshold=0.16)}

    blocks: int = 1
    """Blocks that always run (F of cache-dit). Default 1."""

    @property
    def name(self) -> str:
        return "FirstBlockCache" if self.blocks == 1 else f"DualBlockCache F{self.blocks}"

    def policy(self, model: BaseModel, role: str) -> Policy:
        """Return itself for both experts; raises ValueError if the model has no more blocks than always run."""
        network: Any = model.diffusion_model
        layers = len(network.blocks)
        if self.blocks >= layers:
            raise ValueError(f"first_blocks is {self.blocks}, but the model has {layers} blocks. Set it below that.")
        return self

    def error(self, accumulated: Tensor | None, observed: Tensor) -> float:
        return math.inf if accumulated is None else relative_change(observed, accumulated)

    def update(self, accumulated: Tensor | None, observed: Tensor, computed: bool) -> Tensor | None:
        return observed if computed else accumulated
