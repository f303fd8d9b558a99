"""What a stage of a run remembers of its evaluations."""

from collections.abc import Hashable
from typing import Any, NamedTuple

from torch import Tensor

from .evaluation import Evaluation, Key
from .guards import Progress, Stage, forced
from .residuals import Residuals
from .settings import Settings
from .techniques.base import Watching


class Ahead(NamedTuple):
    """What a planned technique will see at each own step of a stage, and the threshold that was chosen by that."""

    changes: dict[int, float]
    threshold: float
    note: str


class StageState:
    """All that is known within one stage. It goes when the experts change, and when the run ends.

    `idle` says why nothing is reused at all.
    """

    def __init__(
        self, settings: Settings, policy: Any, stage: Stage, sigmas: Tensor, idle: str, ahead: Ahead | None = None
    ):
        self.settings, self.policy, self.stage, self.sigmas, self.idle = settings, policy, stage, sigmas, idle
        self.threshold = ahead.threshold if ahead else settings.threshold
        self.residuals = Residuals(settings.device, settings.extrapolate)
        self.prompts: set[Hashable] = set()
        self.since_key: Key | None = None
        self.since: Any = None
        self.rates: dict[int, float] = {}  # of the technique's estimates, by step
        self.changes = ahead.changes if ahead else {}
        self._progress = Progress()

    def begin(self, sigma: float, weights: tuple[float, ...], x: Tensor) -> Evaluation:
        """The next evaluation, of latents `x` [B, C, T, H, W], decided as far as it can be without running a block."""
        why = self.idle or forced(self.settings, self.stage, self._progress, sigma)
        evaluation = Evaluation(sigma, why, False if why else None, weights)
        evaluation.seen = seen = self._look(sigma, x)
        if seen is not None:
            evaluation.error = error = self.policy.error(self.since, seen)
            if not why:
                evaluation.settle(error < self.threshold)
        return evaluation

    def _look(self, sigma: float, x: Tensor) -> Any:
        """What the technique sees before the evaluation is run; None if nothing."""
        if self.idle:
            return None
        if isinstance(self.policy, Watching):
            return self.policy.look(x, sigma)
        step = self.stage.step(sigma)
        return None if step is None else self.changes.get(step)

    def forget(self) -> None:
        """Let go of every tensor."""
        self.residuals.clear()
        self.since = self.since_key = None

    def end(self, evaluation: Evaluation) -> None:
        """Take note of what really happened."""
        computed = not evaluation.reused
        if computed:
            self.residuals.keep_only(evaluation.sigma)
        if evaluation.lead_key != self.since_key:
            self.since = None
        self.since = self.policy.after(self.since, evaluation.seen, computed)
        self.since_key = evaluation.lead_key
        step = self.stage.step(evaluation.sigma)
        if evaluation.error is not None and step is not None:
            self.rates[step] = evaluation.error / (self._progress.streak + 1)
        self._progress.count(computed, evaluation.sigma)
