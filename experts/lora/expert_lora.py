"""One LoRA file on one expert, as data: it acts when the expert is opened."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .schedule import Schedule

StrengthsAt = Callable[[Sequence[float], float], Sequence[float]]
"""From the sigmas of a run and the one at hand, the strength of each LoRA of an expert."""


@dataclass(frozen=True)
class ExpertLora:
    """A file's part on the expert in `role`."""

    path: str
    """The file."""
    role: str
    """Expert that takes its share of the file: `high` or `low`."""
    strength: Schedule
    """Strength; one that changes while its expert runs needs a plan, which says which step is which."""
    file: str = ""
    """Name of the file in models/loras, for reports."""
    shared: bool = False
    """The other expert has the same file."""

    @property
    def held_bytes(self) -> int:
        """The file's size: the host keeps the tensors of a merged LoRA as long as the patcher lives."""
        return os.path.getsize(self.path)

    @property
    def may_merge(self) -> bool:
        """Say whether a plan may find that the strength holds all along: one with phases may."""
        return self.strength.constant is not None or len(self.strength.parts) > 2

    def constant(self) -> float:
        """The one strength there is. Raises ValueError for one that changes: only a plan knows when."""
        if self.strength.constant is None:
            raise ValueError(
                f"LoRA {os.path.basename(self.path)}: schedule '{self.strength}' changes the strength within a stage, "
                "and only Wan 2.2 Guider and Wan 2.2 Video Sampler know the steps. Sample with one of them, or give "
                "one value a stage, as in '0.9;1'"
            )
        return self.strength.constant
