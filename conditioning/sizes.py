"""Sizes in pixels: the trained resolutions at any aspect ratio, and the fixed sizes of published interfaces."""

import math
from typing import NamedTuple

PATCH = 16  # pixels a side of what the transformer sees as one: VAE 8, patch 2
WIDEST = 4.0  # ratio of the sides beyond which no Wan was trained

TRAINED = {"480p": (832, 480), "580p": (1024, 576), "720p": (1280, 720)}
RESOLUTIONS = {**TRAINED, "240p": (416, 240)}
"""The sizes at 16:9; at any other ratio their area counts. 580p is documented as a name only, the size is ours; 240p is
for a quick look: no Wan was trained on it."""

CUSTOM = "custom"

AUTO, WIDE, TALL = "auto", "16:9", "9:16"
ASPECT_RATIOS = (AUTO, WIDE, TALL, "1:1", "4:3", "3:4", "3:2", "2:3", "21:9")

IMAGE_SIZES = {
    "fal square_hd": (1024, 1024),
    "fal square": (512, 512),
    "fal portrait_4_3": (768, 1024),
    "fal portrait_16_9": (576, 1024),
    "fal landscape_4_3": (1024, 768),
    "fal landscape_16_9": (1024, 576),
}
"""The names of fal's `image_size`."""

_ANIMATE = (
    *((480, 480), (480, 704), (704, 480), (480, 832), (832, 480), (480, 1280), (1280, 480), (704, 704)),
    *((704, 832), (832, 704), (704, 1280), (1280, 704), (832, 832), (832, 1280), (1280, 832), (1280, 1280)),
)
ANIMATE_SIZES = {f"animate {width}x{height}": (width, height) for width, height in _ANIMATE}
"""What Runware's Wan 2.2 Animate takes."""

FIXED = {**IMAGE_SIZES, **ANIMATE_SIZES}


class Size(NamedTuple):
    """Width and height in pixels, both on the grid, and what had to be changed to get there."""

    width: int
    height: int
    notes: tuple[str, ...] = ()


def on_grid(width: int, height: int, patch: int = PATCH) -> Size:
    """The largest size within `width` x `height` whose sides are multiples of `patch`; at least one patch."""
    down = Size(max(width // patch, 1) * patch, max(height // patch, 1) * patch)
    if (down.width, down.height) == (width, height):
        return down
    return down._replace(notes=(f"{width}x{height} became {down.width}x{down.height}: multiples of {patch}.",))


def choose_size(
    resolution: str,
    aspect_ratio: str = AUTO,
    image: tuple[int, int] | None = None,
    patch: int = PATCH,
    custom: tuple[int, int] = RESOLUTIONS["480p"],
) -> Size:
    """The size for a name of RESOLUTIONS at an aspect ratio, for a name of FIXED, or `custom` (width, height) itself.

    `auto` takes the ratio of `image` (width, height), or 16:9 where there is none.
    """
    if resolution in FIXED or resolution == CUSTOM:
        said = () if aspect_ratio == AUTO and image is None else (f"{resolution} has an aspect ratio of its own.",)
        return _noted(on_grid(*FIXED.get(resolution, custom), patch), said)
    if resolution not in RESOLUTIONS:
        raise ValueError(f"resolution is {resolution!r}. Choose one of {', '.join((*RESOLUTIONS, CUSTOM, *FIXED))}.")
    wide = RESOLUTIONS[resolution]
    if aspect_ratio == AUTO and image is not None:
        ratio, said = _held(image[0] / image[1])
        return _noted(_by_area(wide[0] * wide[1], ratio, patch), said)
    if aspect_ratio in (AUTO, WIDE):
        return on_grid(*wide, patch)
    if aspect_ratio == TALL:
        return on_grid(wide[1], wide[0], patch)
    return _by_area(wide[0] * wide[1], _ratio(aspect_ratio), patch)


def _by_area(area: int, ratio: float, patch: int) -> Size:
    """Both sides of a rectangle of this area and ratio, rounded down to the grid (Wan 2.2 image2video)."""
    sides = (math.sqrt(area * ratio), math.sqrt(area / ratio))
    width, height = (int(side // patch) * patch for side in sides)
    found = width / height
    if abs(found / ratio - 1) < 0.01:
        return Size(width, height)
    return Size(width, height, (f"The ratio became {found:.3f} in place of {ratio:.3f}: multiples of {patch}.",))


def _held(ratio: float) -> tuple[float, tuple[str, ...]]:
    held = min(max(ratio, 1 / WIDEST), WIDEST)
    if held == ratio:
        return ratio, ()
    return held, (f"The image's ratio {ratio:.3g} was held to {held:g}; the rest of it will be cropped.",)


def _ratio(text: str) -> float:
    if text not in ASPECT_RATIOS:
        raise ValueError(f"aspect_ratio is {text!r}. Choose one of {', '.join(ASPECT_RATIOS)}.")
    width, height = text.split(":")
    return int(width) / int(height)


def _noted(size: Size, notes: tuple[str, ...]) -> Size:
    return size._replace(notes=(*notes, *size.notes))
