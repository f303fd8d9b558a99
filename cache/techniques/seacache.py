"""SeaCache (2602.18993): steps are reused until the video in the latents, told from noise by its spectrum, has changed.

Of a video the paper assumes a power of 1 / f^3 at the frequency f. The best linear filter for that at a share of noise
keeps the coarse shapes of noisy latents, and more and more of the fine ones as the noise goes.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from comfy.model_base import BaseModel
from torch import Tensor

from .base import Policy, relative_change

SLOPE = 3.0
LEAST = 1e-6  # share of the video in latents: in pure noise there is none, and no filter for it


class Seen(NamedTuple):
    """The filtered latents of the last evaluation, and the changes that have added up to it."""

    latents: Tensor
    error: float


@dataclass(frozen=True)
class SeaCache:
    """The same for every model. It looks at the latents before any block runs."""

    name = "SeaCache"
    modules = ()
    blocks = 0

    def policy(self, model: BaseModel, role: str) -> Policy:
        """The same for both experts."""
        return self

    def look(self, x: Tensor, sigma: float) -> Tensor:
        """What latents [B, C, T, H, W] have of a video."""
        spectrum = torch.fft.fftn(x.float(), dim=(-3, -2, -1))
        return torch.fft.ifftn(spectrum * gain(x, sigma), dim=(-3, -2, -1)).real

    def error(self, since: Seen | None, seen: Tensor) -> float:
        if since is None or since.latents.shape != seen.shape:
            return math.inf
        return since.error + relative_change(seen, since.latents)

    def after(self, since: Seen | None, seen: Tensor, computed: bool) -> Seen:
        return Seen(seen, 0.0 if computed else self.error(since, seen))


def gain(x: Tensor, sigma: float) -> Tensor:
    """The filter for noisy latents of the shape of `x`, [T, H, W]: 1 on average over all frequencies."""
    axes = (torch.fft.fftfreq(size, device=x.device) for size in x.shape[-3:])
    frequency = torch.stack(torch.meshgrid(*axes, indexing="ij")).norm(dim=0)
    video = max(1 - sigma, LEAST)
    kept = video / (video**2 + sigma**2 * frequency**SLOPE)
    return kept / kept.mean()
