"""What is common to every step cache: the settings that all their nodes share."""

from dataclasses import dataclass

from .residuals import OFFLOAD


@dataclass(frozen=True)
class Window:
    """The steps of the whole run in which evaluations may be reused, in steps or in percent of them."""

    start_step: int = 0
    end_step: int = 0
    start_percent: int = 0
    end_percent: int = 100

    def __post_init__(self) -> None:
        by_step = self.start_step > 0 or self.end_step > 0
        by_percent = self.start_percent > 0 or self.end_percent < 100
        if by_step and by_percent:
            raise ValueError(
                f"the cache has both steps ({self.start_step} to {self.end_step}) and percent ({self.start_percent} to "
                f"{self.end_percent}). Set start_step and end_step back to 0, or the percents to 0 and 100."
            )
        if self.end_step and self.start_step >= self.end_step:
            raise ValueError(f"start_step is {self.start_step}, end_step {self.end_step}. Start before the end.")
        if self.start_percent >= self.end_percent:
            raise ValueError(
                f"start_percent is {self.start_percent}, end_percent {self.end_percent}. Start before the end."
            )

    def check(self, steps: int) -> None:
        """Raise ValueError if it does not fit into a run of so many steps."""
        for name, value, most in (("end_step", self.end_step, steps), ("start_step", self.start_step, steps - 1)):
            if value > max(most, 0):
                raise ValueError(f"{name} of the cache is {value}, but the run has {steps} steps. Lower it.")

    def holds(self, step: int, steps: int) -> bool:
        """Whether step `step` (from 0) of a run of `steps` is in it."""
        if self.start_step or self.end_step:
            return self.start_step <= step < (self.end_step or steps)
        return steps * self.start_percent <= 100 * step < steps * self.end_percent


@dataclass(frozen=True)
class Settings:
    """The inputs that all cache nodes share. `target` 0 is none, `audit` 0 recomputes nothing."""

    threshold: float
    max_consecutive: int = 3
    warmup: int = 1
    window: Window = Window()
    mask: str = ""
    target: float = 0.0
    low_only: bool = False
    extrapolate: bool = True
    device: str = OFFLOAD
    force: bool = False
    audit: int = 0

    def __post_init__(self) -> None:
        if 0 < self.target < 1:
            raise ValueError(f"target_speedup is {self.target:g}. Set 2 to compute half of all, or 0 for no target.")
