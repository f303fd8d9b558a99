"""The schedule text of a LoRA row, in Wan2GP's sense: `0.9,0.8;1`."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..kind import HIGH

LIMIT = 4.0  # of a strength, either sign


@dataclass(frozen=True)
class Schedule:
    """Strengths over a run. One list spans the whole run; two are the high and the low stage; more are its phases."""

    stages: tuple[tuple[float, ...], ...]

    def __str__(self) -> str:
        return ";".join(",".join(f"{value:g}" for value in stage) for stage in self.stages)

    @property
    def constant(self) -> float | None:
        """The one strength there is; None if it changes."""
        values = {value for stage in self.stages for value in stage}
        return values.pop() if len(values) == 1 else None

    def times(self, weight: float) -> "Schedule":
        """Every strength multiplied by `weight`."""
        return Schedule(tuple(tuple(weight * value for value in stage) for stage in self.stages))

    def on(self, role: str) -> "Schedule":
        """What one expert needs to know of it: its own stage alone, if that has a single strength."""
        own = Schedule((self.stages[0 if role == HIGH else 1],)) if len(self.stages) == 2 else self
        return own if own.constant is not None else self

    def steps(self, stages: Sequence[int]) -> list[float]:
        """The strength of every step, given the stage of every step.

        The values of a stage are spread evenly over its steps: 3 values on 30 steps hold for 10 each.
        """
        done = dict.fromkeys(stages, 0)
        strengths = []
        for stage in stages:
            values = self.stages[stage]
            strengths.append(values[done[stage] * len(values) // stages.count(stage)])
            done[stage] += 1
        return strengths


def constant(strength: float) -> Schedule:
    """One strength for a whole run."""
    return Schedule(((strength,),))


def parse_schedule(text: str) -> Schedule:
    """`;` separates the stages, `,` values within one; an empty stage is 0, an empty text is 1 throughout.

    Raises ValueError naming the text and the part that can't be read.
    """
    stages = [stage.strip() or "0" for stage in (text.strip() or "1").split(";")]
    return Schedule(tuple(tuple(_value(value, text) for value in stage.split(",")) for stage in stages))


def _value(value: str, text: str) -> float:
    try:
        number = float(value)
    except ValueError:
        raise ValueError(
            f"schedule '{text}': '{value.strip()}' is not a number. Write numbers with ',' between values "
            "and ';' between the high and the low stage, as in '0.9,0.8;1'"
        ) from None
    if not abs(number) <= LIMIT:  # this way round NaN is refused too
        raise ValueError(f"schedule '{text}': {number:g} is outside -{LIMIT:g} to {LIMIT:g}")
    return number
