"""UniPC on rectified flow: the default solver of the official Wan 2.2 code."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...host.sampling import trange

BELOW_ONE = 1 - 1e-6  # the first sigma at most: at 1 the signal is nil, and its logarithm nowhere


@torch.no_grad()
def sample_flow_unipc(
    model: Callable[..., Tensor],
    x: Tensor,
    sigmas: Tensor,
    extra_args: dict[str, Any] | None = None,
    callback: Callable[[dict[str, Any]], None] | None = None,
    disable: bool | None = None,
    order: int = 2,
    variant: str = "bh2",
) -> Tensor:
    """UniPC (Zhao et al. 2023, arXiv 2302.04867) of order 1 to 3, with its corrector, lower order at the end.

    One evaluation a step. `x` is [B, ...]; `variant` is bh1 or bh2.
    """
    if order not in (1, 2, 3) or variant not in ("bh1", "bh2"):
        raise ValueError(f"flow_unipc has order 1, 2, 3 and variant bh1, bh2; got order {order}, variant '{variant}'")
    times = sigmas.double().clamp(max=BELOW_ONE).tolist()
    ones = x.new_ones([x.shape[0]])
    history: list[tuple[float, Tensor]] = []
    before, used = x, 0
    for i in trange(len(times) - 1, disable=disable):
        denoised = model(x, sigmas[i] * ones, **(extra_args or {}))
        if history:  # the corrector: the last step again, with what is known now
            x = _step(before, times[i - 1], times[i], history[-used:], variant, denoised)
        history = [*history, (_log_snr(times[i]), denoised)][-order:]
        if callback is not None:
            callback({"x": x, "i": i, "sigma": sigmas[i], "sigma_hat": sigmas[i], "denoised": denoised})
        used = min(order, len(times) - 1 - i, len(history))
        before = x
        x = _step(x, times[i], times[i + 1], history[-used:], variant) if times[i + 1] > 0 else denoised
    return x


def _log_snr(sigma: float) -> float:
    return math.log((1 - sigma) / sigma)


def _step(
    x: Tensor,
    start: float,
    end: float,
    history: list[tuple[float, Tensor]],
    variant: str,
    at_end: Tensor | None = None,
) -> Tensor:
    """From sigma `start` to `end`, of the order of the `history`: log SNR and denoised latent, the newest last.

    With `at_end`, the denoised latent there, it is the corrector.
    """
    newest, denoised = history[-1]
    h = _log_snr(end) - newest
    earlier = history[-2::-1]
    nodes = [(log_snr - newest) / h for log_snr, _ in earlier]
    slopes = [(other - denoised) / node for node, (_, other) in zip(nodes, earlier, strict=True)]
    if at_end is not None:
        slopes.append(at_end - denoised)
    phi = math.expm1(-h)
    scale = phi if variant == "bh2" else -h
    weights = _weights([*nodes, 1.0], h, scale, len(slopes))
    correction = sum(weight * slope for weight, slope in zip(weights, slopes, strict=True))
    return end / start * x - (1 - end) * (phi * denoised + scale * correction)


def _weights(nodes: list[float], h: float, scale: float, count: int) -> list[float]:
    """Weights of the slopes: the solution of a small Vandermonde system (equation 11 of the paper)."""
    if count < 2:
        return [0.5] * count
    phi, factorial, moments = math.expm1(-h) / -h - 1, 1.0, []
    for power in range(count):
        moments.append(phi * factorial / scale)
        factorial *= power + 2
        phi = phi / -h - 1 / factorial
    system = torch.tensor(nodes[:count], dtype=torch.float64) ** torch.arange(count).unsqueeze(1)
    return torch.linalg.solve(system, torch.tensor(moments, dtype=torch.float64)).tolist()
