"""Training of the miniature's LoRA pair, which turns every shape yellow: rank 8 on four linears of each block."""

from __future__ import annotations

import torch
from torch import Tensor

RANK = 8
TARGETS = ("cross_attn.v", "cross_attn.o", "ffn.0", "ffn.2")


class Lora(torch.nn.Module):
    """A trainable LoRA on a frozen expert, through hooks on its linears for as long as it lives."""

    def __init__(self, net: torch.nn.Module, seed: int) -> None:
        super().__init__()
        net.requires_grad_(False)
        generator = torch.Generator().manual_seed(seed)
        for name, linear in net.named_modules():
            if not name.endswith(TARGETS) or not isinstance(linear, torch.nn.Linear):
                continue
            down = torch.randn(RANK, linear.in_features, generator=generator) * linear.in_features**-0.5
            key = name.replace(".", "/")  # a parameter's name has no dots
            self.register_parameter(f"{key}:down", torch.nn.Parameter(down))
            self.register_parameter(f"{key}:up", torch.nn.Parameter(torch.zeros(linear.out_features, RANK)))
            linear.register_forward_hook(self._hook(key))

    def _hook(self, key: str):
        def add(_: torch.nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
            down, up = self.get_parameter(f"{key}:down"), self.get_parameter(f"{key}:up")
            return output + inputs[0] @ down.T.to(inputs[0]) @ up.T.to(inputs[0])

        return add


def exported(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a trained Lora's weights in bf16 under the names that the host knows."""
    return {
        f"diffusion_model.{key.replace('/', '.').replace(':', '.lora_')}.weight": weight.bfloat16()
        for key, weight in weights.items()
    }
