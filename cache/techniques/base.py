"""The two halves of a technique: its settings, and its policy on one expert.

A policy is pure: it compares what it observes of an evaluation with what it has accumulated since the last computed
one. An evaluation is reused if the estimated error stays below the reuse threshold.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from torch import Tensor

from ...host.models import BaseModel

NONE, REGULAR, FAST, CUSTOM = "none", "regular", "fast", "custom"
ACCELERATIONS = (NONE, REGULAR, FAST, CUSTOM)
SAMPLED = 4096  # tokens that a comparison of two hidden states looks at


class Acceleration(NamedTuple):
    """The meaning of a speed that a user can choose: a reuse threshold, or a target to plan for in place of one."""

    threshold: float = 0.0
    target: float = 0.0

    def __str__(self) -> str:
        computed = f"{1 / self.target:.0%} of the evaluations are computed" if self.target else ""
        return computed or f"a threshold of {self.threshold:g}"


class Policy(ABC):
    """A technique on one expert. It accumulates a value of its own type, which begins as None.

    It observes either a number that is known before the run (`forecast`), or the latents (`look`), or, if both are
    left out, tokens of what its first `blocks` blocks add to the hidden state.
    """

    blocks: int = 0
    """Blocks that always run, for the technique to observe; 0 if it decides before them."""

    @abstractmethod
    def error(self, accumulated: Any, observed: Any) -> float:
        """Estimate how far off this evaluation would be if it was reused."""

    @abstractmethod
    def update(self, accumulated: Any, observed: Any, computed: bool) -> Any:
        """Return what has accumulated when this evaluation is over."""

    def warmup(self, steps: int) -> int:
        """Return how many evaluations at the start of a stage of `steps` steps it wants computed."""
        return 0

    def forecast(self, model: BaseModel, sigmas: Tensor) -> Sequence[float] | None:
        """Return what it will observe at each step of a stage, which start at `sigmas`; None if it can't plan."""
        return None

    def look(self, x: Tensor, sigma: float, forecast: float | None) -> Any:
        """Return what it observes before any block runs, of latents `x` [B, C, T, H, W]; None if nothing."""
        return forecast

    def measure(self, residual: Tensor, before: Tensor | None) -> float | None:
        """Return a figure of a computed residual [B, L, C] beside the prompt's last one; None if it needs none."""
        return None


class Technique(ABC):
    """A technique with its own settings, as a node sets it, before it is known which expert it is on."""

    accelerations: ClassVar[Mapping[str, Acceleration]]
    """What `regular` and `fast` stand for."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Its name in the report."""

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules of the network whose weights it needs to plan ahead."""
        return ()

    @abstractmethod
    def policy(self, model: BaseModel, role: str) -> Policy:
        """Return its policy on the expert in `role`; raises ValueError if it is not made for that model."""

    def check_unguided(self) -> None:
        """Raise ValueError if it can't work under another sampler than ours, which never says when a run is over."""
        return

    def conclude(self, role: str, figures: Sequence[tuple[float, float]]) -> str | None:
        """Use what was measured on an expert in a run, each with its sigma; returns a note for the report."""
        return None


class AccumulatedChange(Policy):
    """Changes from step to step that add up until an evaluation is computed."""

    def error(self, accumulated: float | None, observed: float) -> float:
        return (accumulated or 0.0) + observed

    def update(self, accumulated: float | None, observed: float, computed: bool) -> float:
        return 0.0 if computed else self.error(accumulated, observed)


def relative_change(now: Tensor, before: Tensor) -> float:
    """Return the mean absolute difference of two tensors, over the mean absolute value of the earlier one."""
    return ((now - before).abs().mean() / before.abs().mean()).item()


def sample_tokens(hidden: Tensor) -> Tensor:
    """Return some thousand tokens of a hidden state [B, L, C], evenly spaced: a mean over them is as good."""
    return hidden[:, :: max(hidden.shape[1] // SAMPLED, 1)].clone()
