"""Which frame an image is for, as documented and beyond, and what is refused."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from wan_duet.conditioning.frame_images import FrameImage, leading_images, place, placement_lines

LENGTH = 17


def frame(position: str, count: int = 1, size: tuple[int, int] = (64, 64), **strengths: float) -> FrameImage:
    return FrameImage(torch.zeros(count, size[1], size[0], 3), position, **strengths)


def starts(*positions: str) -> list[int]:
    return [placed.start for placed in place([frame(position) for position in positions], LENGTH)]


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        (["auto"], [0]),
        ([""], [0]),
        (["auto", "auto"], [0, 16]),
        (["first", "last"], [0, 16]),
        (["0", "-1"], [0, 16]),
        (["last", "auto"], [16, 0]),
        (["auto", "first"], [16, 0]),
        (["auto", "8", "auto"], [0, 8, 16]),
        ([" Last "], [16]),
        (["-17"], [0]),
        (["16"], [16]),
        (["-2", "3"], [15, 3]),
    ],
)
def test_an_image_is_for_the_frame_that_is_documented(positions: list[str], expected: list[int]) -> None:
    assert starts(*positions) == expected


def test_several_images_are_for_consecutive_frames_and_end_with_the_video_when_they_are_last() -> None:
    placed = place([frame("first", 3), frame("last", 5), frame("5", 2)], LENGTH)
    assert [list(p.frames) for p in placed] == [[0, 1, 2], [12, 13, 14, 15, 16], [5, 6]]


ALLOWED = r"Allowed are first, last, 0 to 16 and -17 to -1, each frame once\."


@pytest.mark.parametrize(
    ("images", "problem"),
    [
        ([frame("first"), frame("0")], "images 1 and 2 are both for frame 0"),
        ([frame("last"), frame("16")], "images 1 and 2 are both for frame 16"),
        ([frame("3", 4), frame("6")], "images 1 and 2 are both for frame 6"),
        ([frame("17")], "image 1 is for frame '17' of 17"),
        ([frame("-18")], "image 1 is for frame '-18' of 17"),
        ([frame("middle")], "image 1 is for frame 'middle' of 17"),
        ([frame("1.5")], "image 1 is for frame '1.5' of 17"),
        ([frame("15", 3)], "image 1 is for 3 images from frame '15' of 17"),
        ([frame("first", 18)], "image 1 is for 18 images from frame 'first' of 17"),
        ([frame("auto")] * 3, "image 3 has no frame, and first and last are taken"),
    ],
)
def test_a_frame_that_cannot_be_given_is_refused_with_those_that_can(images: list[FrameImage], problem: str) -> None:
    with pytest.raises(ValueError, match=rf"^{problem}\. {ALLOWED}"):
        place(images, LENGTH)


@given(st.integers(-400, 400), st.integers(0, 40), st.integers(1, 9))
def test_any_index_lands_where_it_says_or_is_refused(index: int, groups: int, count: int) -> None:
    length = 4 * groups + 1
    fits = -length <= index < length
    start = (length - count if index == -1 else index % length) if fits else -1
    try:
        (placed,) = place([frame(str(index), count)], length)
    except ValueError:
        assert not (fits and 0 <= start <= length - count)
    else:
        assert placed.start == start
        assert placement_lines([placed], 64, 64)


def test_the_report_names_the_latent_frame_and_what_was_changed() -> None:
    images = [frame("first"), frame("6", size=(100, 50)), frame("-1", 5), frame("8", strength_low=0.2)]
    assert placement_lines(place(images, LENGTH), 64, 64) == [
        "image 1: frame 0, in latent frame 0",
        "image 2: frame 6, in latent frame 2 (the 2nd of its 4); 100x50 scaled and cropped to 64x64",
        "image 3: frames 12 to 16, in latent frames 3 to 4",
        "image 4: frame 8, in latent frame 2 (the 4th of its 4); strength 1 high, 0.2 low",
    ]


def test_a_5b_model_starts_from_whole_groups_of_images() -> None:
    with_alpha = FrameImage(torch.zeros(7, 64, 64, 4), "first")
    images, notes = leading_images(place([with_alpha], LENGTH), "TI2V-5B")
    assert images.shape == (5, 64, 64, 3)
    assert notes == ["5 of 7 images used: lengths are 4n+1."]


@pytest.mark.parametrize(
    ("images", "problem"),
    [
        ([frame("last")], "given for the frames 16, but TI2V-5B takes one Frame Image, at the first"),
        ([frame("first"), frame("last")], "given for the frames 0, 16"),
        ([frame("first", strength_high=0.5)], "must be 1 for TI2V-5B"),
    ],
)
def test_a_5b_model_refuses_what_it_does_not_know(images: list[Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        leading_images(place(images, LENGTH), "TI2V-5B")
