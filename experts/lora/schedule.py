"""The schedule text of a LoRA, in Wan2GP's sense: `0.9,0.8;1`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..variant import HIGH

LIMIT = 20.0  # of a strength, either sign
USUAL = 4.0  # what hardly any LoRA goes beyond; those distilled by rCM ask for 6


@dataclass(frozen=True)
class Schedule:
    """Strengths over a run. One part spans the whole run; two are the high and the low stage; more are its phases."""

    parts: tuple[tuple[float, ...], ...]

    def __str__(self) -> str:
        return ";".join(",".join(f"{value:g}" for value in part) for part in self.parts)

    @property
    def constant(self) -> float | None:
        """The one strength there is; None if it changes."""
        values = {value for part in self.parts for value in part}
        return values.pop() if len(values) == 1 else None

    @property
    def largest(self) -> float:
        """The strength furthest from 0, without its sign."""
        return max(abs(value) for part in self.parts for value in part)

    def times(self, weight: float) -> "Schedule":
        """Every strength multiplied by `weight`."""
        return Schedule(tuple(tuple(weight * value for value in part) for part in self.parts))

    def on(self, role: str) -> "Schedule":
        """The part for one expert of two: its own stage alone, if that has a single strength."""
        own = Schedule((self.parts[0 if role == HIGH else 1],)) if len(self.parts) == 2 else self
        return own if own.constant is not None else self

    def steps(self, parts: Sequence[int]) -> list[float]:
        """The strength of every step, given the number of the part that every step is in.

        The values of a part are spread evenly over its steps: 3 values on 30 steps hold for 10 each.
        """
        done = dict.fromkeys(parts, 0)
        strengths = []
        for part in parts:
            values = self.parts[part]
            strengths.append(values[done[part] * len(values) // parts.count(part)])
            done[part] += 1
        return strengths


def constant(strength: float) -> Schedule:
    """One strength for a whole run."""
    return Schedule(((strength,),))


def parse_schedule(text: str) -> Schedule:
    """`;` separates the parts, `,` values within one; an empty part is 0, an empty text is 1 throughout.

    Raises ValueError naming the text and the part that can't be read.
    """
    parts = [part.strip() or "0" for part in (text.strip() or "1").split(";")]
    return Schedule(tuple(tuple(_value(value, text) for value in part.split(",")) for part in parts))


def _value(value: str, text: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(
            f"schedule '{text}': '{value.strip()}' is not a number. Write numbers with ',' between values "
            "and ';' between the high and the low stage, as in '0.9,0.8;1'"
        )
    return number
