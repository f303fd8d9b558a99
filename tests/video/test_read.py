"""Files as cameras, phones and browsers write them: upright, at a constant rate, with the sound where it belongs."""

import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from wan_duet.tests.video.conftest import click, ramp
from wan_duet.video import read
from wan_duet.video.clip import Look, clip_of_images, reversed_clip, shift_sound
from wan_duet.video.encode import write_video
from wan_duet.video.formats import EncoderSettings
from wan_duet.video.read import clip_of_file
from wan_duet.video.timeline import timeline

SECOND = 1000
LEFT_TOP, RIGHT_BOTTOM = 200, 90  # brightness of two corners; the rest is dark


def recorded(path: Path, times: Iterable[int], codec: str = "libx264", **options: str) -> Path:
    """A file of frames at these milliseconds; each is as bright as its number."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, SECOND)
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 + 4 * number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, SECOND)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def numbers(frames: Iterable[np.ndarray]) -> list[int]:
    return [round((float(frame.mean()) - 20) / 4) for frame in frames]


def with_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """The MP4 with another display matrix in its track header."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 44
    content[place : place + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


@pytest.fixture
def corners(tmp_path: Path) -> Path:
    """A wide MP4 that is bright in one corner and less so in the opposite one."""
    images = torch.zeros(3, 48, 96, 3)
    images[:, :16, :32] = LEFT_TOP / 255
    images[:, 32:, 64:] = RIGHT_BOTTOM / 255
    path = tmp_path / "corners.mp4"
    write_video(path, clip_of_images(images, 16.0), EncoderSettings(), {}, lambda: None)
    return path


# x goes to a x + c y and y to b x + d y; where the two bright corners are then, of (top, bottom) x (left, right)
@pytest.mark.parametrize(
    ("matrix", "wide", "bright", "less_bright"),
    [
        ((1, 0, 0, 1), True, (0, 0), (1, 1)),
        ((0, 1, -1, 0), False, (0, 1), (1, 0)),  # a quarter turn clockwise: a phone held upright
        ((-1, 0, 0, -1), True, (1, 1), (0, 0)),
        ((0, -1, 1, 0), False, (1, 0), (0, 1)),
        ((-1, 0, 0, 1), True, (0, 1), (1, 0)),
        ((1, 0, 0, -1), True, (1, 0), (0, 1)),
        ((0, 1, 1, 0), False, (0, 0), (1, 1)),
        ((1, 1, -1, 1), True, (0, 0), (1, 1)),  # no right angle
    ],
)
def test_a_file_is_seen_the_way_up_that_it_asks_for(
    corners: Path, matrix: Sequence[int], wide: bool, bright: tuple[int, int], less_bright: tuple[int, int]
) -> None:
    clip = clip_of_file(str(with_matrix(corners, *matrix)))
    assert (clip.width, clip.height) == ((96, 48) if wide else (48, 96))
    for frames in (clip.frames(), clip.backwards()):
        for frame in frames:
            assert frame.shape == (clip.height, clip.width, 3)
            seen = np.array([[part.mean() for part in np.array_split(half, 3, 1)] for half in np.array_split(frame, 3)])
            found = seen[::2, ::2]
            assert found[bright] == pytest.approx(LEFT_TOP, abs=8)
            assert found[less_bright] == pytest.approx(RIGHT_BOTTOM, abs=8)
    assert clip.notes == (() if matrix in ((1, 0, 0, 1), (1, 1, -1, 1)) else ("Turned as the file asks.",))


SLOW_THEN_FAST = [*range(0, 1000, 200), *range(1000, 2000, 100)]  # 5 and then 10 frames a second


@pytest.mark.parametrize(("name", "codec"), [("x.mp4", "libx264"), ("x.webm", "libvpx-vp9")])
def test_a_varying_rate_becomes_a_constant_one_at_which_everything_is_seen_in_time(
    tmp_path: Path, name: str, codec: str
) -> None:
    clip = clip_of_file(str(recorded(tmp_path / name, SLOW_THEN_FAST, codec)))
    assert clip.fps == 10
    found = numbers(clip.frames())
    assert len(found) == clip.count == 20
    assert all(abs(SLOW_THEN_FAST[number] - 100 * place) <= 100 for place, number in enumerate(found))
    assert found[10:] == list(range(5, 15)) and set(found) == set(range(15))
    assert clip.notes == ("The frame rate of the file varies: read at 10 fps, with the frame nearest to each moment.",)
    assert numbers(clip.backwards()) == found[::-1]


def test_a_written_file_of_varying_rate_lasts_as_long(tmp_path: Path) -> None:
    clip = clip_of_file(str(recorded(tmp_path / "x.mp4", SLOW_THEN_FAST)))
    write_video(tmp_path / "y.mp4", clip, EncoderSettings(), {}, lambda: None)
    with av.open(str(tmp_path / "y.mp4")) as found:
        assert found.duration / av.time_base == pytest.approx(2.0, abs=0.05)


@given(st.lists(st.integers(1, 5000), min_size=0, max_size=60), st.integers(0, 5000), st.integers(0, 10**6))
def test_any_times_make_a_clip_that_shows_each_moment_its_nearest_frame(gaps: list[int], last: int, start: int) -> None:
    times = start + np.cumsum([0, *gaps])
    found = timeline(times.tolist(), Fraction(1, SECOND), last, Fraction(25))
    assert found.start == Fraction(start, SECOND)
    shown = np.repeat(np.arange(len(times)), found.repeats)
    assert len(shown) >= 1 and 0 < found.fps <= 240
    if not found.varies:
        assert (found.repeats == 1).all() and found.fps == 25
        return
    moments = start + np.arange(len(shown)) * SECOND / float(found.fps)
    nearest = np.abs(times[:, None] - moments).min(0)
    assert np.allclose(np.abs(times[shown] - moments), nearest)
    assert [found.shown(int(time)) for time in times] == found.repeats.tolist()


def test_the_last_frame_is_shown_as_long_as_its_file_says() -> None:
    found = timeline([0, 100, 200, 300, 720], Fraction(1, SECOND), 480, Fraction(25))
    assert found.fps == 10 and found.repeats.tolist() == [1, 1, 1, 3, 6]


@pytest.mark.parametrize("fps", [23.976, 24, 29.97, 30, 60])
def test_clocks_in_milliseconds_are_not_taken_for_a_varying_rate(fps: float) -> None:
    times = [round(number * SECOND / fps) for number in range(2000)]
    assert not timeline(times, Fraction(1, SECOND), 0, Fraction(fps)).varies


def test_a_browsers_recording_with_some_frames_missing_has_the_rate_of_the_others() -> None:
    times = [round(number * SECOND / 30) for number in range(300) if number % 7]
    found = timeline(times, Fraction(1, SECOND), 0, Fraction(1000))
    assert found.varies and found.fps == 30


@pytest.mark.parametrize("format", ["mp4", "webm", "mov"])
def test_the_frames_of_a_file_are_counted_without_decoding_them(tmp_path: Path, format: str) -> None:
    path = tmp_path / f"x.{format}"
    write_video(path, clip_of_images(ramp(30), 16.0, click(2.0, 0.5)), EncoderSettings(format), {}, lambda: None)
    decoded: list[str] = []
    opened = read.av.open

    def watched(*args: Any) -> Any:
        container = opened(*args)
        return Watched(container, decoded)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read, "_opened", watched)
        clip = clip_of_file(str(path))
    assert clip.count == 30
    assert decoded == ["video"]  # the first, for the way up


