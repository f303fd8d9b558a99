"""The frames taken from another video are whole groups, in order, and what is left out is said."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from wan_duet.conditioning.video_latent import choose_frames, gather, report_lines

rates = st.sampled_from([0.0, 4.0, 16.0, 23.976, 24.0, 30.0, 60.0])


@given(st.integers(1, 400), rates.filter(bool), rates, st.integers(0, 200))
def test_any_video_gives_whole_groups_of_its_frames(count: int, source: float, fps: float, length: int) -> None:
    chosen = choose_frames(count, source, fps, length)
    assert len(chosen) % 4 == 1 and chosen == sorted(chosen) and 0 <= chosen[0] <= chosen[-1] < count
    assert not length or len(chosen) <= length
    lines = report_lines(chosen, count, source, fps, length)
    assert lines[0].startswith(f"{len(chosen)} of {count} frames")
    assert (len(lines) > 1) == (bool(fps and fps != source) or bool(length and len(chosen) < length))


def test_a_video_without_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="the video has no frames"):
        choose_frames(0, 16, 16, 81)


def test_what_is_shorter_than_asked_says_why() -> None:
    assert report_lines(range(9), 9, 16, 16, 12)[1] == "12 frames were asked for: lengths are 4n+1."
    assert report_lines(range(5), 8, 16, 16, 12)[1] == "12 frames were asked for: the video is shorter."


def test_only_what_is_needed_is_decoded() -> None:
    decoded: list[int] = []

    def frames() -> Iterator[np.ndarray]:
        for index in range(100):
            decoded.append(index)
            yield np.full((16, 16, 3), index, np.uint8)

    images = gather(frames(), [0, 2, 2, 4, 6], 16, 16)
    assert [round(image.mean().item() * 255) for image in images] == [0, 2, 2, 4, 6]
    assert decoded[-1] <= 7


def test_a_file_that_is_shorter_than_it_says_gives_whole_groups() -> None:
    frames = (np.zeros((16, 32, 3), np.uint8) for _ in range(7))
    images = gather(frames, list(range(9)), 16, 16)
    assert images.shape == (5, 16, 16, 3)
    assert torch.count_nonzero(images) == 0


def test_a_file_of_which_no_frame_can_be_read_is_refused() -> None:
    with pytest.raises(ValueError, match="the video has no frame that can be read"):
        gather(iter(()), [0, 1, 2, 3, 4], 16, 16)
