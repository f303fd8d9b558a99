"""Given frames as a 36-channel expert takes them: a clip that is grey elsewhere, and a mask."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import comfy.utils
import torch
from torch import Tensor

from .frame_images import Placed
from .lengths import GROUP, latent_frames

GREY = 0.5
Encode = Callable[[Tensor], Tensor]
Values = dict[str, Any]
"""What the host's conditioning carries: `concat_latent_image` and `concat_mask`."""


def given_frames(
    encode: Encode, placed: Sequence[Placed], width: int, height: int, length: int
) -> tuple[Values, Values]:
    """The values for the high- and for the low-noise expert; one object if their strengths are the same.

    `encode` is the VAE's, from [T, H, W, 3] to [1, C, t, h, w]; `length` is 4n+1 and the sides are on the VAE's grid.
    """
    high = {start: image.strength_high for start, image in placed}
    low = {start: image.strength_low for start, image in placed}
    resized = {start: fit(image.images, width, height) for start, image in placed}
    for_high = _values(encode, resized, high, length)
    if low == high:
        return for_high, for_high
    if {start: strength > 0 for start, strength in low.items()} == {start: high[start] > 0 for start in high}:
        latent = for_high["concat_latent_image"]  # the same images are there, only their masks differ
        return for_high, {"concat_latent_image": latent, "concat_mask": _mask(resized, low, length, latent)}
    return for_high, _values(encode, resized, low, length)


def fit(images: Tensor, width: int, height: int) -> Tensor:
    """Images [B, H, W, C] scaled to cover `width` x `height` and cropped at the centre, as the host's nodes do it."""
    moved = images[..., :3].movedim(-1, 1)
    return comfy.utils.common_upscale(moved, width, height, "bilinear", "center").movedim(1, -1)


def _values(encode: Encode, resized: Mapping[int, Tensor], strengths: Mapping[int, float], length: int) -> Values:
    height, width = next(iter(resized.values())).shape[1:3]
    clip = torch.full((length, height, width, 3), GREY)
    for start, images in resized.items():
        if strengths[start] > 0:
            clip[start : start + len(images)] = images
    latent = encode(clip)
    return {"concat_latent_image": latent, "concat_mask": _mask(resized, strengths, length, latent)}


def _mask(resized: Mapping[int, Tensor], strengths: Mapping[int, float], length: int, latent: Tensor) -> Tensor:
    """[1, 4, t, h, w], 0 where a frame is given: frame 0 fills its latent frame, the others are one channel each."""
    flat = torch.ones(GROUP * latent_frames(length))
    for start, images in resized.items():
        first = start + GROUP - 1 if start else 0
        flat[first : start + len(images) + GROUP - 1] = 1 - strengths[start]
    by_latent = flat.view(1, -1, GROUP, 1, 1).transpose(1, 2)
    return by_latent.expand(-1, -1, -1, *latent.shape[-2:]).contiguous()
