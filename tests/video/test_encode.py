"""Files re-opened: what they hold is what was asked for, and a failure leaves none behind."""

import weakref
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from wan_duet.tests.video.conftest import RATE, click, ramp
from wan_duet.video.clip import Clip, clip_of_images, exact_fps, pixels, reversed_clip
from wan_duet.video.encode import write_still, write_video
from wan_duet.video.formats import CONTAINERS, QUALITIES, WRITE_MODES, EncoderSettings
from wan_duet.video.read import clip_of_file

Write = Callable[..., Path]
VIDEO, AUDIO = {"mp4": "h264", "mov": "h264", "webm": "vp9"}, {"mp4": "aac", "mov": "aac", "webm": "opus"}


def brightness(path: Path) -> list[float]:
    return [float(frame.mean()) for frame in clip_of_file(str(path)).frames()]


@pytest.mark.parametrize("format", CONTAINERS)
def test_a_file_holds_the_frames_and_the_sound_that_it_was_given(write: Write, format: str) -> None:
    path = write(clip_of_images(ramp(20), 16.0, click(1.0, 0.5)), EncoderSettings(format))
    with av.open(str(path)) as found:
        video, audio = found.streams.video[0], found.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name) == (VIDEO[format], AUDIO[format])
        assert (video.width, video.height, video.average_rate) == (96, 64, 16)
        assert audio.layout.name == "stereo"
        assert (video.start_time, audio.start_time) == (0, 0)
        assert found.duration / av.time_base == pytest.approx(20 / 16, abs=0.021)
    expected = [value * 255 for value in torch.linspace(0.1, 0.9, 20).tolist()]
    assert brightness(path) == pytest.approx(expected, abs=2)


@pytest.mark.parametrize("format", CONTAINERS)
@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8])
def test_a_click_is_heard_when_it_should_be(write: Write, format: str, channels: int) -> None:
    path = write(clip_of_images(ramp(40), 16.0, click(3.0, 2.0, channels)), EncoderSettings(format))
    sound = clip_of_file(str(path)).sound()
    assert sound is not None
    heard = sound["waveform"].abs().amax(dim=(0, 1)).argmax().item() / sound["sample_rate"]
    assert heard == pytest.approx(2.0, abs=1024 / RATE)


@pytest.mark.parametrize("seconds", [0.25, 5.0])
def test_sound_is_as_long_as_the_picture(write: Write, seconds: float) -> None:
    path = write(clip_of_images(ramp(32), 16.0, click(seconds, 0.1)))
    with av.open(str(path)) as found:
        audio = found.streams.audio[0]
        assert float(audio.duration * audio.time_base) == pytest.approx(2.0, abs=1024 / RATE)


@pytest.mark.parametrize("rate", [8000, 11_000, 48_000, 192_000])
@pytest.mark.parametrize("format", ["mp4", "webm"])
def test_any_sample_rate_is_written(write: Write, format: str, rate: int) -> None:
    path = write(clip_of_images(ramp(16), 16.0, click(1.0, 0.5, rate=rate)), EncoderSettings(format))
    sound = clip_of_file(str(path)).sound()
    assert sound is not None
    heard = sound["waveform"][0, 0].abs().argmax().item() / sound["sample_rate"]
    assert heard == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("fps", [8.0, 16.0, 23.976, 24.0, 29.97, 30.0, 60.0, 240.0])
@pytest.mark.parametrize("format", CONTAINERS)
def test_the_frame_rate_is_kept(write: Write, format: str, fps: float) -> None:
    clip = clip_of_file(str(write(clip_of_images(ramp(9), fps), EncoderSettings(format))))
    assert float(clip.fps) == pytest.approx(fps, rel=1e-3)
    assert len(list(clip.frames())) == 9


@given(st.floats(1e-9, 1000))
def test_any_frame_rate_is_a_fraction_near_it(fps: float) -> None:
    exact = exact_fps(fps)
    assert exact > 0 and exact.denominator <= 1001
    assert float(exact) == pytest.approx(fps, abs=1e-3)


