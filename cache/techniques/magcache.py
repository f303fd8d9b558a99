"""MagCache (2506.09045): steps are reused until the size of the residual has drifted, by ratios measured beforehand.

The ratios are kept for each expert as a function of sigma, so they hold for any number of steps and any shift.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, NamedTuple

from torch import Tensor

from ...experts.checkpoint.contents import Checkpoint
from ...experts.variant import HIGH, I2V_A14B, LOW, T2V_A14B, TI2V_5B, VACE, WanVariant
from ...host.models import BaseModel
from . import calibration, published
from .base import FAST, REGULAR, Acceleration, Policy, Technique
from .published import Magnitudes

PUBLISHED: Mapping[WanVariant, Magnitudes] = {
    T2V_A14B: published.T2V_A14B,
    I2V_A14B: published.I2V_A14B,
    TI2V_5B: published.TI2V_5B_RATIOS,
    VACE: published.WAN_2_1_14B,
}
RETAINED = {HIGH: 0.2, LOW: 0.2}  # shares of a stage at its start that the authors always compute
RETAINED_BY_VARIANT: Mapping[WanVariant, Mapping[str, float]] = {I2V_A14B: {HIGH: 1.0, LOW: 0.1}}


class MagnitudeCurve(NamedTuple):
    """The logarithm of the residual's size at falling sigmas, from `low` to `high`."""

    sigmas: tuple[float, ...]
    sizes: tuple[float, ...]
    low: float
    high: float

    def at(self, sigma: float) -> float:
        """Interpolate between the measured points, and repeat the outer ones; nan outside the range."""
        if not self.low - 1e-6 <= sigma <= self.high + 1e-6:
            return math.nan
        right = bisect_left(self.sigmas, -sigma, key=lambda point: -point)
        if right in (0, len(self.sigmas)):
            return self.sizes[min(right, len(self.sizes) - 1)]
        above, below = self.sigmas[right - 1], self.sigmas[right]
        share = (above - sigma) / (above - below)
        return self.sizes[right - 1] + share * (self.sizes[right] - self.sizes[right - 1])


def curve_of(sigmas: Sequence[float], ratios: Sequence[float], low: float = 0.0, high: float = 1.0) -> MagnitudeCurve:
    """Return the curve of ratios measured at falling sigmas, each to the one before; the first means nothing."""
    sizes = [0.0]
    for ratio in ratios[1:]:
        sizes.append(sizes[-1] + math.log(ratio))
    return MagnitudeCurve(tuple(sigmas), tuple(sizes), low, high)


def published_curve(table: Magnitudes, role: str) -> MagnitudeCurve:
    """Return the part of a published table that is the expert's own."""
    steps = len(table.ratios)
    times = [1 - step / steps for step in range(steps)]
    sigmas = [table.shift * time / (1 + (table.shift - 1) * time) for time in times]
    if not table.boundary:
        return curve_of(sigmas, table.ratios)
    split = sum(sigma >= table.boundary for sigma in sigmas)
    if role == HIGH:
        return curve_of(sigmas[:split], table.ratios[:split], low=table.boundary)
    return curve_of(sigmas[split:], table.ratios[split:], high=table.boundary)


class MagnitudeDrift(NamedTuple):
    """The residual's size relative to the last computed step, and the errors that have added up since."""

    size: float = 1.0
    error: float = 0.0


@dataclass(frozen=True)
class MagCachePolicy(Policy):
    """MagCache on one expert. `retention` is the share of a stage at its start that is always computed."""

    curve: MagnitudeCurve
    retention: float

    def warmup(self, steps: int) -> int:
        return math.ceil(self.retention * steps)

    def forecast(self, model: BaseModel, sigmas: Tensor) -> list[float]:
        """Return the ratio of the residual's size at each step to that before; nan where nothing is known."""
        sizes = [self.curve.at(sigma) for sigma in sigmas.tolist()]
        return [math.nan, *(math.exp(now - before) for before, now in pairwise(sizes))]

    def error(self, accumulated: MagnitudeDrift | None, observed: float) -> float:
        return self._drift(accumulated, observed).error

    def update(self, accumulated: MagnitudeDrift | None, observed: float, computed: bool) -> MagnitudeDrift:
        return MagnitudeDrift() if computed else self._drift(accumulated, observed)

    def _drift(self, accumulated: MagnitudeDrift | None, ratio: float) -> MagnitudeDrift:
        size, error = accumulated or MagnitudeDrift()
        return MagnitudeDrift(size * ratio, error + abs(1 - size * ratio))


