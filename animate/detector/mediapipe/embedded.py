"""The embedded detector: what it sees in one image."""

from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ....video.clip import Look, never
from .body import Bodies, bodies, candidates
from .detections import overlap_of_smaller
from .face import POINTS as FACE_POINTS
from .face import faces as find_faces
from .hands import POINTS as HAND_POINTS
from .hands import hands as find_hands
from .network import Network
from .region import whole

LEAST_TILE = 16  # pixels of a tile's side
MOST_TILES = 200  # of one size, as in an image a hundred times as wide as high
TILED = (1, 2)  # tiles whose side is the image's shorter one, and half of it
SCORE = 0.5
NEW, AGAIN = (0.92, 0.7), (0.8, 0.55)  # presence and clarity of somebody new, and of who was there a moment ago
AROUND = 1.5  # times the size of the region in which somebody was seen last, to look for them
SETTLING = 2  # looks, each where the one before says, until a region fits its body
SAME = 0.5  # share of the smaller box


class Details(NamedTuple):
    """Hands [N, 2, 21, 3] and face meshes [N, 468, 3] of N people, as x, y, presence."""

    hands: np.ndarray
    faces: np.ndarray


class EmbeddedDetector:
    """People in one image [H, W, 3] in bytes. It owns its networks, which are read when they are first used.

    `look` is called before each of their layers, and may raise to end an interrupted run.
    """

    def __init__(self, device: torch.device, look: Look = never):
        self.device = device
        self._look = look

    def _network(self, name: str) -> Network:
        return Network(name, self.device, self._look)

    @cached_property
    def _person(self) -> Network:
        return self._network("pose_detection")

    @cached_property
    def _body(self) -> Network:
        return self._network("pose_landmark_full")

    @cached_property
    def _hand(self) -> tuple[Network, Network]:
        return self._network("hand_recrop"), self._network("hand_landmark_full")

    @cached_property
    def _face(self) -> tuple[Network, Network]:
        return self._network("face_detection_short_range"), self._network("face_landmark")

    def find(self, image: Tensor, *, tiled: bool = False) -> Bodies | None:
        """Everybody in the image, the clearest first; `tiled` sees several and small people, and takes longer."""
        height, width = image.shape[:2]
        squares = whole(width, height)[None]
        if tiled:
            squares = np.concatenate([squares, tiles(width, height)])
        return self._settled(image, *candidates(self._person, image, squares, SCORE), NEW)

    def find_again(self, image: Tensor, lost: np.ndarray) -> Bodies | None:
        """Everybody around the regions [M, 4], M at least 1, in which somebody was seen last, the clearest first."""
        squares = np.concatenate([lost, lost * (1, 1, AROUND, 0)]) * (1, 1, 1, 0)
        return self._settled(image, *candidates(self._person, image, squares, SCORE), AGAIN)

    def _settled(
        self, image: Tensor, regions: np.ndarray, scores: np.ndarray, least: tuple[float, float]
    ) -> Bodies | None:
        """The bodies in regions [N, 4] that fit them, found from regions that nearly do."""
        regions = regions[_apart(regions[order := np.argsort(-scores)], order)]
        if not len(regions):
            return None
        for _ in range(SETTLING):
            regions = bodies(self._body, image, regions).following
        found, (presence, clarity) = bodies(self._body, image, regions), least
        there = (found.presence >= presence) & (found.clarity >= clarity)
        kept = _different(found, [i for i in np.argsort(-found.clarity).tolist() if there[i]])
        return found.chosen(kept) if kept else None

    def guessed(self, image: Tensor, squares: np.ndarray) -> np.ndarray:
        """The regions [N, 4] of the people whom the squares [M, 4] of an image may show."""
        return candidates(self._person, image, squares, SCORE)[0]

    def look(self, image: Tensor, regions: np.ndarray) -> Bodies:
        """The body in each region [N, 4], whether there is one or not."""
        return bodies(self._body, image, regions)

    def details(self, image: Tensor, found: Bodies, before: Details, *, hands: bool, face: bool) -> Details:
        """The hands and faces of bodies; `before` are those of a frame ago. Zeros for what is not asked for."""
        details = no_details(len(found))
        if hands:
            details = details._replace(hands=find_hands(*self._hand, image, found.points, before.hands))
        if face:
            details = details._replace(faces=find_faces(*self._face, image, found.points, before.faces))
        return details


def no_details(count: int) -> Details:
    """Details of `count` people before their first frame: zeros."""
    return Details(np.zeros((count, 2, HAND_POINTS, 3)), np.zeros((count, FACE_POINTS, 3)))


def tiles(width: int, height: int) -> np.ndarray:
    """Cover an image with squares [N, 4], each half over the next; with none where nobody could be made out in them."""
    found: list[tuple[float, float, float, float]] = []
    for side in (min(width, height) / parts for parts in TILED):
        across, along = (int(np.ceil(2 * n / side - 1)) for n in (width, height))
        if side < LEAST_TILE or across * along > MOST_TILES:
            continue
        columns, rows = (np.linspace(side / 2, n - side / 2, count) for n, count in ((width, across), (height, along)))
        found += [(x, y, side, 0.0) for y in rows for x in columns]
    return np.array(found).reshape(-1, 4)


def _apart(regions: np.ndarray, order: np.ndarray) -> list[int]:
    """Of regions, the surest first, the places in `order` of those that are not of a body that came before."""
    kept: list[int] = []
    for i, region in enumerate(regions):
        others = regions[kept]
        near = np.linalg.norm(others[:, :2] - region[:2], axis=1) < np.minimum(others[:, 2], region[2]) / 5
        if not (near & (np.abs(np.log(others[:, 2] / region[2])) < np.log(1.5))).any():
            kept.append(i)
    return order[kept].tolist()


def _different(found: Bodies, kept: list[int]) -> list[int]:
    """Those of the bodies that share no more than a part of their box with one before them."""
    boxes, chosen = found.boxes(), []
    for i in kept:
        if not chosen or overlap_of_smaller(boxes[i], boxes[chosen]).max() <= SAME:
            chosen.append(i)
    return chosen