class Watched:
    """A container that notes what kind of frame it decodes."""

    def __init__(self, container: Any, decoded: list[str]) -> None:
        self._container, self._decoded = container, decoded

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def __enter__(self) -> "Watched":
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def decode(self, *args: Any, **kwargs: Any) -> Any:
        for frame in self._container.decode(*args, **kwargs):
            self._decoded.append("video" if isinstance(frame, av.VideoFrame) else "audio")
            yield frame


def with_sound_at(path: Path, milliseconds: int, layout: str = "mono") -> Path:
    """A second of picture, from 1 s on, and a click half a second into a sound that begins so much later."""
    with av.open(str(path), "w") as output:
        video, audio = output.add_stream("libx264", rate=10), output.add_stream("pcm_s16le", rate=8000, layout=layout)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.time_base = Fraction(1, SECOND)
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = SECOND + 100 * number, Fraction(1, SECOND)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        samples = np.zeros((8000, audio.channels), np.int16)
        samples[4000] = np.arange(1, audio.channels + 1) * 1000
        part = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout=layout)
        part.sample_rate, part.pts, part.time_base = 8000, 8 * (SECOND + milliseconds), Fraction(1, 8000)
        output.mux(audio.encode(part))
        output.mux(audio.encode(None))
    return path


@pytest.mark.parametrize("later", [0, 250, -250, -700])
def test_sound_that_begins_at_another_time_than_the_picture_stays_where_it_is(tmp_path: Path, later: int) -> None:
    sound = clip_of_file(str(with_sound_at(tmp_path / "x.mkv", later))).sound()
    assert sound is not None
    heard = int(sound["waveform"].abs()[0, 0].argmax())
    if later == -700:  # before the picture
        assert not sound["waveform"].any() and sound["waveform"].shape[-1] == 2400
    else:
        assert heard == 8 * (500 + later)


@pytest.mark.parametrize(("layout", "channels"), [("stereo", 2), ("5.1", 6), ("7.1", 8), ("hexadecagonal", 16)])
def test_every_channel_of_a_sound_is_read(tmp_path: Path, layout: str, channels: int) -> None:
    sound = clip_of_file(str(with_sound_at(tmp_path / "x.mkv", 0, layout))).sound()
    assert sound is not None
    loudest = sound["waveform"][0, :, 4000] * 2**15
    assert (loudest / 1000).round(decimals=3).tolist() == list(range(1, channels + 1))


