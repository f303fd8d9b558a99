"""ONNX detectors see and say what the code of their authors does with the same files."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import torch
from wan_duet.animate.detector.onnx import persons, points
from wan_duet.animate.detector.onnx.persons import OnnxPersons
from wan_duet.animate.detector.onnx.points import OnnxPoints, read_axes, read_heat_maps
from wan_duet.animate.detector.onnx.session import OnnxSession
from wan_duet.animate.pose import SEEN
from wan_duet.dev.live.packages import from_file
from wan_duet.tests.animate.conftest import live_folder, picture
from wan_duet.tests.animate.onnx_networks import (
    picture_of,
    write_dwpose,
    write_vitpose,
    write_yolo,
    write_yolov10,
    write_yolox,
)
from wan_duet.tests.animate.test_onnx import CPU, scaled

pytestmark = pytest.mark.live

sizes = pytest.mark.parametrize(("width", "height"), [(400, 300), (300, 400), (1280, 720)])


@pytest.fixture(scope="module")
def authors() -> Iterator[SimpleNamespace]:
    """Wan's pose2d and pose2d_utils, DWPose's onnxdet and onnxpose."""
    wan = live_folder() / "flow_schedulers" / "wan" / "modules" / "animate" / "preprocess"
    packages = live_folder() / "onnx_detectors"
    with pytest.MonkeyPatch.context() as paths:
        paths.syspath_prepend(packages)
        paths.syspath_prepend(wan)
        files = [wan / "pose2d.py", wan / "pose2d_utils.py"]
        files += [packages / "controlnet_dwpose" / name for name in ("onnxdet.py", "onnxpose.py")]
        yield SimpleNamespace(**{file.stem: from_file(file) for file in files})


def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@sizes
def test_yolox_finds_whom_dwpose_finds_with_it(
    authors: SimpleNamespace, tmp_path: Path, width: int, height: int
) -> None:
    file = write_yolox(tmp_path / "any.onnx")
    image = picture_of(scaled(width, height), width, height)
    theirs = authors.onnxdet.inference_detector(session(file), image[..., ::-1])
    ours = OnnxPersons(OnnxSession(file, CPU), persons.YOLOX).persons(torch.from_numpy(image))
    assert np.abs(ours - theirs).max() < 0.01


@sizes
@pytest.mark.parametrize("write", [write_yolov10, write_yolo])
def test_yolov10_finds_whom_wan_finds_with_it(
    authors: SimpleNamespace, tmp_path: Path, write: Callable[[Path], Path], width: int, height: int
) -> None:
    file = write(tmp_path / "any.onnx")
    image = picture_of(scaled(width, height), width, height)
    yolo = authors.pose2d.Yolo(str(file), "cpu", threshold_conf=persons.YOLO.least)
    pixels, size = yolo.preprocess(image[..., ::-1])
    found = yolo.postprocess(yolo.session.run(None, {"images": pixels[None]})[0], size)
    people = found[found[:, 5] == 0, :4]
    family = persons.YOLO if write is write_yolo else persons.YOLOV10
    ours = OnnxPersons(OnnxSession(file, CPU), family).persons(torch.from_numpy(image))
    assert len(people) == len(ours) == 3
    assert np.abs(ours - people).max() <= 2  # they cut corner, width and height down to whole pixels


def test_photographs_are_shown_to_the_networks_as_their_authors_do(authors: SimpleNamespace) -> None:
    image = picture("bus.jpg").copy()
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    theirs, ratio = authors.onnxdet.preprocess(image[..., ::-1], (640, 640))
    ours, scale = persons._in_corner(pixels, (640, 640))
    assert np.abs(ours[0].numpy() - theirs).max() <= 1 and (scale == ratio).all()
    yolo = SimpleNamespace(input_resolution=(640, 640))
    theirs, _ = authors.pose2d.Yolo.preprocess(yolo, image[..., ::-1])
    ours, _ = persons._squashed(pixels, (640, 640))
    assert np.abs(ours[0].numpy() - theirs).max() <= 1.01 / 255


def test_people_in_photographs_are_cropped_as_dwpose_does(authors: SimpleNamespace) -> None:
    image = picture("bus.jpg").copy()
    boxes = np.array([(50, 400, 240, 900), (660, 380, 809, 880), (0, 0, 810, 1079)], float)
    crops, middles, sizes = authors.onnxpose.preprocess(image, boxes, (288, 384))
    ours_middles, ours_sizes = points._around(boxes, (384, 288))
    assert np.allclose(ours_middles, middles) and np.allclose(ours_sizes, sizes)
    ours = points._crops(torch.from_numpy(image), ours_middles, ours_sizes, (384, 288))
    difference = np.abs(ours.permute(0, 2, 3, 1).numpy() - crops)
    assert difference.mean() < 0.02 and difference.max() < 0.3  # a level is 0.017; OpenCV places in 32nds of a pixel


def test_axes_are_read_as_dwpose_reads_them(authors: SimpleNamespace) -> None:
    random = np.random.default_rng(0)
    axes = [random.normal(0, 0.2, (4, 133, bins)).astype(np.float32) for bins in (576, 768)]
    axes[0][0, :5] -= 9  # no bin above zero
    places, scores = read_axes(axes, (384, 288))
    theirs, sure = authors.onnxpose.decode(*(axis.copy() for axis in axes), 2.0)
    there = sure > 0
    assert there.sum() == there.size - 5 and (scores[~there] == 0).all()
    assert np.allclose((places * (288, 384))[there], theirs[there])
    assert np.allclose(scores[there], np.clip(sure[there] * SEEN / 0.3, 0, 1))


def test_heat_maps_are_read_as_wan_reads_them(authors: SimpleNamespace) -> None:
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :48]
    x, y = random.uniform(-1, 48, (2, 133, 1, 1)), random.uniform(-1, 64, (2, 133, 1, 1))
    maps = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 2.0**2)) + random.normal(0, 0.01, (2, 133, 64, 48))
    maps = (maps * random.uniform(0.1, 1, (2, 133, 1, 1))).astype(np.float32)
    middles, sizes = np.array([(100, 200), (300, 150.5)]), np.array([(90, 120), (240, 320)], float)
    theirs, sure = authors.pose2d_utils.keypoints_from_heatmaps(maps, middles, sizes, unbiased=True)
    places, scores = read_heat_maps([maps], (256, 192))
    found = (places - 0.5) * sizes[:, None] + middles[:, None]
    assert np.abs(found - theirs).max() < 0.05
    assert np.allclose(scores, sure[..., 0].clip(0, 1))


@sizes
def test_dwpose_finds_the_points_that_its_authors_find(
    authors: SimpleNamespace, tmp_path: Path, width: int, height: int
) -> None:
    file = write_dwpose(tmp_path / "any.onnx", batch=1)
    people = np.array(scaled(width, height))
    image = picture_of(people.tolist(), width, height)
    running = session(file)
    shapes = SimpleNamespace(
        get_inputs=running.get_inputs,
        get_outputs=running.get_outputs,
        run=lambda names, given: running.run(names, {"images": np.float32(given["images"])}),
    )
    theirs, sure = authors.onnxpose.inference_pose(shapes, people, image)
    ours = OnnxPoints(OnnxSession(file, CPU), read_axes).points(torch.from_numpy(image), people, hands=True, face=True)
    bins = ((people[:, 2:] - people[:, :2]) / (288, 384)).max(1) * 1.25 / 2
    assert (np.abs(ours[..., :2] - theirs).max((1, 2)) <= bins + 1e-3).all()
    assert np.abs(ours[..., 2] - np.clip(sure * SEEN / 0.3, 0, 1)).max() < 0.05


@sizes
def test_vitpose_finds_the_points_that_wan_finds(
    authors: SimpleNamespace, tmp_path: Path, width: int, height: int
) -> None:
    file = write_vitpose(tmp_path / "any.onnx", batch=1)
    people = scaled(width, height)
    image = picture_of(people, width, height)
    vitpose = authors.pose2d.ViTPose(str(file), "cpu")
    ours = OnnxPoints(OnnxSession(file, CPU), read_heat_maps)
    for box in people:
        pixels, middle, size = vitpose.preprocess(image, np.array([*box, 1.0]))
        theirs = vitpose(pixels[None], middle[None], size[None])[0]
        points = ours.points(torch.from_numpy(image), np.array([box]), hands=True, face=True)[0]
        pixel = max((box[2] - box[0]) / 192, (box[3] - box[1]) / 256) * 1.25
        assert np.abs(points[:, :2] - theirs[:, :2]).max() <= 1 + pixel  # they crop at whole pixels
        assert np.abs(points[:, 2] - theirs[:, 2]).max() < 0.05
