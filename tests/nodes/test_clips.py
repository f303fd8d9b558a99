"""A VIDEO is streamed from its file when it is the whole file, and only then."""

from fractions import Fraction
from pathlib import Path

import pytest
import torch
from comfy_api.input_impl import VideoFromComponents, VideoFromFile
from comfy_api.util import VideoComponents
from wan_duet.nodes.clips import clip_of
from wan_duet.tests.video.conftest import click, ramp
from wan_duet.video.clip import clip_of_images
from wan_duet.video.encode import write_video
from wan_duet.video.formats import Settings


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "clip.mp4"
    write_video(path, clip_of_images(ramp(24, 32, 16), 24.0, click(1.0, 0.5)), Settings(), {}, lambda: None)
    return str(path)


class Sliced(VideoFromFile):
    """As a 2026 host hands on a part of a file: source and type are the file's, length and frames the part's."""

    def get_duration(self) -> float:
        return 0.25

    def get_components(self) -> VideoComponents:
        whole = super().get_components()
        return VideoComponents(images=whole.images[:6], frame_rate=whole.frame_rate)


def test_a_whole_file_is_not_decoded_at_once(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VideoFromFile, "get_components", lambda self: pytest.fail("decoded at once"))
    clip = clip_of(VideoFromFile(file), 16.0)
    assert (clip.width, clip.height, clip.fps, clip.count, clip.sound() is not None) == (32, 16, 24, 24, True)


def test_a_part_of_a_file_stays_a_part(file: str) -> None:
    clip = clip_of(Sliced(file), 16.0)
    assert len(list(clip.frames())) == 6
    assert clip.fps == 24


def test_a_video_made_of_images_keeps_its_frame_rate_and_images_get_one() -> None:
    parts = VideoComponents(images=ramp(3, 32, 16), frame_rate=Fraction(30), audio=click(0.1, 0.05))
    made = clip_of(VideoFromComponents(parts), 16.0)
    assert (made.fps, made.count, made.sound() is not None) == (30, 3, True)
    assert clip_of(torch.zeros(2, 16, 32, 3), 16.0).fps == 16
