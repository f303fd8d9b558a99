"""TeaCache (2411.19108): steps are reused until the time embedding has changed enough.

On Wan that embedding follows from the sigma alone, so everything is known before the run.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from torch import Tensor

from ...experts.checkpoint.contents import Checkpoint
from ...experts.variant import TI2V_5B, WanVariant
from ...host.models import BaseModel, sinusoidal_embedding_1d
from . import published
from .base import FAST, REGULAR, Acceleration, AccumulatedChange, Technique, relative_change
from .published import Polynomial

AUTO, NONE = "auto", "none"
E, E0 = "e", "e0"
COEFFICIENTS = (AUTO, NONE, *published.TEACACHE_E)
OWN: Mapping[tuple[WanVariant, str], str] = {(TI2V_5B, E): published.TI2V_5B}  # coefficients that `auto` takes
_SAMPLES = 100


@dataclass(frozen=True)
class TeaCache(Technique):
    """TeaCache with a set of coefficients."""

    accelerations: ClassVar = {REGULAR: Acceleration(target=1.5), FAST: Acceleration(target=2.0)}

    coefficients: str = AUTO
    """The published polynomial, one of `COEFFICIENTS`; with `none` changes of the embedding count as they are.
    Default `auto`: those of the model's own kind, if there are any."""
    signal: str = E
    """The embedding that is watched: `e` of the timestep, or `e0`, its projection for the blocks. Default `e`."""

    @property
    def name(self) -> str:
        return f"TeaCache ({self.coefficients}, {self.signal})"

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules that make the embedding of a timestep."""
        return ("time_embedding",) if self.signal == E else ("time_embedding", "time_projection")

    def policy(self, model: BaseModel, role: str) -> "TeaCachePolicy":
        """Return the policy on a model; raises ValueError for coefficients that the signal has no fit of."""
        chosen = self.coefficients
        if chosen == AUTO:
            chosen = OWN.get((Checkpoint(model.model_config.unet_config, 0).variant, self.signal), NONE)
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
class TeaCachePolicy(AccumulatedChange):
    """TeaCache on one model."""

    polynomial: Polynomial | None
    signal: str

    def forecast(self, model: BaseModel, sigmas: Tensor) -> list[float]:
        """Return how much the output is likely to change at each step; of the first nothing is known."""
        embedded = [_embed(model, sigma, self.signal) for sigma in sigmas]
        found = [relative_change(now, before) for before, now in pairwise(embedded)]
        return [math.inf, *(found if self.polynomial is None else (rescale(self.polynomial, d) for d in found))]


def rescale(polynomial: Polynomial, change: float) -> float:
    """Apply the polynomial where it was fitted; below that return 0, above it the most that it makes of anything."""
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


def _embed(model: BaseModel, sigma: Tensor, signal: str) -> Tensor:
    """Embed the timestep as the network does, in the precision it computes in."""
    network: Any = model.diffusion_model
    timestep = model.model_sampling.timestep(sigma).float().reshape(1)
    if not getattr(network.time_embedding[0], "comfy_cast_weights", False):  # else the host brings weights to it
        timestep = timestep.to(network.time_embedding[0].weight.device)
    sinusoid = sinusoidal_embedding_1d(network.freq_dim, timestep)
    embedded = network.time_embedding(sinusoid.to(model.manual_cast_dtype or model.get_dtype()))
    return (embedded if signal == E else network.time_projection(embedded)).float()
