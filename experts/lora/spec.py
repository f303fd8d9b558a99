"""One LoRA of the list: a file, or a pair of files, how strong, and on which expert."""

from dataclasses import dataclass

from ..variant import HIGH, LOW
from .schedule import LIMIT, Schedule, constant, parse_schedule

AUTO, SAME = "auto", "same file"
BOTH = "both"
CHOICES = (BOTH, HIGH, LOW)


@dataclass(frozen=True)
class LoraSpec:
    """A row as the user wrote it; nothing is looked up yet."""

    file: str
    """Name in models/loras."""
    strength: float = 1.0
    """Strength, -20 to 20; 1 is what the file was trained for."""
    expert: str = BOTH
    """Expert that it is for: `both` (default), `high` or `low`."""
    schedule: str = ""
    """Schedule that the strength is multiplied by, as `parse_schedule` reads it; empty (default): 1 throughout."""
    low_file: str = AUTO
    """The low expert's own file: a name, `auto` (the partner by name, default) or `same file` (`file` on both)."""
    remote_id: str = ""
    """The same LoRA for a provider: a URL or repository (fal), an AIR (Runware); empty (default): none."""

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
        """The experts it is for."""
        return (HIGH, LOW) if self.expert == BOTH else (self.expert,)

    @property
    def strengths(self) -> Schedule:
        """Strength times schedule."""
        return parse_schedule(self.schedule).times(self.strength)

    def strength_on(self, role: str) -> Schedule:
        """The strength on one expert of two: 0 on the one it is not for."""
        return self.strengths.on(role) if role in self.roles else constant(0.0)


Loras = tuple[LoraSpec, ...]
