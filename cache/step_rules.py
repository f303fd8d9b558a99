"""Rules that force a full evaluation: warm-up, window, step mask and a limit of reuses in a row."""

import math
from dataclasses import dataclass
from itertools import cycle, zip_longest

from .settings import CacheSettings

FEW_STEPS = 12  # a run below it has little to reuse, and much to lose
COMPUTED, REUSED = "#", "."
ALL_ALLOWED = "none"


@dataclass(frozen=True)
class StepRange:
    """The part of a run that one expert does."""

    sigmas: tuple[float, ...]
    """Sigmas of the whole run."""
    own: tuple[int, ...]
    """The numbers of the expert's own steps, counted from 0."""
    mask: str
    """One mark for each step of the whole run."""

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return len(self.sigmas) - 1

    def step(self, sigma: float) -> int | None:
        """Return the own step that starts at `sigma`; None for an evaluation within a step."""
        return next((step for step in self.own if math.isclose(self.sigmas[step], sigma, rel_tol=1e-4)), None)


@dataclass
class StageProgress:
    """Progress of a stage: evaluations computed, reused in a row, and the last sigma."""

    computed: int = 0
    streak: int = 0
    sigma: float = math.inf

    def count(self, computed: bool, sigma: float) -> None:
        """Count one more evaluation."""
        self.computed += computed
        self.streak = 0 if computed else self.streak + 1
        self.sigma = sigma


def reason_to_compute(
    settings: CacheSettings, steps: StepRange, progress: StageProgress, sigma: float, step: int | None
) -> str | None:
    """Return the rule that forces the evaluation at `sigma`, in the own step `step`; None if it may be reused."""
    if progress.computed < max(settings.warmup, 1):
        return "warm-up"
    if step is None or sigma >= progress.sigma:  # a solver's second look, or noise was added
        return "within a step"
    if step == steps.own[-1]:
        return "last step"
    if not settings.window.contains(step, steps.steps):
        return "outside the window"
    if steps.mask[step] == COMPUTED:
        return "step mask"
    if progress.streak >= settings.max_consecutive:
        return "enough in a row"
    return None


# Turns of computed and of reusable steps, for 28 steps and for the fewer than 16 of distilled models
_NAMED = {
    "slow": ((8, 3, 3, 2, 1, 1), (1, 2, 2, 2, 3)),
    "medium": ((6, 2, 2, 2, 2, 1), (1, 3, 3, 3, 3)),
    "fast": ((6, 1, 1, 1, 1, 1), (1, 3, 4, 5, 4)),
    "ultra": ((4, 1, 1, 1, 1), (2, 5, 6, 7)),
}
_SHORT = {
    "slow": ((4, 2, 2, 2, 1), (1, 1, 1, 1)),
    "medium": ((4, 2, 1, 1, 1), (1, 1, 2, 2)),
    "fast": ((3, 1, 1, 1, 1), (1, 2, 2, 3)),
    "ultra": ((2, 1, 1, 1, 1), (1, 2, 3, 3)),
}
_STEPS, _SHORT_STEPS = 28, 15
MASKS = tuple(_NAMED)


def parse_mask(mask: str, steps: int) -> str:
    """Return one mark for each step of a run: `#` is always computed, `.` may be reused.

    `mask` is empty, a name of cache-dit's, or marks, of which all but `#` and `.` are ignored. Raises ValueError for
    another number of marks than the run has steps.
    """
    if mask.strip() in ("", ALL_ALLOWED):
        return REUSED * steps
    if mask.strip() in _NAMED:
        return _expand_name(mask.strip(), steps)
    marks = "".join(mark for mark in mask if mark in COMPUTED + REUSED)
    if len(marks) != steps:
        raise ValueError(
            f"step_mask '{mask}' has {len(marks)} marks, but the run has {steps} steps. Write a # (computed) or a . "
            f"(may be reused) for each, or one of {', '.join(MASKS)}."
        )
    return marks


def _expand_name(name: str, steps: int) -> str:
    """Return cache-dit's steps_mask: turns grow from the first on until they are enough, and shrink from the last."""
    short = steps <= _SHORT_STEPS
    computed, reused = ([*turns] for turns in (_SHORT if short else _NAMED)[name])
    if not short:
        _grow(computed, reused, steps)
    _shrink(computed, reused, steps)
    marks = "".join(COMPUTED * turn + REUSED * then for turn, then in zip_longest(computed, reused, fillvalue=0))
    return marks[: steps - 1].ljust(steps, COMPUTED)  # the last step too


def _grow(computed: list[int], reused: list[int], steps: int) -> None:
    by = [[max(int(turn * (steps / _STEPS * 0.5)), 1) for turn in turns[: len(reused)]] for turns in (computed, reused)]
    pairs = len(reused)
    for place in cycle(range(pairs)):
        for turns, more in ((computed, by[0]), (reused, by[1])):
            if sum(computed) + sum(reused) >= steps:
                return
            turns[place] += more[place]
        if place == pairs - 1 and sum(computed) + sum(reused) < steps:
            computed[-1] += 1


def _shrink(computed: list[int], reused: list[int], steps: int) -> None:
    for turns in cycle((reused, computed)):
        if sum(computed) + sum(reused) <= steps:
            return
        if turns:
            turns[-1] -= 1
            if not turns[-1]:
                turns.pop()
