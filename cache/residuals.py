"""Residuals of a stage: what the left-out blocks added, by prompt and window."""

from collections.abc import Hashable
from typing import NamedTuple

import torch
from torch import Tensor


class KeptResidual(NamedTuple):
    """A residual, and the sigma it was computed at."""

    sigma: float
    residual: Tensor


class Residuals:
    """The latest residuals under each key: one to repeat, or two to draw a line through (TaylorSeer, 2503.06923).

    With `offload` they are in pinned memory, which a copy from and to a GPU need not wait for.
    """

    def __init__(self, offload: bool, extrapolate: bool):
        self._offload = offload
        self._count = 2 if extrapolate else 1
        self._kept: dict[Hashable, list[KeptResidual]] = {}

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def __len__(self) -> int:
        """Return how many residuals are held."""
        return sum(map(len, self._kept.values()))

    @property
    def bytes(self) -> int:
        """Bytes that are held now."""
        return sum(kept.residual.nbytes for held in self._kept.values() for kept in held)

    def latest(self, key: Hashable) -> Tensor | None:
        """Return the last residual that was computed under a key."""
        held = self._kept.get(key)
        return held[-1].residual if held else None

    def put(self, key: Hashable, sigma: float, residual: Tensor) -> None:
        """Keep a residual, in the oldest one's place."""
        held = [kept for kept in self._kept.get(key, []) if kept.sigma != sigma]
        oldest = held.pop(0) if len(held) == self._count else None
        self._kept[key] = [*held, KeptResidual(sigma, self._stored(residual, oldest))]

    def get(self, key: Hashable, sigma: float, device: torch.device) -> Tensor | None:
        """Predict the residual at `sigma`; None if there is none under the key."""
        held = self._kept.get(key)
        if held is None:
            return None
        latest = held[-1].residual.to(device, non_blocking=True)
        if len(held) == 1:
            return latest
        (before, earlier), (at, _) = held
        return torch.lerp(earlier.to(device, non_blocking=True), latest, (sigma - before) / (at - before))

    def keep_only(self, sigma: float) -> None:
        """Drop every key under which nothing was computed at `sigma`: its residual is older than is thought."""
        self._kept = {key: held for key, held in self._kept.items() if held[-1].sigma == sigma}

    def clear(self) -> None:
        """Let go of all."""
        self._kept.clear()

    def _stored(self, residual: Tensor, oldest: KeptResidual | None) -> Tensor:
        if not self._offload or residual.device.type == "cpu":
            return residual
        into = torch.empty_like(residual, device="cpu", pin_memory=True) if oldest is None else oldest.residual
        return into.copy_(residual, non_blocking=True)
