"""One row of the LoRA list: a file, or a pair of files, how strong, and on which expert."""

from dataclasses import dataclass

from ..variant import HIGH, LOW
from .schedule import LIMIT, Schedule, constant, parse_schedule

AUTO, SAME = "auto", "same file"
BOTH = "both"
TRANSFORMERS = (BOTH, HIGH, LOW)


@dataclass(frozen=True)
class LoraRow:
    """What the user asked for; nothing is looked up yet.

    `low_file` is the low expert's own file: a name, `auto` (the partner by name) or `same file` (`file` on both).
    `remote_id` names the same LoRA for a provider: a URL or repository (fal), an AIR (Runware).
    """

    file: str
    weight: float = 1.0
    transformer: str = BOTH
    schedule: str = ""
    low_file: str = AUTO
    remote_id: str = ""

    def __post_init__(self) -> None:
        if not abs(self.weight) <= LIMIT:  # this way round NaN is refused too
            raise ValueError(f"LoRA {self.file}: weight {self.weight:g} is outside -{LIMIT:g} to {LIMIT:g}")
        if self.transformer not in TRANSFORMERS:
            raise ValueError(f"LoRA {self.file}: transformer '{self.transformer}' is none of {', '.join(TRANSFORMERS)}")
        try:
            largest = self.strengths.largest
        except ValueError as error:
            raise ValueError(f"LoRA {self.file}: {error}") from None
        if largest > LIMIT:
            raise ValueError(
                f"LoRA {self.file}: weight {self.weight:g} times schedule '{self.schedule}' is {largest:g}, "
                f"outside -{LIMIT:g} to {LIMIT:g}"
            )

    @property
    def roles(self) -> tuple[str, ...]:
        """The experts this row is for."""
        return (HIGH, LOW) if self.transformer == BOTH else (self.transformer,)

    @property
    def strengths(self) -> Schedule:
        """Weight times schedule."""
        return parse_schedule(self.schedule).times(self.weight)

    def strength(self, role: str) -> Schedule:
        """The strength on one expert of two: 0 on the one this row is not for."""
        return self.strengths.on(role) if role in self.roles else constant(0.0)


Loras = tuple[LoraRow, ...]


@dataclass(frozen=True)
class Placed:
    """One file on its way to one expert; `shared` if both experts get it."""

    role: str
    file: str
    strength: Schedule
    shared: bool = False
