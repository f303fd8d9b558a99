"""MagCache (2506.09045): steps are reused until the size of the residual has drifted, by ratios measured beforehand.

The ratios are kept for each expert as a function of sigma, so they hold for any number of steps and any shift.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from comfy.model_base import BaseModel
from torch import Tensor

from ...experts.checkpoint.contents import Checkpoint
from ...experts.variant import HIGH, I2V_A14B, LOW, T2V_A14B, TI2V_5B, VACE, Kind
from . import calibration, published
from .published import Magnitudes

PUBLISHED: Mapping[Kind, Magnitudes] = {
    T2V_A14B: published.T2V_A14B,
    I2V_A14B: published.I2V_A14B,
    TI2V_5B: published.TI2V_5B_RATIOS,
    VACE: published.WAN_2_1_14B,
}


class Curve(NamedTuple):
    """The logarithm of the residual's size at falling sigmas, and the range of sigmas that it speaks of."""

    sigmas: tuple[float, ...]
    sizes: tuple[float, ...]
    low: float
    high: float

    def at(self, sigma: float) -> float:
        """Between the measured points in a straight line, beyond them as at the last one; nan outside the range."""
        if not self.low - 1e-6 <= sigma <= self.high + 1e-6:
            return math.nan
        right = bisect_left(self.sigmas, -sigma, key=lambda point: -point)
        if right in (0, len(self.sigmas)):
            return self.sizes[min(right, len(self.sizes) - 1)]
        above, below = self.sigmas[right - 1], self.sigmas[right]
        share = (above - sigma) / (above - below)
        return self.sizes[right - 1] + share * (self.sizes[right] - self.sizes[right - 1])


def curve_of(sigmas: Sequence[float], ratios: Sequence[float], low: float = 0.0, high: float = 1.0) -> Curve:
    """The curve of ratios measured at falling sigmas, each to the one before; the first of them means nothing."""
    sizes = [0.0]
    for ratio in ratios[1:]:
        sizes.append(sizes[-1] + math.log(ratio))
    return Curve(tuple(sigmas), tuple(sizes), low, high)


def published_curve(table: Magnitudes, role: str) -> Curve:
    """The part of a published table that is the expert's own."""
    steps = len(table.ratios)
    times = [1 - step / steps for step in range(steps)]
    sigmas = [table.shift * time / (1 + (table.shift - 1) * time) for time in times]
    if not table.boundary:
        return curve_of(sigmas, table.ratios)
    split = sum(sigma >= table.boundary for sigma in sigmas)
    if role == HIGH:
        return curve_of(sigmas[:split], table.ratios[:split], low=table.boundary)
    return curve_of(sigmas[split:], table.ratios[split:], high=table.boundary)


class Drift(NamedTuple):
    """Since the last computed step: the residual's size, relative to then, and the errors that have added up."""

    size: float = 1.0
    error: float = 0.0


@dataclass(frozen=True)
class MagCachePolicy:
    """MagCache on one expert. `retention` is the share of a stage at its start that is always computed."""

    curve: Curve
    retention: float
    blocks = 0

    def changes(self, model: BaseModel, sigmas: Tensor) -> list[float]:
        """The ratio of the residual's size at each step to that at the step before; nan where nothing is known."""
        sizes = [self.curve.at(sigma) for sigma in sigmas.tolist()]
        return [math.nan, *(math.exp(now - before) for before, now in pairwise(sizes))]

    def error(self, since: Drift | None, seen: float) -> float:
        return self._drifted(since, seen).error

    def after(self, since: Drift | None, seen: float, computed: bool) -> Drift:
        return Drift() if computed else self._drifted(since, seen)

    def _drifted(self, since: Drift | None, ratio: float) -> Drift:
        size, error = since or Drift()
        return Drift(size * ratio, error + abs(1 - size * ratio))


AUTO, MEASURE = "auto", "measure"
RATIOS = (AUTO, MEASURE)
NO_RETENTION, AUTHORS = "none", "authors'"
RETENTIONS = (NO_RETENTION, AUTHORS)


@dataclass(frozen=True)
class MagCache:
    """With the ratios that are known of each expert, or measuring them. `files` are the names of theirs: high, low."""

    files: tuple[str, ...] = ()
    ratios: str = AUTO
    retention: str = NO_RETENTION
    modules = ()

    @property
    def name(self) -> str:
        return "MagCache" if self.ratios == AUTO else "MagCache, measuring"

    def policy(self, model: BaseModel, role: str) -> "MagCachePolicy | Measuring":
        """Raises ValueError if neither the user nor the authors have measured a model of this kind."""
        if self.ratios == MEASURE:
            return Measuring()
        kind = Checkpoint(model.model_config.unet_config, 0).kind
        retention = retained(kind, role) if self.retention == AUTHORS else 0.0
        points = calibration.load(self._file(role)) if self.files else None
        if points:
            sigmas, ratios = zip(*points, strict=True)
            return MagCachePolicy(curve_of(sigmas, ratios), retention)
        if kind not in PUBLISHED:
            raise ValueError(
                f"MagCache knows no ratios of {kind.label}. Set ratios to '{MEASURE}' for one run, or use TeaCache."
            )
        return MagCachePolicy(published_curve(PUBLISHED[kind], role), retention)

    def conclude(self, role: str, points: Sequence[calibration.Point]) -> str | None:
        """Keep what was measured on an expert in a run, and say where."""
        if self.ratios != MEASURE or len(points) < 2:
            return None
        sigmas = [math.inf, *(sigma for sigma, _ in points)]
        falling = [point for before, point in zip(sigmas, points, strict=False) if point[0] < before]
        path = calibration.save(self._file(role), falling)
        return f"{role}: {len(falling)} ratios measured, kept in {path.name}"

    def _file(self, role: str) -> str:
        return self.files[(HIGH, LOW).index(role)]


class Measuring:
    """Computes every evaluation and measures the ratio of each residual to the one before."""

    blocks = 0

    def error(self, since: None, seen: None) -> float:
        return math.inf

    def after(self, since: None, seen: None, computed: bool) -> None:
        return None


def ratio(now: Tensor, before: Tensor) -> float:
    """The mean over tokens of the residual's size [B, L, C], relative to the one before."""
    return float((now.float().norm(dim=-1) / before.float().norm(dim=-1)).mean())


def retained(kind: Kind, role: str) -> float:
    """The share of a stage at its start that the authors always compute: on I2V all of the high expert's."""
    if kind == I2V_A14B:
        return 1.0 if role == HIGH else 0.1
    return 0.2
