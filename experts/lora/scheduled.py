"""A LoRA whose strength changes while its expert runs: what is known of it before there is a plan."""

import os
from dataclasses import dataclass

from comfy.model_patcher import ModelPatcher

from .schedule import Schedule


@dataclass(frozen=True)
class ScheduledLora:
    """One LoRA file on the expert in `role`. Only the guider knows the steps, so only it can open such an expert."""

    path: str
    role: str
    strength: Schedule

    @property
    def merges_weights(self) -> bool:
        """Whether a plan may find that the strength holds all along on this expert: one with phases may."""
        return len(self.strength.parts) > 2

    @property
    def held_bytes(self) -> int:
        """The file's size: the host keeps the tensors as long as the patcher lives."""
        return os.path.getsize(self.path)

    def __call__(self, patcher: ModelPatcher) -> None:
        """Raises ValueError: nobody has said which step is which."""
        raise ValueError(
            f"LoRA {os.path.basename(self.path)}: schedule '{self.strength}' changes the strength within a stage, and "
            "only Wan 2.2 Guider and Wan 2.2 Video Sampler know the steps. Sample with one of them, or give one value "
            "a stage, as in '0.9;1'"
        )
