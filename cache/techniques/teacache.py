"""TeaCache (2411.19108): steps are reused until the time embedding has changed enough.

On Wan that embedding follows from the sigma alone, so everything is known before the run.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from comfy.ldm.wan.model import sinusoidal_embedding_1d
from comfy.model_base import BaseModel
from torch import Tensor

from ...experts.checkpoint.contents import Checkpoint
from ...experts.variant import TI2V_5B
from . import published
from .base import Accumulated, relative_change
from .published import Polynomial

AUTO, NONE = "auto", "none"
E, E0 = "e", "e0"
COEFFICIENTS = (AUTO, NONE, *published.TEACACHE_E)
_SAMPLES = 100


@dataclass(frozen=True)
class TeaCache:
    """With a set of coefficients, or `none`: then changes of the embedding count as they are."""

    coefficients: str = AUTO
    signal: str = E

    @property
    def name(self) -> str:
        return f"TeaCache ({self.coefficients}, {self.signal})"

    @property
    def modules(self) -> tuple[str, ...]:
        """Those that make the embedding of a timestep."""
        return ("time_embedding",) if self.signal == E else ("time_embedding", "time_projection")

    def policy(self, model: BaseModel, role: str) -> "TeaCachePolicy":
        """Raises ValueError for coefficients that were not published for the signal."""
        chosen = self.coefficients
        if chosen == AUTO:
            own = Checkpoint(model.model_config.unet_config, 0).kind == TI2V_5B and self.signal == E
            chosen = published.TI2V_5B if own else NONE
        if chosen == NONE:
            return TeaCachePolicy(None, self.signal)
        known = published.TEACACHE_E if self.signal == E else published.TEACACHE_E0
        if chosen not in known:
            raise ValueError(
                f"coefficients '{chosen}' were published for signal {E} only, not for {self.signal}. Choose {E}, or "
                f"one of {', '.join(known)}."
            )
        return TeaCachePolicy(known[chosen], self.signal)


@dataclass(frozen=True)
class TeaCachePolicy(Accumulated):
    """TeaCache on one model."""

    polynomial: Polynomial | None
    signal: str

    def changes(self, model: BaseModel, sigmas: Tensor) -> list[float]:
        """How much the output is likely to change from each step to the next; nothing is known of the first."""
        embedded = [_embedded(model, sigma, self.signal) for sigma in sigmas]
        found = [relative_change(now, before) for before, now in pairwise(embedded)]
        return [math.inf, *(found if self.polynomial is None else (rescaled(self.polynomial, d) for d in found))]


def rescaled(polynomial: Polynomial, change: float) -> float:
    """The polynomial where it was fitted; nothing below that, and above it the most that it makes of anything."""
    coefficients, low, high = polynomial
    if change < low:
        return 0.0
    if change <= high:
        return max(_value(coefficients, change), 0.0)
    return max(_value(coefficients, low + (high - low) * part / _SAMPLES) for part in range(_SAMPLES + 1))


def _value(coefficients: Sequence[float], x: float) -> float:
    value = 0.0
    for coefficient in coefficients:
        value = value * x + coefficient
    return value


def _embedded(model: BaseModel, sigma: Tensor, signal: str) -> Tensor:
    """What the network makes of the timestep, in the precision it computes in."""
    network: Any = model.diffusion_model
    timestep = model.model_sampling.timestep(sigma).float().reshape(1)
    if not getattr(network.time_embedding[0], "comfy_cast_weights", False):  # else the host brings weights to it
        timestep = timestep.to(network.time_embedding[0].weight.device)
    sinusoid = sinusoidal_embedding_1d(network.freq_dim, timestep)
    embedded = network.time_embedding(sinusoid.to(model.manual_cast_dtype or model.get_dtype()))
    return (embedded if signal == E else network.time_projection(embedded)).float()
