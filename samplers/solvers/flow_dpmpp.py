"""DPM-Solver++ (2M) on rectified flow: the other solver of the official Wan 2.2 code, `dpm++`."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...host.sampling import trange


@torch.no_grad()
def sample_flow_dpmpp(
    model: Callable[..., Tensor],
    x: Tensor,
    sigmas: Tensor,
    extra_args: dict[str, Any] | None = None,
    callback: Callable[[dict[str, Any]], None] | None = None,
    disable: bool | None = None,
) -> Tensor:
    """DPM-Solver++ (Lu et al. 2022, arXiv 2211.01095), multistep, order 2, midpoint. `x` is [B, ...].

    The host's dpmpp_2m_sde without noise is the same but for a first sigma it moves: 8e-4 apart after 8 steps.
    """
    times = sigmas.double().tolist()
    ones = x.new_ones([x.shape[0]])
    before: Tensor | None = None
    for i in trange(len(times) - 1, disable=disable):
        denoised = model(x, sigmas[i] * ones, **(extra_args or {}))
        if callback is not None:
            callback({"x": x, "i": i, "sigma": sigmas[i], "sigma_hat": sigmas[i], "denoised": denoised})
        now, end = times[i], times[i + 1]
        if end == 0:
            return denoised
        h = _log_snr(end) - _log_snr(now)
        target = denoised
        if before is not None:
            target = denoised + (denoised - before) * h / (_log_snr(now) - _log_snr(times[i - 1])) / 2
        x = end / now * x - (1 - end) * math.expm1(-h) * target
        before = denoised
    return x


def _log_snr(sigma: float) -> float:
    return math.log((1 - sigma) / sigma) if sigma < 1 else -math.inf
