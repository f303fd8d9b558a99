"""One way in which a request breaks its contract."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Violation:
    """`value` at `path` breaks `rule`, which takes what `allowed` says."""

    path: str
    rule: str
    value: Any
    allowed: Any

    def __str__(self) -> str:
        if self.rule == "required":
            return f"{self.path} is missing: it takes {self.allowed}"
        shown = repr(self.value)
        return f"{self.path} is {shown if len(shown) <= 80 else shown[:77] + '…'}; {self.rule}: {self.allowed}"
