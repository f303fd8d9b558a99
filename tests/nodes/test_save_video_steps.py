"""Saving in this process: what needs nodes that not every host has, or a moment in the middle of it."""

import importlib
import sys
import types
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.utils
import folder_paths
import pytest
import torch
from comfy.model_management import InterruptProcessingException
from comfy_api.input_impl import VideoFromFile
from safetensors.torch import save_file
from wan_duet.dev.tiny import random_weights
from wan_duet.nodes.video import save as save_node
from wan_duet.nodes.video.interpolation import interpolate
from wan_duet.nodes.video.save import SaveVideo
from wan_duet.tests.video.conftest import click, ramp
from wan_duet.video.clip import clip_of_images
from wan_duet.video.encode import write_video
from wan_duet.video.formats import EncoderSettings
from wan_duet.video.read import clip_of_file

Save = Callable[..., tuple[Path, str]]
NODES = "comfy_extras.nodes_frame_interpolation"
OWN_NODES = find_spec(NODES) is not None


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


@pytest.fixture(scope="module")
def model_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of the host's own classes with random weights: FILM has one size, RIFE is as small as its file."""
    folder = tmp_path_factory.mktemp("frame_interpolation")
    if OWN_NODES:
        models = importlib.import_module("comfy_extras.frame_interpolation_models.film_net")
        save_file(random_weights(models.FILMNet(), 0), folder / "film_net_fp32.safetensors")
        models = importlib.import_module("comfy_extras.frame_interpolation_models.ifnet")
        save_file(random_weights(models.IFNet(channels=(8,) * 5), 0), folder / "rife49.safetensors")
    else:
        for name in ("film_net_fp32.safetensors", "rife49.safetensors"):
            (folder / name).touch()
    return folder


@pytest.fixture
def models(model_files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where a host finds FILM and RIFE; one without such nodes gets them in shape alone."""
    if not OWN_NODES:
        monkeypatch.setitem(sys.modules, NODES, _nodes_in_shape_alone())
    paths = {**folder_paths.folder_names_and_paths, "frame_interpolation": ([str(model_files)], {".safetensors"})}
    monkeypatch.setattr(folder_paths, "folder_names_and_paths", paths)
    monkeypatch.setattr(folder_paths, "filename_list_cache", {})
    return model_files


def _nodes_in_shape_alone() -> types.ModuleType:
    """The interpolation nodes of 2026 hosts: every new frame lies between its neighbours, nearer to one for RIFE."""

    class Loader:
        @staticmethod
        def execute(model_name: str) -> Any:
            return types.SimpleNamespace(args=(0.25 if "rife" in model_name else 0.5,))

    class Interpolate:
        @staticmethod
        def execute(model: float, images: torch.Tensor, multiplier: int) -> Any:
            between = [torch.lerp(images[:-1], images[1:], model)] * (multiplier - 1)
            woven = torch.stack([images[:-1], *between], dim=1).flatten(0, 1)
            return types.SimpleNamespace(args=(torch.cat([woven, images[-1:]]),))

    module: Any = types.ModuleType(NODES)
    module.FrameInterpolationModelLoader, module.FrameInterpolate = Loader, Interpolate
    return module


@pytest.mark.parametrize(("model", "between"), [("film", 1), ("rife", 1), ("rife", 3)])
def test_new_frames_come_between_those_that_were_there(models: Path, model: str, between: int) -> None:
    given = ramp(3, 64, 64)
    made = interpolate(given, model, between)
    assert made.shape == (2 * (between + 1) + 1, 64, 64, 3)
    kept = torch.arange(len(made)) % (between + 1) == 0
    assert torch.equal(made[kept], given)
    assert not any(torch.equal(new, old) for new in made[~kept] for old in given)


def test_the_named_model_makes_them(models: Path) -> None:
    given = ramp(2, 64, 64)
    assert not torch.equal(interpolate(given, "film", 1), interpolate(given, "rife", 1))


def test_interpolation_without_its_model_file_says_where_it_belongs(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_paths, "get_filename_list", lambda _: ["rife49.pth"])
    with pytest.raises(FileNotFoundError, match="models/frame_interpolation holds no file with film in its name"):
        interpolate(ramp(5, 8, 8), "film", 1)


@pytest.mark.parametrize(
    ("fps", "adjusted", "expected"), [(0.0, True, 64), (0.0, False, 16), (8.0, True, 32), (8.0, False, 8)]
)
def test_interpolated_images_last_as_long_or_become_slow_motion(
    save: Save, models: Path, fps: float, adjusted: bool, expected: float
) -> None:
    path, _ = save(ramp(5), fps, interpolation="rife", interpolated_frames=3, adjust_fps=adjusted)
    clip = clip_of_file(str(path))
    assert (clip.count, clip.fps) == (17, expected)


def test_an_interpolated_video_keeps_its_duration_and_its_sound(save: Save, models: Path, tmp_path: Path) -> None:
    source = tmp_path / "source.mp4"
    write_video(source, clip_of_images(ramp(24), 24.0, click(1.0, 0.5)), EncoderSettings(), {}, lambda: None)
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


def test_an_interrupt_leaves_the_folder_as_it_was_and_the_name_free(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(ramp(2))
    before, during = files(tmp_path), []

    def interrupt_in_the_middle(frame: int, *_: Any, **__: Any) -> None:
        if frame == 70:  # x264 holds the first ones back
            during.extend(files(tmp_path).keys() - before.keys())
            comfy.model_management.interrupt_current_processing(True)
        comfy.model_management.throw_exception_if_processing_interrupted()  # as the hook of the host's server does

    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", interrupt_in_the_middle)
    try:
        with pytest.raises(InterruptProcessingException):
            save(ramp(80))
    finally:
        comfy.model_management.interrupt_current_processing(False)
    assert sorted(path.suffix for path in during) == [".mp4", ".partial"]  # the name, and what is written
    assert files(tmp_path) == before
    assert save(ramp(5))[0] in during


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_signed_address_gets_the_first_of_several_results_alone(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(save_node, "upload", lambda path, profile, settings: sent.append(path.name) or "Sent.")
    lines = []
    for number in range(2):
        at = types.SimpleNamespace(list_index=number)
        monkeypatch.setattr(save_node, "get_executing_context", lambda at=at: at)
        path, report = save(ramp(2), upload_profile="work")
        assert path.is_file()
        lines.append(report.splitlines()[-1])
    assert lines == ["Sent.", "Not sent: the address of profile 'work' has the first result."]
    assert len(sent) == 1
