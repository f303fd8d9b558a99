"""Saving in this process: what needs nodes that this host lacks, or a moment in the middle of it."""

import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.utils
import folder_paths
import pytest
import torch
from comfy.model_management import InterruptProcessingException
from comfy_api.input_impl import VideoFromFile
from wan_duet.nodes import video
from wan_duet.nodes.interpolation import interpolated
from wan_duet.nodes.video import SaveVideo
from wan_duet.tests.video.conftest import click, ramp
from wan_duet.video.clip import clip_of_images
from wan_duet.video.encode import write_video
from wan_duet.video.formats import Settings
from wan_duet.video.read import clip_of_file

Save = Callable[..., tuple[Path, str]]


@pytest.fixture
def save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Save:
    """A function that runs the node and returns its file and its report."""

    class Node(SaveVideo):
        hidden = types.SimpleNamespace(prompt=None, extra_pnginfo=None, unique_id="1")

    monkeypatch.setattr(folder_paths, "get_output_directory", lambda: str(tmp_path / "output"))

    def save(video: Any, fps: float = 0.0, **settings: Any) -> tuple[Path, str]:
        usual = {"format": "mp4", "quality": "high", "write_mode": "fast", "reverse": False}
        name, report = Node.execute(video, "clip", fps=fps, **{**usual, **settings}).args
        return tmp_path / "output" / name, report

    return save


@contextmanager
def newer_host(models: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The interpolation nodes of 2026 hosts in shape alone: every new frame is the mean of its neighbours."""
    calls: list[Any] = []

    class Loader:
        @staticmethod
        def execute(model_name: str) -> Any:
            calls.append(model_name)
            return types.SimpleNamespace(args=("the model",))

    class Interpolate:
        @staticmethod
        def execute(model: str, images: torch.Tensor, multiplier: int) -> Any:
            calls.append((model, multiplier))
            between = [(images[:-1] + images[1:]) / 2] * (multiplier - 1)
            woven = torch.stack([images[:-1], *between], dim=1).flatten(0, 1)
            return types.SimpleNamespace(args=(torch.cat([woven, images[-1:]]),))

    module: Any = types.ModuleType("comfy_extras.nodes_frame_interpolation")
    module.FrameInterpolationModelLoader, module.FrameInterpolate = Loader, Interpolate
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(folder_paths, "get_filename_list", lambda folder: models)
    yield calls


@pytest.mark.parametrize(("between", "count"), [(1, 9), (3, 17)])
def test_interpolation_takes_the_hosts_nodes_and_the_named_model(
    monkeypatch: pytest.MonkeyPatch, between: int, count: int
) -> None:
    with newer_host(["rife49.pth", "film_net_fp32.pt"], monkeypatch) as calls:
        assert len(interpolated(ramp(5, 8, 8), "film", between)) == count
    assert calls == ["film_net_fp32.pt", ("the model", between + 1)]


def test_interpolation_without_its_model_file_says_where_it_belongs(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        newer_host(["rife49.pth"], monkeypatch),
        pytest.raises(FileNotFoundError, match="models/frame_interpolation holds no file with film in its name"),
    ):
        interpolated(ramp(5, 8, 8), "film", 1)


@pytest.mark.parametrize(
    ("fps", "adjusted", "expected"), [(0.0, True, 64), (0.0, False, 16), (8.0, True, 32), (8.0, False, 8)]
)
def test_interpolated_images_last_as_long_or_become_slow_motion(
    save: Save, monkeypatch: pytest.MonkeyPatch, fps: float, adjusted: bool, expected: float
) -> None:
    with newer_host(["film.pt"], monkeypatch):
        path, _ = save(ramp(5), fps, interpolation="film", interpolated_frames=3, adjust_fps=adjusted)
    clip = clip_of_file(str(path))
    assert (clip.count, clip.fps) == (17, expected)


def test_an_interpolated_video_keeps_its_duration_and_its_sound(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source.mp4"
    write_video(source, clip_of_images(ramp(24), 24.0, click(1.0, 0.5)), Settings(), {}, lambda: None)
    with newer_host(["rife.pth"], monkeypatch):
        path, _ = save(VideoFromFile(str(source)), interpolation="rife")
    clip, sound = clip_of_file(str(path)), clip_of_file(str(path)).sound()
    assert (clip.count, clip.fps) == (47, 48)
    assert sound is not None
    heard = int(sound["waveform"].abs()[0, 0].argmax()) / sound["sample_rate"]
    assert heard == pytest.approx(0.5, abs=1024 / 44_100)


def test_the_bar_counts_the_frames(save: Save, unthrottled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[int, int]] = []
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, *_, **__: shown.append((value, total)))
    save(ramp(5))
    assert shown == [(number, 5) for number in range(1, 6)]


def test_an_interrupt_stops_it_and_leaves_no_file(save: Save, tmp_path: Path) -> None:
    comfy.model_management.interrupt_current_processing(True)
    try:
        with pytest.raises(InterruptProcessingException):
            save(ramp(5))
    finally:
        comfy.model_management.interrupt_current_processing(False)
    assert list((tmp_path / "output").iterdir()) == []


def test_a_signed_address_gets_the_first_of_several_results_alone(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(video, "upload", lambda path, profile, settings: sent.append(path.name) or "Sent.")
    lines = []
    for number in range(2):
        at = types.SimpleNamespace(list_index=number)
        monkeypatch.setattr(video, "get_executing_context", lambda at=at: at)
        path, report = save(ramp(2), upload_profile="work")
        assert path.is_file()
        lines.append(report.splitlines()[-1])
    assert lines == ["Sent.", "Not sent: the address of profile 'work' has the first result."]
    assert len(sent) == 1
