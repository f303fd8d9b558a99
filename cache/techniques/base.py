"""What a technique is: two pure functions of what it watches and of what it remembers of the last computed step."""

from typing import Any, Protocol, runtime_checkable

from comfy.model_base import BaseModel
from torch import Tensor

SAMPLED = 4096  # tokens that a comparison of two hidden states looks at


class Policy(Protocol):
    """A technique on one expert. What it watches is a number or a tensor; what it remembers begins as None.

    An evaluation may be reused if `error` stays below the reuse threshold.
    """

    @property
    def blocks(self) -> int:
        """How many blocks always run, for the technique to watch what they add; 0 if it decides before them."""
        ...

    def error(self, since: Any, seen: Any) -> float:
        """How far off this evaluation would be, by estimate, if it was reused."""
        ...

    def after(self, since: Any, seen: Any, computed: bool) -> Any:
        """What to remember when this evaluation is over."""
        ...


@runtime_checkable
class Planned(Policy, Protocol):
    """A technique that watches the sigmas alone: all its decisions are known before the run."""

    def changes(self, model: BaseModel, sigmas: Tensor) -> list[float]:
        """What it sees at each of a stage's steps, which start at `sigmas`."""
        ...


@runtime_checkable
class Watching(Policy, Protocol):
    """A technique that watches the latents: it decides on an evaluation before any of its prompts is run."""

    def look(self, x: Tensor, sigma: float) -> Tensor:
        """What it sees in the latents [B, C, T, H, W] that are given to an evaluation."""
        ...


class Technique(Protocol):
    """What a node sets: a technique with its own settings, before it is known which expert it is on."""

    @property
    def name(self) -> str:
        """What the report calls it."""
        ...

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules of the network whose weights it needs to plan ahead."""
        ...

    def policy(self, model: BaseModel, role: str) -> Policy:
        """The technique on the expert `role` of a pair; raises ValueError if it is not made for that model."""
        ...


def relative_change(now: Tensor, before: Tensor) -> float:
    """Mean absolute difference of two tensors, over the mean absolute value of the earlier one."""
    return ((now - before).abs().mean() / before.abs().mean()).item()


def sampled(hidden: Tensor) -> Tensor:
    """Some thousand tokens of a hidden state [B, L, C], at even distances: a mean over them is as good."""
    return hidden[:, :: max(hidden.shape[1] // SAMPLED, 1)].clone()


class Accumulated:
    """Changes from step to step that add up until an evaluation is computed."""

    blocks = 0

    def error(self, since: float | None, seen: float) -> float:
        return (since or 0.0) + seen

    def after(self, since: float | None, seen: float, computed: bool) -> float:
        return 0.0 if computed else self.error(since, seen)
