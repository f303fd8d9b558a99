"""An expert's share in the runs to come: which steps are its own, and what a planned technique sees at them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from comfy.model_base import BaseModel
from torch import Tensor

from .guards import FEW_STEPS, Stage
from .masks import mask_of
from .planning import Outlook
from .settings import Settings
from .techniques.base import Technique

Own = Callable[[Sequence[float]], Sequence[int]]
"""From the sigmas of a run, the numbers of the steps that an expert does."""


@dataclass(frozen=True)
class Prospect:
    """A technique with its settings on the expert in `role`. `idle` says why nothing is reused whatever the run."""

    technique: Technique
    settings: Settings
    role: str
    own: Own
    idle: str = ""

    def stage(self, sigmas: Tensor) -> tuple[Stage, str]:
        """The expert's part of a run, and why nothing is reused there; empty if something may be."""
        values = tuple(sigmas.tolist())
        steps = len(values) - 1
        self.settings.window.check(steps)
        idle = self.idle
        if not idle and steps < FEW_STEPS and not self.settings.force:
            idle = f"a run of fewer than {FEW_STEPS} steps"
        return Stage(values, tuple(self.own(values)), mask_of(self.settings.mask, steps)), idle

    def retaining(self, policy: Any, stage: Stage) -> Settings:
        """The settings with as much of a warm-up as the technique asks for."""
        retained = math.ceil(getattr(policy, "retention", 0.0) * len(stage.own))
        return replace(self.settings, warmup=max(self.settings.warmup, retained))

    def outlook(self, sigmas: Tensor, model: BaseModel) -> Outlook | None:
        """What a planned technique has ahead of it on `model` in a run; None if no step is its own."""
        stage, _ = self.stage(sigmas)
        if not stage.own:
            return None
        policy: Any = self.technique.policy(model, self.role)
        changes = policy.changes(model, sigmas[list(stage.own)])
        return Outlook(policy, self.retaining(policy, stage), stage, changes)
