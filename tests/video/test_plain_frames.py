"""Films that show nothing say so."""

import pytest
import torch
from wan_duet.video.clip import clip_of_images
from wan_duet.video.plain_frames import PlainFrames

BLACK, GREY = torch.zeros(4, 6, 3), torch.full((4, 6, 3), 0.5)
PICTURE = torch.linspace(0, 1, 72).view(4, 6, 3)


@pytest.mark.parametrize(
    ("frames", "notes"),
    [
        ([PICTURE, PICTURE], []),
        ([BLACK, BLACK], ["note: all 2 frames are black"]),
        ([BLACK], ["note: the frame is black"]),
        ([BLACK, PICTURE, GREY], ["note: 1 of 3 frames is black", "note: 1 of 3 frames is of one colour"]),
    ],
)
def test_frames_of_one_colour_are_counted(frames: list[torch.Tensor], notes: list[str]) -> None:
    plain = PlainFrames()
    assert len(list(plain.watching(clip_of_images(torch.stack(frames), 16.0)).frames())) == len(frames)
    assert plain.notes() == notes


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_frames_that_are_no_numbers_are_warned_of(bad: float) -> None:
    images = torch.stack([PICTURE, PICTURE, PICTURE])
    assert clip_of_images(images, 16.0).notes == ()
    images[1, 2, 3, 0] = bad
    (warning,) = clip_of_images(images, 16.0).notes
    assert warning.startswith("warning: 1 of 3 frames is not made of numbers (NaN or infinity), from frame 1 on.")
