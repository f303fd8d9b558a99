"""Six small blocks and inputs that drift: what cache-dit and our gate both run. Nothing but torch."""

import torch
from torch import Tensor, nn

LAYERS, STEPS = 6, 24
CHANNELS, TOKENS = 16, 8


class Block(nn.Module):
    """Adds something to a hidden state [B, L, C], and counts how often."""

    def __init__(self, seed: int):
        super().__init__()
        self.weight = torch.randn(CHANNELS, CHANNELS, generator=torch.Generator().manual_seed(seed)).double()
        self.ran = 0

    def forward(self, hidden_states: Tensor) -> Tensor:
        self.ran += 1
        return hidden_states + 0.3 * torch.tanh(hidden_states @ self.weight)


class Toy(nn.Module):
    """The blocks, one after the other, and a head that changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(seed) for seed in range(LAYERS))
        self.head = nn.Identity()

    def forward(self, hidden_states: Tensor) -> Tensor:
        for block in self.blocks:
            hidden_states = block(hidden_states)
        return self.head(hidden_states)


def hidden(step: int, pace: float) -> Tensor:
    """The input of a step, [1, L, C]: it moves on at a pace of its own, faster and slower in turns."""
    start, way = torch.randn(2, 1, TOKENS, CHANNELS, generator=torch.Generator().manual_seed(99)).double()
    time = torch.tensor(float(step), dtype=torch.float64)
    return start + way * pace * (time + 3 * torch.sin(time / 3))
