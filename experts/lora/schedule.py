"""The schedule text of a LoRA row, in Wan2GP's sense: `0.9,0.8;1`."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..kind import HIGH, LOW

LIMIT = 4.0  # of a strength, either sign


@dataclass(frozen=True)
class Schedule:
    """Multipliers of a LoRA's weight. One list spans the whole run; two are the high and the low stage."""

    stages: tuple[tuple[float, ...], ...]

    def constant(self, role: str) -> float | None:
        """The one multiplier of a stage; None if it changes from step to step."""
        values = set(self._stage(role))
        return values.pop() if len(values) == 1 else None

    def steps(self, roles: Sequence[str]) -> list[float]:
        """The multiplier of every step, given the expert of every step.

        The values of a list are spread evenly over its steps: 3 values on 30 steps hold for 10 each.
        """
        if len(self.stages) == 1:
            return [_at(self.stages[0], step, len(roles)) for step in range(len(roles))]
        done = {HIGH: 0, LOW: 0}
        lengths = {role: list(roles).count(role) for role in done}
        multipliers = []
        for role in roles:
            multipliers.append(_at(self._stage(role), done[role], lengths[role]))
            done[role] += 1
        return multipliers

    def _stage(self, role: str) -> tuple[float, ...]:
        return self.stages[0] if len(self.stages) == 1 or role == HIGH else self.stages[1]


def parse_schedule(text: str) -> Schedule:
    """`;` separates the stages, `,` values within one; an empty stage is 0, an empty text is 1 throughout.

    Raises ValueError naming the text and the part that can't be read.
    """
    stages = [stage.strip() or "0" for stage in (text.strip() or "1").split(";")]
    if len(stages) > 2:
        raise ValueError(f"schedule '{text}' has {len(stages)} stages; there are two: write 'high;low', as in '0.9;1'")
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


def _at(values: tuple[float, ...], step: int, steps: int) -> float:
    return values[step * len(values) // steps]
