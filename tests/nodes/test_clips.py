"""A VIDEO is streamed from its file when it is the whole file, and only then."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from comfy.model_management import InterruptProcessingException, interrupt_current_processing
from comfy_api.input_impl import VideoFromComponents, VideoFromFile
from comfy_api.util import VideoComponents
from wan_duet.nodes.clips import clip_of
from wan_duet.nodes.remote.media import film
from wan_duet.tests.video.conftest import click, ramp
from wan_duet.video.clip import Clip, clip_of_images
from wan_duet.video.encode import write_video
from wan_duet.video.formats import EncoderSettings


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "clip.mp4"
    write_video(path, clip_of_images(ramp(24, 32, 16), 24.0, click(1.0, 0.5)), EncoderSettings(), {}, lambda: None)
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


@pytest.fixture
def interrupted() -> Iterator[Callable[[], None]]:
    """A function that interrupts the run, for the length of the test."""
    yield lambda: interrupt_current_processing(True)
    interrupt_current_processing(False)


READERS: dict[str, Callable[[Clip], Any]] = {
    "frames": lambda clip: next(clip.frames()),
    "backwards": lambda clip: next(clip.backwards()),
    "sound": lambda clip: clip.sound(),
}


@pytest.mark.parametrize("reader", READERS)
def test_an_interrupt_ends_the_reading_of_a_file_at_once(
    file: str, interrupted: Callable[[], None], reader: str
) -> None:
    clip = clip_of(VideoFromFile(file), 16.0)
    interrupted()
    with pytest.raises(InterruptProcessingException):
        READERS[reader](clip)


@pytest.mark.parametrize("given", ["a file", "images"])
def test_an_interrupt_ends_the_look_over_a_video_at_once(
    file: str, interrupted: Callable[[], None], given: str
) -> None:
    interrupted()
    with pytest.raises(InterruptProcessingException):
        clip_of(VideoFromFile(file) if given == "a file" else torch.zeros(10_000, 2, 2, 3), 16.0)


def test_an_interrupt_ends_the_encoding_of_an_upload(
    interrupted: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    frames: list[int] = []

    def pixels(image: torch.Tensor) -> Any:
        frames.append(1)
        interrupted()
        return np.zeros((16, 32, 3), np.uint8)

    monkeypatch.setattr("wan_duet.video.clip.pixels", pixels)
    with pytest.raises(InterruptProcessingException):
        film(VideoFromComponents(VideoComponents(images=ramp(10, 32, 16), frame_rate=Fraction(30))))
    assert len(frames) == 1
