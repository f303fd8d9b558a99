"""People are drawn as Wan's official preprocessing draws them, pixel for pixel or nearly so."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wan_duet.animate.draw import COLOURS, FINGER_COLOURS, LIMBS, draw_pose, joints
from wan_duet.animate.raster import draw_disc, draw_line, fill_convex
from wan_duet.tests.animate.people import person

STORED = Path(__file__).parents[1] / "data" / "official_drawing.npz"
REGENERATE = "WAN_DUET_REGENERATE" in os.environ
SIZES = ((832, 480), (480, 832), (1280, 720), (720, 1280), (512, 512), (1920, 1080))
STORED_SIZES = SIZES[:4]
RED = (255, 0, 0)
Official = Callable[[str, np.ndarray, np.ndarray], list[np.ndarray]]


def people(sizes: Any, seed: int) -> np.ndarray:
    """Somebody [N, 133, 3] for each size, joints all over the picture, hands small, some points unseen."""
    random = np.random.default_rng(seed)
    made = np.zeros((len(sizes), 133, 3))
    for points, (width, height) in zip(made, sizes, strict=True):
        points[:, :2] = random.uniform(0.1, 0.9, (133, 2)) * (width, height)
        for wrist, hand in ((9, slice(91, 112)), (10, slice(112, 133))):
            points[hand, :2] = points[wrist, :2] + random.normal(0, 0.03 * height, (21, 2))
        points[:, 2] = random.uniform(0.4, 1, 133)
    return made


def agreement(ours: np.ndarray, official: np.ndarray) -> tuple[float, float]:
    """Intersection over union of the drawn pixels, and the mean difference of colours where both have drawn."""
    a, b = ours.any(-1), official.any(-1)
    both = a & b
    return both.sum() / (a | b).sum(), np.abs(ours[both].astype(int) - official[both].astype(int)).mean()


def test_a_drawing_is_the_stored_official_one() -> None:
    stored = np.load(STORED)
    for i, (points, (width, height)) in enumerate(zip(stored["points"], STORED_SIZES, strict=True)):
        overlap, difference = agreement(draw_pose([points], width, height), stored[f"picture_{i}"])
        assert overlap >= 0.97 and difference <= 4


@pytest.mark.live
def test_a_drawing_is_the_official_one(official: Official) -> None:
    sizes = SIZES * 4
    points = people(sizes, seed=1)
    for ours, wanted, (width, height) in zip(points, official("drawing", points, np.array(sizes)), sizes, strict=True):
        overlap, difference = agreement(draw_pose([ours], width, height), wanted)
        assert overlap >= 0.97 and difference <= 4


@pytest.mark.live
def test_the_stored_drawings_are_the_official_ones(official: Official) -> None:
    points = people(STORED_SIZES, seed=0).round(2)
    pictures = official("drawing", points, np.array(STORED_SIZES))
    if REGENERATE:
        np.savez_compressed(STORED, points=points, **{f"picture_{i}": p for i, p in enumerate(pictures)})  # pyright: ignore[reportArgumentType]
    stored = np.load(STORED)
    assert np.array_equal(stored["points"], points)
    assert all(np.array_equal(stored[f"picture_{i}"], picture) for i, picture in enumerate(pictures))


def test_a_joint_between_two_points_is_in_their_middle() -> None:
    points = person(100, 100)
    points[5, 2], points[6, 2] = 0.2, 0.6
    neck = joints(points)[1]
    assert neck == pytest.approx([100, 40, 0.4])


def test_each_limb_is_there_only_if_both_of_its_ends_are_seen() -> None:
    everything = draw_pose([person(200, 200)], 400, 400)
    shades = [tuple(int(c * 0.6) for c in colour) for colour in COLOURS]
    assert all((everything == shade).all(-1).any() for shade in shades[: len(LIMBS)] if shade[2] != 153)
    hidden = person(200, 200)
    hidden[9, 2] = 0.3  # the left wrist
    without = draw_pose([hidden], 400, 400)
    assert not (without == shades[5]).all(-1).any()
    assert (without == shades[4]).all(-1).any()


def test_head_and_hands_can_be_left_out() -> None:
    somebody = [person(200, 200)]
    assert not draw_pose(somebody, 400, 400, head=False)[:130].any()
    no_hands = draw_pose(somebody, 400, 400, hands=False)
    fingers = [colour for colour in FINGER_COLOURS if colour not in COLOURS]
    assert not any((no_hands == colour).all(-1).any() for colour in fingers)
    assert any((draw_pose(somebody, 400, 400) == colour).all(-1).any() for colour in fingers)


def test_nobody_and_somebody_outside_the_picture_are_black() -> None:
    assert not draw_pose([], 64, 48).any()
    assert not draw_pose([person(-500, -500), person(900, 900)], 64, 48).any()


def test_two_people_are_both_drawn() -> None:
    both = draw_pose([person(100, 200), person(300, 200)], 400, 400)
    assert both[:, :190].any() and both[:, 210:].any()


def test_a_line_is_bresenham_s_from_left_to_right() -> None:
    picture = np.zeros((5, 7, 3), np.uint8)
    draw_line(picture, (5, 1), (1, 3), RED)
    assert sorted(zip(*np.nonzero(picture[..., 0]), strict=True)) == [(1, 5), (2, 3), (2, 4), (3, 1), (3, 2)]


def test_a_disc_of_one_pixel_is_a_cross() -> None:
    picture = np.zeros((5, 5, 3), np.uint8)
    draw_disc(picture, (2, 2), 1, RED)
    assert picture[1:4, 1:4, 0].tolist() == [[0, 255, 0], [255, 255, 255], [0, 255, 0]]


def test_a_convex_shape_is_filled_with_its_edge() -> None:
    picture = np.zeros((6, 6, 3), np.uint8)
    fill_convex(picture, np.array([(1, 1), (4, 1), (4, 3), (1, 3)]), RED)
    assert (picture[1:4, 1:5, 0] == 255).all() and (picture[..., 0] > 0).sum() == 12
