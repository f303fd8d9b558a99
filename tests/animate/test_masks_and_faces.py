"""Masks are shaped and faces are cut as Wan's official preprocessing does it, without its crashes."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from wan_duet.animate.detector.mediapipe.body import MARGIN
from wan_duet.animate.detector.mediapipe.embedded import EmbeddedDetector
from wan_duet.animate.face_crop import BLACK, HOLD, SIZE, crop_faces, face_box, face_boxes, face_counts
from wan_duet.animate.mask_shape import COUNT, OFF, PIXELS, black_out, grow_mask, make_blocky
from wan_duet.animate.person_mask import masks_of_pose
from wan_duet.animate.pose import FACE
from wan_duet.tests.animate.people import person, pose_of

CELLS = ((1, 1), (10, 20), (3, 7), (16, 16))


def blobs(seed: int) -> np.ndarray:
    """Masks [4, 96, 128] of a few discs each."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:96, :128]
    masks = np.zeros((len(CELLS), 96, 128))
    for mask in masks:
        for x, y, r in random.uniform((20, 20, 5), (108, 76, 14), (3, 3)):
            mask[(columns - x) ** 2 + (rows - y) ** 2 < r * r] = 1
    return masks


@pytest.mark.live
def test_a_mask_is_the_official_one(official: Callable[..., list[np.ndarray]]) -> None:
    masks = blobs(0)
    for mask, cells, wanted in zip(masks, CELLS, official("mask", masks, np.array(CELLS)), strict=True):
        ours = make_blocky(grow_mask(torch.from_numpy(mask)[None].float(), 9), COUNT, *cells)[0]
        assert np.array_equal(ours.numpy(), wanted)


@pytest.mark.live
def test_a_face_box_is_the_official_one(official: Callable[..., list[np.ndarray]]) -> None:
    random = np.random.default_rng(0)
    faces = random.uniform(0, 1, (20, 68, 2)) * random.uniform(20, 300, (20, 1, 2)) + random.uniform(0, 400, (20, 1, 2))
    sizes = np.tile((640, 480), (20, 1))
    for face, (left, right, top, bottom) in zip(faces, official("face", faces, sizes), strict=True):
        assert face_box(face, 1.3, 640, 480) == pytest.approx((left, top, right, bottom), abs=1)


def test_a_mask_grows_by_a_square() -> None:
    mask = torch.zeros(2, 20, 30)
    mask[0, 10, 15] = 1
    made = grow_mask(mask, 3)
    assert made[0, 7:14, 12:19].all() and made[0].sum() == 49
    assert not made[1].any()


@pytest.mark.parametrize("how", [OFF, COUNT, PIXELS])
def test_an_empty_mask_stays_empty(how: str) -> None:
    assert not make_blocky(grow_mask(torch.zeros(1, 8, 8), 2), how, 4, 4).any()


def test_one_cell_is_the_box_without_its_last_row_and_column() -> None:
    mask = torch.zeros(1, 20, 20)
    mask[0, 5, 5] = mask[0, 11, 15] = 1
    made = make_blocky(mask, COUNT, 1, 1)[0]
    assert made[5:11, 5:15].all() and made[11, 15] == 1
    assert made.sum() == 61


def test_cells_of_pixels_are_filled_if_anything_is_in_them() -> None:
    mask = torch.zeros(1, 20, 20)
    mask[0, 2, 2] = mask[0, 17, 17] = 1
    made = make_blocky(mask, PIXELS, 8, 8)[0]
    assert made[2:10, 2:10].all()
    assert not made[2:10, 10:].any()


@pytest.mark.parametrize("cells", [(50, 50), (1, 90), (512, 512)])
def test_more_cells_than_the_mask_has_pixels_are_no_error(cells: tuple[int, int]) -> None:
    mask = torch.zeros(1, 20, 20)
    mask[0, 5:8, 5] = 1
    assert torch.equal(make_blocky(mask, COUNT, *cells), mask)


def test_the_background_is_black_in_the_mask_only() -> None:
    mask = torch.zeros(1, 4, 4)
    mask[0, :2] = 1
    made = black_out(torch.full((1, 4, 4, 3), 0.5), mask)
    assert not made[0, :2].any() and (made[0, 2:] == 0.5).all()


def test_three_quarters_of_the_added_height_are_above_the_face() -> None:
    face = np.array([(100.0, 100.0), (140.0, 150.0)])
    left, top, right, bottom = face_box(face, 4.0, 1000, 1000)
    assert (left, right) == (80, 160)
    assert (top, bottom) == (62, 162)


def test_somebody_of_a_single_joint_has_a_mask_all_the_same() -> None:
    nose = person(100, 120)
    nose[1:, 2] = 0
    pose = pose_of([nose])
    pose.regions[:] = 0
    masks = masks_of_pose(EmbeddedDetector(torch.device("cpu")), [np.zeros((240, 320, 3), np.uint8)], pose)
    assert masks.shape == (1, 240, 320) and masks.isfinite().all()


@pytest.mark.parametrize(("unseen", "middle", "reach"), [((), 120, 84.1), ((11, 12), 60, 140.7)])
def test_a_person_of_another_detector_is_looked_for_around_the_hips_or_else_the_shoulders(
    unseen: tuple[int, ...], middle: float, reach: float
) -> None:
    somebody = person(100, 120)
    somebody[list(unseen), 2] = 0
    pose = pose_of([somebody])
    pose.regions[:] = 0
    looked: list[np.ndarray] = []

    class Detector:
        def look(self, image: torch.Tensor, regions: np.ndarray) -> Any:
            looked.append(regions)
            return SimpleNamespace(masks=torch.zeros(1, 8, 8), regions=regions)

    masks_of_pose(Detector(), [np.zeros((240, 320, 3), np.uint8)], pose)  # pyright: ignore[reportArgumentType]
    ((x, y, size, angle),) = looked[0]
    assert (x, y, size / 2 / MARGIN, angle) == pytest.approx((100, middle, reach, 0), abs=0.1)


def test_a_face_that_is_missing_is_held_or_black() -> None:
    without = person(160, 120)
    without[FACE, 2] = 0
    pose = pose_of([person(100, 120)], [without], [None], [None], [person(200, 120)])
    held, black = (face_boxes(pose, 0, 1.3, missing) for missing in (HOLD, BLACK))
    assert [box is None for box in black] == [False, True, True, True, False]
    assert held[:3] == [held[0], held[0], held[0]] and held[3] == held[4] == black[4]
    assert (
        face_counts(pose, 0, HOLD) == "no face in 3 of 5 frames, where the place of the nearest face in time is shown"
    )
    assert face_counts(pose, 0, BLACK) == "no face in 3 of 5 frames, where the face video is black"
    assert face_counts(pose_of([person(100, 120)]), 0, HOLD) == "a face in all 1 frames"
    assert face_counts(pose_of([without]), 0, HOLD).startswith("no face in any of 1 frames: the face video is black.")
    assert face_boxes(pose_of([None]), 0, 1.3, HOLD) == [None]


def test_a_crop_is_stretched_to_its_square_and_no_face_is_black() -> None:
    frames = [np.full((48, 64, 3), 51, np.uint8)] * 2
    frames[0] = frames[0].copy()
    frames[0][10:20, 30:50] = 255
    faces = crop_faces(frames, [(30, 10, 50, 20), None])
    assert faces.shape == (2, SIZE, SIZE, 3)
    assert faces[0].min() == 1 and not faces[1].any()
