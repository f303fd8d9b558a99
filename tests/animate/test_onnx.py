"""ONNX files of a user's own find people and their points, at the right pixel of the frame, or say why they can't."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import folder_paths
import numpy as np
import pytest
import torch
from wan_duet.animate.detect import load_detector
from wan_duet.animate.detector.onnx.files import onnx_files, onnx_path, open_persons, open_points
from wan_duet.animate.pose import FACE, FEET, FOUND, HANDS, MISSING
from wan_duet.animate.tracker import LEFT_TO_RIGHT, POINT, PersonSearch
from wan_duet.tests.animate.onnx_networks import (
    Box,
    Network,
    picture_of,
    wholebody_of,
    write_dwpose,
    write_vitpose,
    write_yolo,
    write_yolov10,
    write_yolox,
)

CPU = torch.device("cpu")
PEOPLE: list[Box] = [(40, 60, 120, 260), (220, 100, 330, 180), (150, 20, 200, 120)]
Write = Callable[[Path], Path]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """models/detection, of this test alone."""
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "detection", ([str(tmp_path)], {".pt"}))
    return tmp_path


def scaled(width: int, height: int) -> list[Box]:
    across, along = width / 400, height / 300
    return [(left * across, top * along, right * across, bottom * along) for left, top, right, bottom in PEOPLE]


@pytest.mark.parametrize("write", [write_yolov10, write_yolo, write_yolox])
@pytest.mark.parametrize(("width", "height"), [(400, 300), (300, 400), (1280, 720), (640, 640)])
def test_everybody_has_a_box_in_every_shape_of_picture(folder: Path, write: Write, width: int, height: int) -> None:
    write(folder / "any.onnx")
    people = scaled(width, height)
    found = open_persons("any.onnx", CPU).persons(torch.from_numpy(picture_of(people, width, height)))
    assert found.shape == (3, 4)
    assert np.abs(found - people).max() <= max(width, height) / 640 * 1.5 + 1


@pytest.mark.parametrize("write", [write_yolov10, write_yolo, write_yolox])
def test_where_nobody_is_there_is_no_box(folder: Path, write: Write) -> None:
    write(folder / "any.onnx")
    assert open_persons("any.onnx", CPU).persons(torch.from_numpy(picture_of([]))).shape == (0, 4)


def test_a_yolox_of_one_class_or_of_another_size_is_known(folder: Path) -> None:
    write_yolox(folder / "any.onnx", size=416, classes=1)
    found = open_persons("any.onnx", CPU).persons(torch.from_numpy(picture_of(PEOPLE)))
    assert np.abs(found - PEOPLE).max() <= 2


@pytest.mark.parametrize("write", [write_vitpose, write_dwpose])
@pytest.mark.parametrize(("width", "height"), [(400, 300), (1280, 720)])
def test_points_are_at_their_pixel_of_the_frame(folder: Path, write: Write, width: int, height: int) -> None:
    write(folder / "any.onnx")
    people = scaled(width, height)
    image = torch.from_numpy(picture_of(people, width, height))
    found = open_points("any.onnx", CPU).points(image, np.array(people), hands=True, face=True)
    for points, box in zip(found, people, strict=True):
        pixel = max((box[2] - box[0]) / 192, (box[3] - box[1]) / 256) * 1.25
        assert np.abs(points[:, :2] - wholebody_of(box)).max() <= 1.5 * pixel + 0.5
    assert found[..., 2].min() > 0.8 and found[..., 2].max() <= 1


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_vitpose(path, batch=1),
        lambda path: write_vitpose(path, (384, 288)),
        lambda path: write_dwpose(path, batch=1),
        lambda path: write_dwpose(path, (256, 192), swapped=True),
    ],
)
def test_points_of_other_sizes_and_orders_are_known(folder: Path, write: Write) -> None:
    write(folder / "any.onnx")
    image = torch.from_numpy(picture_of(PEOPLE))
    found = open_points("any.onnx", CPU).points(image, np.array(PEOPLE), hands=True, face=True)
    assert np.abs(found[..., :2] - [wholebody_of(box) for box in PEOPLE]).max() < 3


def test_a_box_beyond_the_picture_s_edge_is_filled_up_with_black(folder: Path) -> None:
    write_vitpose(folder / "any.onnx")
    image = torch.from_numpy(picture_of(PEOPLE[:1])[60:260, 40:120])
    found = open_points("any.onnx", CPU).points(image, np.array([(0, 0, 80, 200)]), hands=False, face=False)
    assert np.abs(found[0, : FEET.stop, :2] - (wholebody_of(PEOPLE[0])[0] - (40, 60))).max() < 1.5
    assert not found[0, FACE].any() and not any(found[0, hand].any() for hand in HANDS)


def test_somebody_without_a_point_has_none(folder: Path) -> None:
    image = torch.from_numpy(picture_of([]))
    for write in (write_vitpose, write_dwpose):
        write(folder / "any.onnx")
        found = open_points("any.onnx", CPU).points(image, np.array(PEOPLE), hands=True, face=True)
        assert found.shape == (3, 133, 3) and not found.any()


def moving(*frames: Sequence[Box]) -> list[np.ndarray]:
    return [picture_of(people) for people in frames]


def test_two_people_are_followed_through_a_video(folder: Path) -> None:
    write_yolov10(folder / "person.onnx")
    write_dwpose(folder / "pose.onnx")
    detector = load_detector(CPU, "pose.onnx", "person.onnx")
    steps = [[(x1 + 9 * t, y1, x2 + 9 * t, y2) for x1, y1, x2, y2 in PEOPLE[:2]] for t in range(6)]
    steps[3] = steps[3][:1]
    pose = detector.pose(moving(*steps), PersonSearch(people=2, pick=LEFT_TO_RIGHT), 30.0)
    assert pose.states.T.tolist() == [[FOUND] * 6, [FOUND] * 3 + [MISSING] + [FOUND] * 2]
    for points, people in zip(pose.points, steps, strict=True):
        for person, box in enumerate(people):
            assert np.abs(points[person, :, :2] - wholebody_of(box)).max() < 2


def test_the_pick_says_who_is_taken(folder: Path) -> None:
    write_yolox(folder / "person.onnx")
    write_vitpose(folder / "pose.onnx")
    detector = load_detector(CPU, "pose.onnx", "person.onnx")
    for search, box in (
        (PersonSearch(), PEOPLE[0]),
        (PersonSearch(skip=2), PEOPLE[2]),
        (PersonSearch(pick=LEFT_TO_RIGHT, skip=1), PEOPLE[2]),
        (PersonSearch(pick=POINT, point=(0.7, 0.5)), PEOPLE[1]),
    ):
        pose = detector.pose(moving(PEOPLE, PEOPLE), search, 30.0)
        assert np.abs(pose.points[1, 0, :, :2] - wholebody_of(box)).max() < 3


def test_files_are_named_alike_everywhere_and_whatever_the_host_lists(folder: Path) -> None:
    (folder / "yolo").mkdir()
    for name in ("b.ONNX", "yolo/a.onnx", "c.pt"):
        (folder / name).touch()
    assert onnx_files() == ["b.ONNX", "yolo/a.onnx"]
    assert onnx_path("yolo/a.onnx") == folder / "yolo" / "a.onnx"


def test_no_file_of_another_folder_is_opened(folder: Path) -> None:
    (folder.parent / "outside.onnx").touch()
    for name in ("../outside.onnx", str(folder.parent / "outside.onnx")):
        with pytest.raises(FileNotFoundError, match="is not in models/detection"):
            onnx_path(name)


def test_a_host_that_does_not_know_the_folder_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(folder_paths.folder_names_and_paths, "detection")
    assert onnx_files() == []
    assert folder_paths.get_folder_paths("detection") == [str(Path(folder_paths.models_dir, "detection"))]


def test_a_missing_file_is_said_at_once() -> None:
    with pytest.raises(FileNotFoundError, match=r"pose\.onnx is not in models/detection\. Put it there"):
        load_detector(CPU, pose_model="pose.onnx")


def test_without_onnxruntime_what_to_install_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_vitpose(folder / "pose.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(RuntimeError, match=r"pose\.onnx needs onnxruntime.*Install onnxruntime-gpu for an NVIDIA card"):
        load_detector(CPU, pose_model="pose.onnx")
    assert load_detector(CPU).embedded.device == CPU


def test_cuda_that_onnxruntime_does_not_give_is_refused(folder: Path) -> None:
    write_vitpose(folder / "pose.onnx")
    with (
        pytest.warns(UserWarning, match="CUDAExecutionProvider"),
        pytest.raises(RuntimeError, match=r"was to run on cuda:0, but onnxruntime .* gives CPUExecutionProvider"),
    ):
        open_points("pose.onnx", torch.device("cuda:0"))


def test_a_file_in_the_other_s_place_is_refused(folder: Path) -> None:
    write_vitpose(folder / "pose.onnx")
    write_yolov10(folder / "person.onnx")
    with pytest.raises(ValueError, match=r"pose_model is person\.onnx, which finds persons only.*ViTPose wholebody"):
        load_detector(CPU, pose_model="person.onnx").pose(moving(PEOPLE), PersonSearch(), 30.0)
    with pytest.raises(ValueError, match=r"person_model is pose\.onnx, which finds somebody's points.*YOLOX or"):
        load_detector(CPU, person_model="pose.onnx").pose(moving(PEOPLE), PersonSearch(), 30.0)


def test_a_network_of_no_known_shape_is_named_with_its_shapes(folder: Path) -> None:
    write_vitpose(folder / "body.onnx", points=17)
    with pytest.raises(ValueError, match=r"body\.onnx makes \[1, 17, 64, 48\] of a picture \[1, 3, 256, 192\],"):
        open_points("body.onnx", CPU)


def test_a_file_that_is_not_whole_is_said(folder: Path) -> None:
    whole = write_vitpose(folder / "whole.onnx").read_bytes()
    (folder / "pose.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"pose\.onnx can't be opened: .*Is the file whole"):
        open_points("pose.onnx", CPU)


def test_a_network_that_can_t_be_run_on_its_picture_is_said(folder: Path) -> None:
    net = Network()
    net.results["output"] = net("Reshape", "images", np.array([1, 7]))
    net.write(folder / "odd.onnx", (1, 3, "height", "width"), output=(1, 7))
    with pytest.raises(ValueError, match=r"odd\.onnx can't be run on a picture \[1, 3, 640, 640\]"):
        open_points("odd.onnx", CPU)


def test_a_network_that_takes_no_picture_is_named_with_what_it_takes(folder: Path) -> None:
    net = Network()
    net.results["sum"] = net("ReduceSum", "images")
    net.write(folder / "sound.onnx", (1, 16000), sum=(1, 1))
    with pytest.raises(ValueError, match=r"sound\.onnx takes images tensor\(float\) \[1, 16000\], where a picture"):
        open_points("sound.onnx", CPU)
