"""The scheduler names that Runware documents, each with what it comes to here."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .solvers.names import describe_solver

EXACT, NEAREST, DISTILLED_ONLY, UNSUPPORTED = "exact", "nearest", "distilled only", "unsupported"


@dataclass(frozen=True)
class ProviderScheduler:
    """A documented name: solver, its options, scheduler, and how far that is from what the name says elsewhere."""

    name: str
    solver: str
    options: dict[str, Any]
    scheduler: str
    verdict: str
    differs: str

    def check(self) -> None:
        """Raise ValueError if nothing here does what the name says."""
        if self.verdict == UNSUPPORTED:
            raise ValueError(f"scheduler '{self.name}' is not supported: it {self.differs}. Choose another name.")

    def __str__(self) -> str:
        comes_to = f"{describe_solver(self.solver, self.options)}, scheduler {self.scheduler}"
        return f"{self.name}: {comes_to} ({self.verdict}: {self.differs})"


@cache
def provider_schedulers() -> dict[str, ProviderScheduler]:
    """All 75, by name, in the order of the document."""
    rows = json.loads(Path(__file__).with_name("provider_schedulers.json").read_text(encoding="utf-8"))
    return {row["name"]: ProviderScheduler(**row) for row in rows}
