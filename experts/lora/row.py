"""One row of the LoRA list: a file, or a pair of files, how strong, and on which expert."""

from dataclasses import dataclass

from ..variant import HIGH, LOW
from .schedule import LIMIT, Schedule, constant, parse_schedule

AUTO, SAME = "auto", "same file"
BOTH = "both"
CHOICES = (BOTH, HIGH, LOW)


@dataclass(frozen=True)
class LoraRow:
    """What the user asked for; nothing is looked up yet.

    `low_file` is the low expert's own file: a name, `auto` (the partner by name) or `same file` (`file` on both).
    `remote_id` names the same LoRA for a provider: a URL or repository (fal), an AIR (Runware).
    """

    file: str
    strength: float = 1.0
    expert: str = BOTH
    schedule: str = ""
    low_file: str = AUTO
    remote_id: str = ""

    def __post_init__(self) -> None:
        if not abs(self.strength) <= LIMIT:  # this way round NaN is refused too
            raise ValueError(f"LoRA {self.file}: strength {self.strength:g} is outside -{LIMIT:g} to {LIMIT:g}")
        if self.expert not in CHOICES:
            raise ValueError(f"LoRA {self.file}: expert '{self.expert}' is none of {', '.join(CHOICES)}")
        try:
            largest = self.strengths.largest
        except ValueError as error:
            raise ValueError(f"LoRA {self.file}: {error}") from None
        if largest > LIMIT:
            raise ValueError(
                f"LoRA {self.file}: strength {self.strength:g} times schedule '{self.schedule}' is {largest:g}, "
                f"outside -{LIMIT:g} to {LIMIT:g}"
            )

    @property
    def roles(self) -> tuple[str, ...]:
        """The experts this row is for."""
        return (HIGH, LOW) if self.expert == BOTH else (self.expert,)

    @property
    def strengths(self) -> Schedule:
        """Strength times schedule."""
        return parse_schedule(self.schedule).times(self.strength)

    def strength_on(self, role: str) -> Schedule:
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
