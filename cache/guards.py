"""When an evaluation is computed whatever the technique says."""

import math
from dataclasses import dataclass

from .masks import COMPUTED
from .settings import Settings

FEW_STEPS = 12  # a run below it has little to reuse, and much to lose


@dataclass(frozen=True)
class Stage:
    """The part of a run that one expert does: the run's sigmas and step mask, and the numbers of its own steps."""

    sigmas: tuple[float, ...]
    own: tuple[int, ...]
    mask: str

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return len(self.sigmas) - 1

    def step(self, sigma: float) -> int | None:
        """The own step that starts at `sigma`; None for an evaluation within a step."""
        return next((step for step in self.own if math.isclose(self.sigmas[step], sigma, rel_tol=1e-4)), None)


@dataclass
class Progress:
    """How far a stage has come: evaluations computed, reused in a row, and the last sigma."""

    computed: int = 0
    streak: int = 0
    sigma: float = math.inf

    def count(self, computed: bool, sigma: float) -> None:
        """Take note of one more evaluation."""
        self.computed += computed
        self.streak = 0 if computed else self.streak + 1
        self.sigma = sigma


def forced(settings: Settings, stage: Stage, progress: Progress, sigma: float) -> str | None:
    """Why an evaluation at `sigma` must be computed; None if it may be reused."""
    step = stage.step(sigma)
    if progress.computed < max(settings.warmup, 1):
        return "warm-up"
    if step is None or sigma >= progress.sigma:  # a solver's second look, or noise was added
        return "within a step"
    if step == stage.own[-1]:
        return "last step"
    if not settings.window.holds(step, stage.steps):
        return "outside the window"
    if stage.mask[step] == COMPUTED:
        return "step mask"
    if progress.streak >= settings.max_consecutive:
        return "enough in a row"
    return None
