"""Turned squares are cut out where they are said to be, and put back there."""

import numpy as np
import pytest
import torch
from wan_duet.animate.detector.mediapipe.region import crops, put_back, shift, to_image, toward, whole


def spot(width: int, height: int, x: int, y: int) -> torch.Tensor:
    """An image, black but for a white block of 3 x 3 around a pixel."""
    image = torch.zeros(height, width, 3, dtype=torch.uint8)
    image[y - 1 : y + 2, x - 1 : x + 2] = 255
    return image


def middle_of(crop: torch.Tensor) -> np.ndarray:
    """The middle of what is bright [h, w], in shares, as x, y."""
    places = np.argwhere(crop.numpy() > 0.5)
    return places.mean(0)[::-1] / len(crop)


@pytest.mark.parametrize("angle", [0.0, 0.5, -2.0, np.pi])
@pytest.mark.parametrize("size", [32, 64])
def test_a_spot_is_in_the_crop_where_the_region_says(angle: float, size: int) -> None:
    region = np.array([[60.0, 40.0, 64.0, angle]])
    crop = crops(spot(120, 90, 66, 52), region, size)[0, ..., 0]
    (found,) = to_image(middle_of(crop)[None, None], region)[0]
    assert found == pytest.approx([66, 52], abs=1.5)


def test_a_region_points_toward_its_end() -> None:
    region = toward(np.array([[50.0, 50.0]]), np.array([[80.0, 50.0]]), np.array([40.0]))
    up = to_image(np.array([[[0.5, 0.0]]]), region)[0, 0]
    assert up == pytest.approx([70, 50])
    assert shift(region, -0.5)[0, :2] == pytest.approx([70, 50])


def test_what_was_cut_out_goes_back_to_its_place() -> None:
    region = np.array([55.0, 45.0, 60.0, 0.7])
    image = spot(120, 90, 62, 40)
    canvas = torch.zeros(90, 120)
    put_back(crops(image, region[None], 256)[0, ..., 0], region, canvas)
    rows, columns = np.nonzero(canvas.numpy() > 0.5)
    assert (columns.mean(), rows.mean()) == pytest.approx((62, 40), abs=0.6)


def test_two_people_on_one_canvas_keep_what_each_has() -> None:
    canvas = torch.zeros(60, 100)
    for x in (25.0, 75.0):
        put_back(torch.ones(64, 64), np.array([x, 30.0, 20.0, 0.0]), canvas)
    assert canvas[30, 25] == canvas[30, 75] == 1
    assert canvas[30, 50] == 0


def test_beyond_the_edge_the_image_goes_on_or_is_black() -> None:
    image = torch.full((20, 20, 3), 255, dtype=torch.uint8)
    outside = np.array([[0.0, 0.0, 40.0, 0.0]])
    assert crops(image, outside, 16).min() == 1
    assert crops(image, outside, 16, black=True)[0, 0, 0, 0] == 0


def test_no_pixel_is_lost_when_much_is_made_small() -> None:
    image = torch.zeros(512, 512, 3, dtype=torch.uint8)
    image[::8] = 255
    crop = crops(image, whole(512, 512)[None], 32)
    assert crop[:, 2:-2, 2:-2].std() < 0.02
    assert crop.mean() == pytest.approx(1 / 8, abs=0.02)
