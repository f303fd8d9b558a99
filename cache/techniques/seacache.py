"""SeaCache (2602.18993): steps are reused until the video in the latents, told from noise by its spectrum, has changed.

Of a video the paper assumes a power of 1 / f^3 at the frequency f. The best linear filter for that at a share of noise
keeps the coarse shapes of noisy latents, and more and more of the fine ones as the noise goes.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from ...host.models import BaseModel
from .base import FAST, REGULAR, Acceleration, Policy, Technique, relative_change

SLOPE = 3.0
LEAST = 1e-6  # share of the video in latents: in pure noise there is none, and no filter for it


class FilteredLatents(NamedTuple):
    """The filtered latents of the last evaluation, and the changes that have added up to it."""

    latents: Tensor
    error: float


@dataclass(frozen=True)
class SeaCache(Technique, Policy):
    """SeaCache, which has no settings of its own and is the same for every model."""

    accelerations: ClassVar = {REGULAR: Acceleration(threshold=0.25), FAST: Acceleration(threshold=0.38)}

    @property
    def name(self) -> str:
        return "SeaCache"

    def policy(self, model: BaseModel, role: str) -> Policy:
        """Return itself for both experts."""
        return self

    def look(self, x: Tensor, sigma: float, forecast: float | None = None) -> Tensor:
        """Return the part of latents [B, C, T, H, W] that is video, told from noise by the spectrum."""
        spectrum = torch.fft.fftn(x.float(), dim=(-3, -2, -1))
        return torch.fft.ifftn(spectrum * gain(x, sigma), dim=(-3, -2, -1)).real

    def error(self, accumulated: FilteredLatents | None, observed: Tensor) -> float:
        if accumulated is None or accumulated.latents.shape != observed.shape:
            return math.inf
        return accumulated.error + relative_change(observed, accumulated.latents)

    def update(self, accumulated: FilteredLatents | None, observed: Tensor, computed: bool) -> FilteredLatents:
        return FilteredLatents(observed, 0.0 if computed else self.error(accumulated, observed))


def gain(x: Tensor, sigma: float) -> Tensor:
    """Return the filter for noisy latents of the shape of `x`, [T, H, W]: 1 on average over all frequencies."""
    axes = (torch.fft.fftfreq(size, device=x.device) for size in x.shape[-3:])
    frequency = torch.stack(torch.meshgrid(*axes, indexing="ij")).norm(dim=0)
    video = max(1 - sigma, LEAST)
    kept = video / (video**2 + sigma**2 * frequency**SLOPE)
    return kept / kept.mean()
