"""Step masks: the steps of a run that are computed in any case, as marks or under a name of cache-dit's."""

from itertools import cycle, zip_longest

COMPUTED, REUSED = "#", "."
ALL_ALLOWED = "none"

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


def mask_of(mask: str, steps: int) -> str:
    """One mark for each step of a run: `#` is computed in any case, `.` may be reused.

    `mask` is empty, a name, or marks, of which all but `#` and `.` are passed over. Raises ValueError for another
    number of marks than the run has steps.
    """
    if mask.strip() in ("", ALL_ALLOWED):
        return REUSED * steps
    if mask.strip() in _NAMED:
        return _named(mask.strip(), steps)
    marks = "".join(mark for mark in mask if mark in COMPUTED + REUSED)
    if len(marks) != steps:
        raise ValueError(
            f"step_mask '{mask}' has {len(marks)} marks, but the run has {steps} steps. Write a # (computed) or a . "
            f"(may be reused) for each, or one of {', '.join(MASKS)}."
        )
    return marks


def _named(name: str, steps: int) -> str:
    """cache-dit's steps_mask: turns grow from the first on until they are enough, and shrink from the last."""
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
