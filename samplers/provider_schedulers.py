"""The scheduler names that Runware documents, each with what it comes to here."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .solvers.names import described

EXACT, NEAREST, DISTILLED_ONLY, UNSUPPORTED = "exact", "nearest", "distilled only", "unsupported"


@dataclass(frozen=True)
class ProviderScheduler:
    """A documented name: solver, its options, spacing, and how far that is from what the name says elsewhere."""

    name: str
    solver: str
    options: dict[str, Any]
    spacing: str
    verdict: str
    differs: str

    def check(self) -> None:
        """Raise ValueError if nothing here does what the name says."""
        if self.verdict == UNSUPPORTED:
            raise ValueError(f"scheduler '{self.name}' is not supported: it {self.differs}. Choose another name.")

    @property
    def described(self) -> str:
        """Solver and options in words."""
        return described(self.solver, self.options)

    def __str__(self) -> str:
        return f"{self.name}: {self.described}, spacing {self.spacing} ({self.verdict}: {self.differs})"


@cache
def provider_schedulers() -> dict[str, ProviderScheduler]:
    """All 75, by name, in the order of the document."""
    rows = json.loads(Path(__file__).with_name("provider_schedulers.json").read_text(encoding="utf-8"))
    return {row["name"]: ProviderScheduler(**row) for row in rows}
