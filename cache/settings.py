"""Settings that every step cache has."""

from dataclasses import dataclass

MAIN, OFFLOAD = "main device", "offload device"
DEVICES = (OFFLOAD, MAIN)


@dataclass(frozen=True)
class StepWindow:
    """The steps of the whole run in which evaluations may be reused, given in steps or in percent, not in both."""

    start_step: int = 0
    """The first step of the window, counted from 0. Default 0."""
    end_step: int = 0
    """The step before which the window ends; 0 is the end of the run. Default 0."""
    start_percent: int = 0
    """The start of the window in percent of the run's steps, 0 to 99. Default 0."""
    end_percent: int = 100
    """The end of the window in percent of the run's steps, 1 to 100. Default 100."""

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
        """Raise ValueError if the window does not fit into a run of `steps` steps."""
        for name, value, most in (("end_step", self.end_step, steps), ("start_step", self.start_step, steps - 1)):
            if value > max(most, 0):
                raise ValueError(f"{name} of the cache is {value}, but the run has {steps} steps. Lower it.")

    def contains(self, step: int, steps: int) -> bool:
        """Return True if step `step`, counted from 0, of a run of `steps` is inside."""
        if self.start_step or self.end_step:
            return self.start_step <= step < (self.end_step or steps)
        return steps * self.start_percent <= 100 * step < steps * self.end_percent


@dataclass(frozen=True)
class CacheSettings:
    """The inputs that all cache nodes share."""

    threshold: float
    """Reuse threshold: an evaluation whose estimated error stays below it is reused. Its unit is the technique's."""
    max_consecutive: int = 3
    """The most evaluations that are reused in a row. Default 3."""
    warmup: int = 1
    """Evaluations at the start of each stage that are always computed. Default 1."""
    window: StepWindow = StepWindow()
    """The steps of the run in which evaluations may be reused. Default: all of them."""
    mask: str = ""
    """A step mask, as marks or by name (see `parse_mask`); empty allows every step. Default empty."""
    target: float = 0.0
    """Speed-up to plan for: evaluations of the run over computed ones; 0 uses the threshold. Default 0."""
    low_only: bool = False
    """Never reuse on the high-noise expert of a pair. Default False."""
    extrapolate: bool = True
    """Draw a line through the last two residuals instead of repeating the last one. Default True."""
    device: str = OFFLOAD
    """Where residuals are kept, one of `DEVICES`. Default the offload device."""
    force: bool = False
    """Reuse in short runs and with distilled models too. Default False."""
    audit: int = 0
    """Compute every n-th reused evaluation as well and report its true error; 0 audits none. Default 0."""

    def __post_init__(self) -> None:
        if 0 < self.target < 1:
            raise ValueError(f"target_speedup is {self.target:g}. Set 2 to compute half of all, or 0 for no target.")
