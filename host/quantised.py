"""The one door to the host's names for quantised weights, which differ by host."""

from collections.abc import Mapping
from typing import Any

import comfy.quant_ops
import comfy.utils
import torch
from comfy.quant_ops import QuantizedTensor


def known_formats() -> tuple[str, ...]:
    """The host's names of the formats it reads; none on hosts that have no list of them."""
    return tuple(getattr(comfy.quant_ops, "QUANT_ALGOS", {}))


def is_quantised(weight: torch.Tensor) -> bool:
    """Say whether a weight is held in one of those formats."""
    return isinstance(weight, QuantizedTensor)


def in_one_spelling(
    state: dict[str, torch.Tensor], metadata: Mapping[str, str]
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """A state dict and its metadata in the one spelling that the host knows inside, if it has one."""
    convert: Any = getattr(comfy.utils, "convert_old_quants", None)
    return convert(state, "", metadata=dict(metadata)) if convert else (state, dict(metadata))
