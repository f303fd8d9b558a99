"""Person boxes by YOLOX and YOLOv10, in pixels of the image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..mediapipe.detections import overlaps
from .session import OnnxSession

Boxes = tuple[np.ndarray, np.ndarray]
"""Boxes [N, 4] as left, top, right, bottom in pixels of the network's input, and scores [N]."""
PERSON = 0  # the first of COCO's classes
STRIDES = (8, 16, 32)
GREY = 114  # around what YOLOX is shown


@dataclass(frozen=True)
class Family:
    """A kind of network: its preprocessing and the layout of its output; `least` and `overlap` are its authors'."""

    shown: Callable[[Tensor, Sequence[int]], tuple[Tensor, np.ndarray]]
    read: Callable[[np.ndarray, Sequence[int]], Boxes]
    least: float
    overlap: float


class OnnxPersons:
    """An ONNX file that finds people."""

    def __init__(self, session: OnnxSession, family: Family):
        self._session, self._family = session, family

    def persons(self, image: Tensor) -> np.ndarray:
        """Boxes [N, 4] of the people in an image [H, W, 3] in bytes, the surest first."""
        family, size = self._family, self._session.size
        pixels, scale = family.shown(image.cpu().permute(2, 0, 1)[None].float(), size)
        boxes, scores = family.read(self._session(pixels)[0][0], size)
        sure = scores >= family.least
        height, width = image.shape[:2]
        found = boxes[sure] / np.tile(scale, 2)
        return _different(found, scores[sure], family.overlap).clip(0, (width, height, width, height))


def _different(boxes: np.ndarray, scores: np.ndarray, overlap: float) -> np.ndarray:
    """The boxes without those that overlap a surer one."""
    left, kept = np.argsort(-scores), []
    while len(left):
        kept.append(left[0])
        left = left[1:][overlaps(boxes[left[0]], boxes[left[1:]]) <= overlap]
    return boxes[kept]


def _squashed(pixels: Tensor, size: Sequence[int]) -> tuple[Tensor, np.ndarray]:
    """The image [1, 3, H, W] at a size, in 0..1, and how much smaller it has become across and along."""
    height, width = pixels.shape[2:]
    return _resized(pixels, size) / 255, np.array([size[1] / width, size[0] / height])


def _in_corner(pixels: Tensor, size: Sequence[int]) -> tuple[Tensor, np.ndarray]:
    """The image in the upper left of a grey one, in 0..255 and, as in OpenCV, blue first."""
    height, width = pixels.shape[2:]
    ratio = min(size[0] / height, size[1] / width)
    inside = int(height * ratio), int(width * ratio)
    shown = torch.full((1, 3, *size), float(GREY))
    shown[..., : inside[0], : inside[1]] = _resized(pixels, inside).round().flip(1)
    return shown, np.array([ratio, ratio])


def _resized(pixels: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(pixels, size=tuple(size), mode="bilinear", align_corners=False)


def _read_rows(rows: np.ndarray, _: Sequence[int]) -> Boxes:
    """Rows [N, 6] of corners, score and class: a network that has chosen by itself."""
    rows = rows[rows[:, 5] == PERSON]
    return rows[:, :4], rows[:, 4]


def _read_columns(columns: np.ndarray, _: Sequence[int]) -> Boxes:
    """Columns [4 + classes, N] of middle, size and a score for each class."""
    classes = columns[4:]
    people = columns[:, classes.argmax(0) == PERSON]
    return _corners(people[:2].T, people[2:4].T), people[4 + PERSON]


def _read_grid(cells: np.ndarray, size: Sequence[int]) -> Boxes:
    """Cells [N, 5 + classes] of middle and size as YOLOX writes them, whether there is anything, and what it is."""
    places, strides = grid(size)
    sizes = np.exp(cells[:, 2:4]) * strides
    return _corners((cells[:, :2] + places) * strides, sizes), cells[:, 4] * cells[:, 5 + PERSON]


def grid(size: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Column and row [N, 2] of each of YOLOX' cells in an image of a size (height, width), and its stride [N, 1]."""
    places, strides = [], []
    for stride in STRIDES:
        rows, columns = np.mgrid[: size[0] // stride, : size[1] // stride]
        places.append(np.stack([columns, rows], -1).reshape(-1, 2))
        strides.append(np.full((rows.size, 1), stride))
    return np.concatenate(places), np.concatenate(strides)


def _corners(middles: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    return np.concatenate([middles - sizes / 2, middles + sizes / 2], 1)


YOLOX = Family(_in_corner, _read_grid, least=0.3, overlap=0.45)  # DWPose's own, with yolox_l
YOLOV10 = Family(_squashed, _read_rows, least=0.25, overlap=0.5)  # Wan's own, but surer: it takes the largest of all
YOLO = Family(_squashed, _read_columns, least=0.25, overlap=0.5)