AUTO, MEASURE = "auto", "measure"
RATIOS = (AUTO, MEASURE)
NO_RETENTION, AUTHORS = "none", "authors'"
RETENTIONS = (NO_RETENTION, AUTHORS)


@dataclass(frozen=True)
class MagCache(Technique):
    """MagCache by the ratios that are known of each expert, or measuring them."""

    accelerations: ClassVar = {REGULAR: Acceleration(target=1.5), FAST: Acceleration(target=2.0)}

    files: tuple[str, ...] = ()
    """Names of the experts' files, high and low, under which measured ratios are kept. Default: none are known."""
    ratios: str = AUTO
    """`auto` takes measured ratios or the published ones, `measure` measures them in a run. Default `auto`."""
    retention: str = NO_RETENTION
    """With the `authors'` retention their share of each stage's start is computed. Default `none`."""

    @property
    def name(self) -> str:
        return "MagCache" if self.ratios == AUTO else "MagCache, measuring"

    def policy(self, model: BaseModel, role: str) -> Policy:
        """Return the policy on an expert; raises ValueError if nobody has measured a model of this kind."""
        if self.ratios == MEASURE:
            return Calibrating()
        variant = Checkpoint(model.model_config.unet_config, 0).variant
        retention = RETAINED_BY_VARIANT.get(variant, RETAINED)[role] if self.retention == AUTHORS else 0.0
        points = calibration.load(self._file(role)) if self.files else None
        if points:
            sigmas, ratios = zip(*points, strict=True)
            return MagCachePolicy(curve_of(sigmas, ratios), retention)
        if variant not in PUBLISHED:
            raise ValueError(
                f"MagCache knows no ratios of {variant.label}. Set ratios to '{MEASURE}' for one run, or use TeaCache."
            )
        return MagCachePolicy(published_curve(PUBLISHED[variant], role), retention)

    def check_unguided(self) -> None:
        if self.ratios == MEASURE:
            raise ValueError(
                f"ratios is '{MEASURE}', which only Wan 2.2 Video Sampler and Wan 2.2 Guider can do. "
                "Connect the experts to one of them for that run, without Models From Experts."
            )

    def conclude(self, role: str, figures: Sequence[calibration.Point]) -> str | None:
        """Store the ratios that were measured, and name the file."""
        if len(figures) < 2:
            return None
        sigmas = [math.inf, *(sigma for sigma, _ in figures)]
        falling = [point for before, point in zip(sigmas, figures, strict=False) if point[0] < before]
        path = calibration.save(self._file(role), falling)
        return f"{role}: {len(falling)} ratios measured, kept in {path.name}"

    def _file(self, role: str) -> str:
        return self.files[(HIGH, LOW).index(role)]


class Calibrating(Policy):
    """Computes every evaluation and measures the ratio of each residual to the one before."""

    def error(self, accumulated: None, observed: None) -> float:
        return math.inf

    def update(self, accumulated: None, observed: None, computed: bool) -> None:
        return None

    def measure(self, residual: Tensor, before: Tensor | None) -> float:
        return 1.0 if before is None else size_ratio(residual, before.to(residual.device))


def size_ratio(now: Tensor, before: Tensor) -> float:
    """Return the mean over tokens of the residual's size [B, L, C], relative to the one before."""
    return float((now.float().norm(dim=-1) / before.float().norm(dim=-1)).mean())