def test_the_frame_rate_of_a_file_is_kept_exactly() -> None:
    assert exact_fps(Fraction(30_000, 1001)) == Fraction(30_000, 1001)


@pytest.mark.parametrize("format", CONTAINERS)
def test_colours_come_back_and_the_file_says_by_which_matrix(write: Write, format: str) -> None:
    colours = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0], [0.2, 0.5, 0.8]])
    images = colours.view(-1, 1, 1, 3).expand(-1, 64, 64, 3)
    path = write(clip_of_images(images, 8.0), EncoderSettings(format, QUALITIES["maximum"]))
    found = np.stack([frame.mean(axis=(0, 1)) for frame in clip_of_file(str(path)).frames()])
    assert found == pytest.approx(colours.numpy() * 255, abs=5)
    with av.open(str(path)) as opened:
        codec = opened.streams.video[0].codec_context
        assert (codec.colorspace, codec.color_range) == (6, 1)
        assert (codec.color_primaries, codec.color_trc) == (1, 1)


def test_an_odd_edge_is_left_out(write: Write) -> None:
    clip = clip_of_file(str(write(clip_of_images(ramp(2, width=33, height=17), 8.0))))
    assert (clip.width, clip.height) == (32, 16)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1)])
def test_a_frame_of_which_nothing_would_be_left_is_refused(write: Write, size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=rf"the video is {size[0]}x{size[1]}\. mp4 takes 2x2 and more"):
        write(clip_of_images(ramp(2, *size), 8.0))


def test_a_reversed_clip_runs_backwards(write: Write) -> None:
    path = write(reversed_clip(clip_of_images(ramp(8), 16.0, click(0.5, 0.1))))
    found = brightness(path)
    assert found == sorted(found, reverse=True)
    again = reversed_clip(clip_of_file(str(path)))
    assert [float(frame.mean()) for frame in again.frames()] == sorted(found)


def test_a_file_goes_through_without_becoming_tensors(write: Write, tmp_path: Path) -> None:
    first = write(clip_of_images(ramp(9), 24.0, click(0.3, 0.1)))
    second = tmp_path / "again.webm"
    assert write_video(second, clip_of_file(str(first)), EncoderSettings("webm"), {}, lambda: None) == 9
    assert brightness(second) == pytest.approx(brightness(first), abs=2)


def test_better_quality_is_a_larger_file_nearer_to_the_original(tmp_path: Path) -> None:
    images = torch.rand((6, 64, 96, 3), generator=torch.Generator().manual_seed(0))
    sizes, errors = [], []
    for name, quality in QUALITIES.items():
        path = tmp_path / f"{name}.mp4"
        write_video(path, clip_of_images(images, 16.0), EncoderSettings("mp4", quality), {}, lambda: None)
        found = np.stack(list(clip_of_file(str(path)).frames()))
        sizes.append(path.stat().st_size)
        errors.append(float(np.abs(found.astype(float) - images.numpy() * 255).mean()))
    assert sizes == sorted(sizes) and errors == sorted(errors, reverse=True)


def test_the_names_of_qualities_mean_the_documented_crf() -> None:
    assert [EncoderSettings("mp4", quality).crf for quality in QUALITIES.values()] == [28, 23, 18, 10]


def test_a_jpeg_of_better_quality_is_nearer_to_the_original(tmp_path: Path) -> None:
    frame = pixels(torch.rand((64, 96, 1), generator=torch.Generator().manual_seed(0)))
    errors = []
    for name, quality in QUALITIES.items():
        write_still(tmp_path / f"{name}.jpg", frame, EncoderSettings("jpeg", quality), {})
        with Image.open(tmp_path / f"{name}.jpg") as found:
            errors.append(float(np.abs(np.asarray(found).astype(float) - frame).mean()))
    assert errors == sorted(errors, reverse=True) and errors[0] > 1.5 * errors[-1]


@pytest.mark.parametrize(
    ("format", "option", "expected"),
    [("mp4", "preset", ["veryfast", "medium", "veryslow"]), ("webm", "cpu-used", ["5", "2", "1"])],
)
def test_a_write_mode_is_the_documented_effort_of_the_encoder(format: str, option: str, expected: list[str]) -> None:
    assert [EncoderSettings(format, 77, mode).encoder_options[option] for mode in WRITE_MODES] == expected


