"""Bodies: where they may be, and the 33 points, presence and mask of each (BlazePose)."""

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from .detections import POSE, detections
from .network import Network
from .region import crops, to_image, toward

POINTS = 33
CENTRE, REACH = 33, 34  # two more points, of the circle around the body
MARGIN = 1.25
VISIBLE = 0.5
WINDOW = 3  # cells of the heat map to each side of a point that place it exactly
SURE_ENOUGH = 0.5  # of a heat map's best cell
CLEAREST = 11  # a third of the points: of a body that is half hidden the others are guesses


@dataclass(frozen=True)
class Bodies:
    """N bodies: points [N, 33, 3] as x, y, visibility; presence [N]; where to look in the next frame [N, 4].

    `clarity` [N] is how far the clearest points stand out from everything around them, in 0..1: the network is sure of
    its presence where something has a body's outline, but of single joints only where there are some.
    `masks` [N, 256, 256] in 0..1 cover `regions` [N, 4].
    """

    points: np.ndarray
    presence: np.ndarray
    clarity: np.ndarray
    regions: np.ndarray
    following: np.ndarray
    masks: Tensor

    def __len__(self) -> int:
        return len(self.presence)

    def chosen(self, which: list[int]) -> "Bodies":
        """These bodies only, in this order."""
        return Bodies(*(getattr(self, field.name)[which] for field in fields(self)))

    def joined(self, others: "Bodies") -> "Bodies":
        """These bodies, and then the others."""
        arrays = [field.name for field in fields(self) if field.type is np.ndarray]
        made = {name: np.concatenate([getattr(self, name), getattr(others, name)]) for name in arrays}
        return Bodies(**made, masks=torch.cat([self.masks, others.masks]))

    def boxes(self) -> np.ndarray:
        """Boxes [N, 4] around the points that can be seen, or around all of a body that has none."""
        seen = self.points[..., 2] >= VISIBLE
        seen |= ~seen.any(1, keepdims=True)
        low = np.where(seen[..., None], self.points[..., :2], np.inf).min(1)
        high = np.where(seen[..., None], self.points[..., :2], -np.inf).max(1)
        return np.concatenate([low, high], 1)


def candidates(network: Network, image: Tensor, squares: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Regions [N, 4] and scores [N] of the people that the squares [M, 4] of an image may show."""
    guesses, logits = network(crops(image, squares, network.size, black=True) * 2 - 1)
    regions, scores = [np.zeros((0, 4))], []
    for square, guess, logit in zip(squares, guesses.cpu().numpy(), logits.cpu().numpy(), strict=True):
        for found in detections(POSE, guess, logit, least):
            regions.append(around(to_image(found.points[None, :2], square[None])))
            scores.append(found.score)
    return np.concatenate(regions), np.array(scores)


def around(circles: np.ndarray) -> np.ndarray:
    """The regions [N, 4] for circles [N, 2, 2]: the middle of the hips, and a point above the head."""
    start, end = circles[:, 0], circles[:, 1]
    return toward(start, end, 2 * MARGIN * np.linalg.norm(end - start, axis=1))


def bodies(network: Network, image: Tensor, regions: np.ndarray) -> Bodies:
    """The body in each region [N, 4], N at least 1, whether there is one or not."""
    landmarks, presence, masks, heat, _ = network(crops(image, regions, network.size))
    found = landmarks.reshape(len(regions), -1, 5)
    sureness = heat.sigmoid().cpu().numpy()
    places = refine(found[..., :2].cpu().numpy() / network.size, sureness)
    points = to_image(places, regions)
    visibility = found[..., 3].sigmoid().cpu().numpy()
    clearest = np.sort(sureness.max((1, 2))[:, :POINTS])[:, -CLEAREST:]
    return Bodies(
        np.concatenate([points, visibility[..., None]], -1)[:, :POINTS],
        presence[:, 0].cpu().numpy(),
        clearest.mean(1),
        regions,
        around(points[:, [CENTRE, REACH]]),
        masks[..., 0].sigmoid(),
    )


def refine(places: np.ndarray, sureness: np.ndarray) -> np.ndarray:
    """Places [N, K, 2] in shares, each moved to the middle of the sure cells of its map [N, h, h, K] around it."""
    cells = sureness.shape[1]
    steps = np.arange(-WINDOW, WINDOW + 1)
    across, along = np.moveaxis(np.floor(places * cells).astype(int)[..., None] + steps, 2, 0)
    inside = _within(along, cells)[..., :, None] & _within(across, cells)[..., None, :]
    body, point = np.ogrid[: places.shape[0], : places.shape[1]]
    rows, columns = along.clip(0, cells - 1)[..., :, None], across.clip(0, cells - 1)[..., None, :]
    weights = sureness[body[..., None, None], rows, columns, point[..., None, None]] * inside
    total = weights.sum((2, 3)).clip(1e-6)
    exact = np.stack([(weights.sum(2) * across).sum(2) / total, (weights.sum(3) * along).sum(2) / total], -1)
    return np.where((weights.max((2, 3)) >= SURE_ENOUGH)[..., None], exact / cells, places)


def _within(places: np.ndarray, count: int) -> np.ndarray:
    return (places >= 0) & (places < count)
