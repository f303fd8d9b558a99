"""Lessons of the miniature: drawn clips of one coloured shape moving in one direction, with their captions."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SIZE, LENGTH = 64, 17  # pixels a side, frames
COLORS: dict[str, tuple[float, float, float]] = {
    "red": (0.90, 0.10, 0.10),
    "green": (0.10, 0.75, 0.15),
    "blue": (0.15, 0.25, 0.95),
    "yellow": (0.95, 0.85, 0.10),
}
LORA_COLOR = "yellow"  # what the LoRA turns every shape into
SHAPES = ("circle", "square", "triangle")
DIRECTIONS: dict[str, tuple[int, int]] = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}

RADIUS = (11.0, 14.0)  # half of a shape's width and height, in pixels
SPEED = (1.1, 1.9)  # pixels a frame
MARGIN = 1.5  # pixels that always lie between a shape and the frame's edge
WANDER = 0.35  # of the room that this leaves, how much the middle of a shape's way may be off the picture's middle


@dataclass(frozen=True)
class Caption:
    """Content of a clip; as a string, the prompt for it."""

    color: str
    shape: str
    direction: str

    def __str__(self) -> str:
        return f"a {self.color} {self.shape} moving {self.direction}"


CAPTIONS = tuple(Caption(*words) for words in itertools.product(COLORS, SHAPES, DIRECTIONS))


@dataclass(frozen=True)
class Clips:
    """Frames [B, 3, T, H, W] in 0..1 and the exact coverage [B, 1, T, H, W] of the shape in each pixel."""

    frames: Tensor
    masks: Tensor


def draw(captions: Sequence[Caption], generator: torch.Generator, *, color: str | None = None) -> Clips:
    """Draw one clip for each caption: size, speed, place, tint and background are random.

    `color` takes the place of every caption's own; apart from that the same seed draws the same clip.
    """

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(len(captions), *shape, generator=generator)

    heading = torch.tensor([DIRECTIONS[caption.direction] for caption in captions])
    tint = torch.tensor([COLORS[color or caption.color] for caption in captions]) + uniform(-0.05, 0.05, 3)
    radius = uniform(*RADIUS)
    path = heading[:, None] * (uniform(*SPEED)[:, None] * (torch.arange(LENGTH) - (LENGTH - 1) / 2))[..., None]
    room = (SIZE - 1) / 2 - MARGIN - radius[:, None] - path.abs().amax(1)
    path = path + (SIZE - 1) / 2 + ((2 * uniform(0, 1, 2) - 1) * room * WANDER)[:, None]
    masks = _coverage([caption.shape for caption in captions], radius, path)[:, None]
    background = _background(uniform(0.12, 0.50, 2), uniform(-0.05, 0.05, 2, 3), uniform(0, 2 * torch.pi))
    frames = background[:, :, None] * (1 - masks) + tint.clamp(0, 1)[:, :, None, None, None] * masks
    return Clips(frames, masks)


def _coverage(shapes: Sequence[str], radius: Tensor, path: Tensor) -> Tensor:
    """Return how much of each pixel a shape covers, [B, T, H, W], from its distance to the shape's outline."""
    pixels = torch.arange(SIZE, dtype=torch.float32)
    x = pixels - path[:, :, 0, None, None]
    y = pixels[:, None] - path[:, :, 1, None, None]
    r = radius[:, None, None, None]
    distances = {
        "circle": torch.hypot(x, y) - r,
        "square": torch.maximum(x.abs(), y.abs()) - r,
        "triangle": torch.maximum(y - r, (2 * x.abs() - y - r) / 5**0.5),
    }
    kinds = torch.tensor([SHAPES.index(shape) for shape in shapes])
    own = sum(distances[shape] * (kinds == index)[:, None, None, None] for index, shape in enumerate(SHAPES))
    return (0.5 - torch.as_tensor(own)).clamp(0, 1)


def _background(brightness: Tensor, tint: Tensor, angle: Tensor) -> Tensor:
    """Return a nearly grey gradient between two colours, [B, 3, H, W]."""
    across = torch.linspace(-0.5, 0.5, SIZE)
    along = torch.cos(angle)[:, None, None] * across + torch.sin(angle)[:, None, None] * across[:, None]
    ends = brightness[:, :, None] + tint
    blend = (along / 2**0.5 + 0.5)[:, None]
    return ends[:, 0, :, None, None] * (1 - blend) + ends[:, 1, :, None, None] * blend