@given(st.sampled_from(sorted(CONTAINERS)), st.integers(20, 98))
def test_every_step_of_quality_is_at_least_as_good_as_the_one_below(format: str, quality: int) -> None:
    worse, better = (EncoderSettings(format, level).crf for level in (quality, quality + 1))
    assert 0 <= better <= worse <= CONTAINERS[format].worst


@pytest.mark.parametrize("format", CONTAINERS)
@pytest.mark.parametrize("mode", WRITE_MODES)
def test_every_write_mode_works(write: Write, format: str, mode: str) -> None:
    assert len(brightness(write(clip_of_images(ramp(5), 16.0), EncoderSettings(format, 77, mode)))) == 5


def test_frames_are_asked_for_one_at_a_time(tmp_path: Path) -> None:
    """None is kept: the encoder has long taken a frame when the next is made."""
    alive: list[int] = []

    def frames() -> Iterator[Any]:
        for _ in range(30):
            frame = np.zeros((64, 64, 3), np.uint8)
            alive.append(1)
            weakref.finalize(frame, alive.pop)
            yield frame
            assert len(alive) <= 2

    clip = Clip(frames, frames, 64, 64, Fraction(16), 30)
    write_video(tmp_path / "x.mp4", clip, EncoderSettings(), {}, lambda: None)


@pytest.mark.parametrize("format", CONTAINERS)
def test_nothing_is_left_of_a_file_that_was_not_finished(tmp_path: Path, format: str) -> None:
    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    with pytest.raises(Stop):
        write_video(tmp_path / "x", clip_of_images(ramp(5), 16.0), EncoderSettings(format), {}, stop)
    with pytest.raises(ValueError, match="no frames"):
        write_video(tmp_path / "x", clip_of_images(ramp(0), 16.0), EncoderSettings(format), {}, stop)
    assert list(tmp_path.iterdir()) == []


def test_a_png_is_lossless_and_holds_the_texts(tmp_path: Path) -> None:
    image = torch.rand((16, 16, 3), generator=torch.Generator().manual_seed(0))
    write_still(tmp_path / "x.png", pixels(image), EncoderSettings("png"), {"workflow": "{}"})
    with Image.open(tmp_path / "x.png") as found:
        assert np.array_equal(np.asarray(found), pixels(image))
        assert found.text["workflow"] == "{}"


def test_a_jpeg_holds_the_texts_in_its_description(tmp_path: Path) -> None:
    image = ramp(1, 32, 32)[0]
    write_still(tmp_path / "x.jpg", pixels(image), EncoderSettings("jpeg", 90), {"workflow": "{}"})
    with Image.open(tmp_path / "x.jpg") as found:
        assert np.asarray(found).mean() == pytest.approx(0.1 * 255, abs=2)
        assert found.getexif()[0x010E] == "workflow:{}\n"


def test_a_jpeg_leaves_out_what_its_exif_cannot_hold(tmp_path: Path) -> None:
    texts = {"workflow": "x" * 100_000, "prompt": "{}"}
    write_still(tmp_path / "x.jpg", pixels(ramp(1, 32, 32)[0]), EncoderSettings("jpeg"), texts)
    with Image.open(tmp_path / "x.jpg") as found:
        assert found.getexif()[0x010E] == "prompt:{}\n"


def test_a_pixel_is_the_nearest_byte_and_survives_a_round_trip() -> None:
    levels = torch.arange(256).view(16, 16, 1).expand(-1, -1, 3)
    assert np.array_equal(pixels(levels / 255), levels.numpy())
    assert pixels(torch.tensor([[[-1.0, 0.4999, 2.0, 0.3]]])).tolist() == [[[0, 127, 255]]]
    assert pixels(torch.full((1, 1, 1), 0.5)).tolist() == [[[128, 128, 128]]]


def test_a_file_without_video_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=RATE)
        part = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), format="fltp", layout="mono")
        part.sample_rate = RATE
        output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    with pytest.raises(ValueError, match="no video stream"):
        clip_of_file(str(path))
