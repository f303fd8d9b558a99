"""What a stage of a run remembers of its evaluations."""

import math
from collections.abc import Hashable
from dataclasses import replace
from typing import Any

from comfy.model_base import BaseModel
from torch import Tensor

from .evaluation import Evaluation, Key
from .guards import Progress, Stage, forced
from .planning import solved
from .policy import Accumulated
from .settings import Settings
from .store import Residuals


class StageState:
    """All that is known within one stage. It goes when the experts change, and when the run ends.

    `changes` is what a planned technique sees, by step; `idle` says why nothing is reused at all.
    """

    def __init__(self, settings: Settings, policy: Any, stage: Stage, sigmas: Tensor, idle: str):
        retained = math.ceil(getattr(policy, "retention", 0.0) * len(stage.own))
        self.settings = replace(settings, warmup=max(settings.warmup, retained))
        self.policy, self.stage, self.sigmas, self.idle = policy, stage, sigmas, idle
        self.residuals = Residuals(settings.device, settings.extrapolate)
        self.threshold = settings.threshold
        self.changes: dict[int, float] | None = None
        self.prompts: set[Hashable] = set()
        self.since_key: Key | None = None
        self.since: Any = None
        self._progress = Progress()
        self._rates: dict[int, float] = {}  # of the technique's estimates, by step

    def plan(self, model: BaseModel) -> None:
        """For a planned technique: look ahead at all steps, and find the threshold that meets the target."""
        changes = self.policy.changes(model, self.sigmas[list(self.stage.own)])
        self.changes = dict(zip(self.stage.own, changes, strict=True))
        if self.settings.target:
            self.threshold = solved(self.policy, changes, self.settings, self.stage)

    @property
    def near_target(self) -> float | None:
        """For a technique that can't plan: the threshold that would have come near the target, if there is one.

        By how much the video has changed from step to step, as if that added up.
        """
        if not (self.settings.target and self.policy.blocks and self._rates):
            return None
        rates = [self._rates.get(step, 0.0) for step in self.stage.own]
        return solved(Accumulated(), rates, self.settings, self.stage)

    def begin(self, sigma: float, weights: tuple[float, ...]) -> Evaluation:
        """The next evaluation, decided as far as it can be without running a block."""
        why = self.idle or forced(self.settings, self.stage, self._progress, sigma)
        evaluation = Evaluation(sigma, why, False if why else None, weights)
        step = self.stage.step(sigma)
        if self.changes is not None and step is not None:
            evaluation.seen = self.changes[step]
            evaluation.error = error = self.policy.error(self.since, evaluation.seen)
            if not why:
                evaluation.settle(error < self.threshold)
        return evaluation

    def forget(self) -> None:
        """Let go of every tensor."""
        self.residuals.clear()
        self.since = self.since_key = None

    def end(self, evaluation: Evaluation) -> None:
        """Take note of what really happened."""
        computed = not evaluation.reused
        if evaluation.lead_key != self.since_key:
            self.since = None
        self.since = self.policy.after(self.since, evaluation.seen, computed)
        self.since_key = evaluation.lead_key
        step = self.stage.step(evaluation.sigma)
        if evaluation.error is not None and step is not None:
            self._rates[step] = evaluation.error / (self._progress.streak + 1)
        self._progress.count(computed, evaluation.sigma)