@given(st.integers(1, 50), st.integers(-60, 60), st.none() | st.integers(0, 60))
def test_a_moved_sound_is_the_same_one_between_silence(count: int, samples: int, length: int | None) -> None:
    before = {"waveform": torch.arange(1.0, count + 1).expand(1, 2, -1), "sample_rate": 8}
    found = shift_sound(before, samples, length)["waveform"]
    assert found.shape == (1, 2, max(count + samples, 0) if length is None else length)
    for place, value in enumerate(found[0, 0].tolist()):
        assert value == (place - samples + 1 if 0 <= place - samples < count else 0)


@pytest.mark.parametrize("held", [1, 7, 1000])
@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("closed.mp4", "libx264", {"g": "8"}),
        ("open.mkv", "libx264", {"g": "8", "x264-params": "open-gop=1:bframes=3"}),
        ("one.mp4", "libx264", {"g": "1000"}),
        ("x.webm", "libvpx-vp9", {"g": "8"}),
        ("x.ts", "libx264", {"g": "8"}),
        ("bare.h264", "libx264", {"g": "8"}),
    ],
)
def test_backwards_is_the_same_frames_the_other_way_and_few_are_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int, name: str, codec: str, options: dict[str, str]
) -> None:
    path = recorded(tmp_path / name, range(0, 1200, 40), codec, **options)
    monkeypatch.setattr(read, "HELD", held * 64 * 48 * 3 // 2)
    stretches: list[int] = []
    stretch = read._stretch

    def counted(source: str, times: np.ndarray, counted: bool, look: Look) -> list[av.VideoFrame]:
        frames = stretch(source, times, counted, look)
        stretches.append(len(frames))
        return frames

    monkeypatch.setattr(read, "_stretch", counted)
    clip = reversed_clip(clip_of_file(str(path)))
    assert numbers(clip.frames()) == list(range(29, -1, -1))
    assert max(stretches) <= held and sum(stretches) == 30
    assert numbers(clip.backwards()) == list(range(30))


def test_no_frame_is_lost_backwards_where_the_times_of_a_file_are_guesses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.avi"  # which knows only when to decode a frame, and H.264 is not decoded in order
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"g": "8", "bf": "3"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(30):
            pixels = np.full((48, 64, 3), 20 + 4 * number, np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        output.mux(stream.encode(None))
    monkeypatch.setattr(read, "HELD", 7 * 64 * 48 * 3 // 2)
    clip = clip_of_file(str(path))
    assert numbers(clip.frames()) == list(range(30))
    assert sorted(numbers(clip.backwards())) == list(range(30))


@pytest.mark.parametrize(
    ("name", "codec", "time"),
    [("x.mkv", "libx264", 0), ("x.mkv", "mjpeg", 700), ("x.mp4", "libx264", 0), ("x.webm", "libvpx-vp9", 700)],
)
def test_frames_that_all_have_one_time_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, codec: str, time: int
) -> None:
    with av.open(str(tmp_path / name), "w") as output:
        stream = output.add_stream(codec, rate=20)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.max_b_frames = 0
        pictures = (np.full((48, 64, 3), 20 + 4 * number, np.uint8) for number in range(30))
        frames = [av.VideoFrame.from_ndarray(picture, format="rgb24") for picture in pictures]
        for packet in [packet for frame in (*frames, None) for packet in stream.encode(frame)]:
            packet.pts = packet.dts = time
            output.mux(packet)
    monkeypatch.setattr(read, "HELD", 7 * 64 * 48 * 3 // 2)
    clip = clip_of_file(str(tmp_path / name))
    assert (clip.count, float(clip.fps)) == (30, 20)
    assert numbers(clip.frames()) == list(range(30))
    assert numbers(clip.backwards()) == list(range(29, -1, -1))
    assert "doesn't say when each frame is seen: read at 20 fps" in clip.notes[-1]


def test_a_reversed_video_takes_its_sound_along(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    write_video(path, clip_of_images(ramp(20), 10.0, click(2.0, 0.5)), EncoderSettings(), {}, lambda: None)
    for clip in (clip_of_file(str(path)), clip_of_images(ramp(20), 10.0, click(9.0, 0.5))):
        sound = reversed_clip(clip).sound()
        assert sound is not None
        heard = int(sound["waveform"].abs()[0, 0].argmax()) / sound["sample_rate"]
        assert heard == pytest.approx(1.5, abs=1024 / 44_100)
    assert reversed_clip(clip_of_images(ramp(2), 10.0)).sound() is None


def test_images_run_backwards_too() -> None:
    clip = clip_of_images(ramp(5), 8.0)
    assert np.array_equal(list(reversed_clip(clip).frames()), list(clip.frames())[::-1])
