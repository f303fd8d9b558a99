"""The 133 points of somebody in a box, as ViTPose and DWPose see them."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...pose import FACE, HANDS, SEEN
from .session import OnnxSession

Read = Callable[[list[np.ndarray], Sequence[int]], tuple[np.ndarray, np.ndarray]]
"""From a network's output to places [N, 133, 2] in shares of the crop, and scores [N, 133]; 0 is no point."""
PADDING = 1.25
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of ImageNet, red first
BLUR = 11  # cells, for heat maps whose sigma is 2
COUNTS_FOR_DWPOSE = 0.3  # the score from which on DWPose's authors draw a point


class OnnxPoints:
    """An ONNX file that finds somebody's points."""

    def __init__(self, session: OnnxSession, read: Read):
        self._session, self._read = session, read

    def points(self, image: Tensor, boxes: np.ndarray, *, hands: bool, face: bool) -> np.ndarray:
        """The points [N, 133, 3] of whoever is in the boxes [N, 4], N at least 1, of an image [H, W, 3] in bytes."""
        middles, sizes = _around(boxes, self._session.size)
        made = self._session(_crops(image, middles, sizes, self._session.size))
        places, scores = self._read(made, self._session.size)
        found = np.concatenate([(places - 0.5) * sizes[:, None] + middles[:, None], scores[..., None]], -1)
        unwanted = [part for part, wanted in ((FACE, face), *((hand, hands) for hand in HANDS)) if not wanted]
        for part in unwanted:
            found[:, part] = 0
        found[found[..., 2] <= 0] = 0
        return found


def _around(boxes: np.ndarray, size: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The middles and the widths and heights [N, 2] of padded boxes, made as wide or high as the network wants."""
    sizes = (boxes[:, 2:] - boxes[:, :2]) * PADDING
    aspect = size[1] / size[0]
    height = np.maximum(sizes[:, 1], sizes[:, 0] / aspect)
    return (boxes[:, :2] + boxes[:, 2:]) / 2, np.stack([height * aspect, height], 1)


def _crops(image: Tensor, middles: np.ndarray, sizes: np.ndarray, size: Sequence[int]) -> Tensor:
    """Normalised crops [N, 3, *size], black beyond the image, as OpenCV's warpAffine makes them."""
    pixels = image.cpu().permute(2, 0, 1)[None].float()
    height, width = image.shape[:2]
    crops = []
    for (x, y), (wide, high) in zip(middles.tolist(), sizes.tolist(), strict=True):
        across = torch.arange(size[1]) * (wide / size[1]) + x - wide / 2
        along = torch.arange(size[0]) * (high / size[0]) + y - high / 2
        rows, columns = torch.meshgrid((2 * along + 1) / height - 1, (2 * across + 1) / width - 1, indexing="ij")
        places = torch.stack([columns, rows], -1)[None]
        crops.append(F.grid_sample(pixels, places, mode="bilinear", padding_mode="zeros", align_corners=False).round())
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    return (torch.cat(crops) - mean) / std


def read_heat_maps(made: list[np.ndarray], _: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """ViTPose's heat maps [N, 133, h, w]: the best cell, and from there to where the peak must be (DARK, 1910.06278).

    With the settings of Wan's own preprocessing.
    """
    maps = made[0]
    height, width = maps.shape[2:]
    scores = maps.max((2, 3))
    y, x = np.divmod(maps.reshape(*scores.shape, -1).argmax(-1), width)
    inside = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2) & (scores > 0)
    places = np.stack([x, y], -1).astype(np.float64)
    places[inside] += _to_peak(_log_blurred(maps)[inside], x[inside], y[inside])
    return places / (width, height), scores.clip(0, 1)


def _log_blurred(maps: np.ndarray) -> np.ndarray:
    """The logarithm of heat maps [N, K, h, w] blurred, each with the maximum that it had."""
    steps = torch.arange(BLUR) - BLUR // 2
    kernel = torch.exp(-(steps**2) / (2 * 2.0**2))
    kernel /= kernel.sum()
    flat = torch.from_numpy(maps).flatten(0, 1)[:, None]
    blurred = F.conv2d(flat, kernel[None, None, None, :], padding=(0, BLUR // 2))
    blurred = F.conv2d(blurred, kernel[None, None, :, None], padding=(BLUR // 2, 0))
    blurred *= flat.amax((2, 3), keepdim=True) / blurred.amax((2, 3), keepdim=True).clamp(min=1e-10)
    return blurred.clamp(min=1e-10).log().reshape(maps.shape).numpy().astype(np.float64)


def _to_peak(maps: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Offsets [M, 2] from cells (x, y) of maps [M, h, w] to the peak of the parabola through their neighbours."""
    here = np.arange(len(maps))

    def at(right: int, down: int) -> np.ndarray:
        return maps[here, y + down, x + right]

    dx, dy = (at(1, 0) - at(-1, 0)) / 2, (at(0, 1) - at(0, -1)) / 2
    dxx, dyy = (at(2, 0) - 2 * at(0, 0) + at(-2, 0)) / 4, (at(0, 2) - 2 * at(0, 0) + at(0, -2)) / 4
    dxy = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4
    whole = dxx * dyy - dxy**2
    step = np.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], -1)
    return np.where(whole[:, None] != 0, step / np.where(whole == 0, 1, whole)[:, None], 0)


def read_axes(made: list[np.ndarray], size: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """DWPose's two axes [N, 133, bins], across and along (SimCC, 2107.03332): the best bin of each.

    Its authors count a point from a score of 0.3 on, this pack from 0.5: the scores are made to agree.
    """
    first, second = (axis.shape[-1] for axis in made)
    across, along = made if first * size[0] == second * size[1] else made[::-1]
    places = np.stack([axis.argmax(-1) / axis.shape[-1] for axis in (across, along)], -1)
    scores = np.minimum(across.max(-1), along.max(-1))
    return places, (scores * (SEEN / COUNTS_FOR_DWPOSE)).clip(0, 1)
