"""Boxes and masks of other nodes say where people are, one person after the other, in every form that nodes give."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from wan_duet.animate import detect
from wan_duet.animate.boxes import around_mask, from_boxes, to_boxes
from wan_duet.animate.detector.mediapipe.body import Bodies
from wan_duet.animate.detector.mediapipe.box_landmarks import EmbeddedPoints
from wan_duet.animate.detector.mediapipe.embedded import EmbeddedDetector
from wan_duet.animate.detector.mediapipe.wholebody import OF_BODY
from wan_duet.animate.pose import BODY, FOUND, MISSING, NOSE, Pose
from wan_duet.animate.top_down import detect_in_boxes
from wan_duet.animate.tracker import LEFT_TO_RIGHT, POINT, PersonSearch
from wan_duet.tests.animate.conftest import picture
from wan_duet.tests.animate.people import person, pose_of
from wan_duet.tests.animate.test_follow import Scripted, bodies
from wan_duet.tests.animate.test_people import frames


def box(x: float, y: float, width: float = 10, height: float = 20, **more: Any) -> dict[str, Any]:
    return {"x": x, "y": y, "width": width, "height": height, **more}


def corners(given: Any, frames: int = 2) -> list[list[list[float]]]:
    return [boxes.tolist() for boxes in from_boxes(given, frames, 100, 100)]


ONE = [[5, 6, 15, 26]]


@pytest.mark.parametrize("given", [box(5, 6), [box(5, 6)], [[box(5, 6)]], [[box(5, 6)], [box(5, 6)]]])
def test_one_box_in_any_form_is_for_every_frame(given: Any) -> None:
    assert corners(given) == [ONE, ONE]


def test_every_frame_has_its_own_boxes() -> None:
    two = [box(5, 6, label="x", score=0.3), box(50, 6.5, 10.5, np.float32(2))]
    assert corners([two, [], (box(1, 1, 1, 1),)], 3) == [[*ONE, [50, 6.5, 60.5, 8.5]], [], [[1, 1, 2, 2]]]


def test_boxes_end_at_the_picture_s_edge_and_are_nothing_beyond() -> None:
    assert corners([[box(-5, 90), box(200, 5), box(5, 5, 0, 9)]] * 2) == [[[0, 90, 5, 100]]] * 2


def test_persons_are_meant_where_some_are_labelled_so() -> None:
    assert corners([[box(1, 2, label="dog"), box(5, 6, label="person")], [box(1, 2, label="dog")]]) == [ONE, []]
    assert corners([[box(5, 6, label="the dancer")]] * 2) == [ONE, ONE]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], r"boxes is \[\], where a list of frames"),
        ("box", "boxes is 'box', where a list of frames"),
        (7, "boxes is 7, where"),
        ([[1, 2, 3, 4]], r"boxes has a frame \[1, 2, 3, 4\], where"),
        ([[[1, 2, 3, 4]]], r"boxes has a frame \[\[1, 2, 3, 4\]\], where"),
        ([[{"x1": 1}]], r"boxes has \{'x1': 1\}, where"),
        ([[box(float("nan"), 1)]], "boxes has {'x': nan"),
        ([[box(1, "left")]], "boxes has {'x': 1, 'y': 'left'"),  # pyright: ignore[reportArgumentType]
        ([[], [], []], "boxes has 3 frames, video 2. Connect the boxes of this video"),
    ],
)
def test_another_form_is_refused(given: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        corners(given)


def test_our_own_boxes_come_back() -> None:
    pose = pose_of([person(100, 120), person(200, 120)], [None, person(210, 120)])
    back = from_boxes(to_boxes(pose), 2, pose.width, pose.height)
    assert [len(boxes) for boxes in back] == [2, 1]
    assert np.abs(back[0] - pose.boxes(0)).max() < 2


def test_a_mask_is_the_box_around_it() -> None:
    mask = torch.zeros(2, 30, 40)
    mask[0, 5:12, 20:31] = 0.5
    mask[0, 25, 2] = 0.4
    first, second = around_mask(mask, 2, 40, 30)
    assert first.tolist() == [[20, 5, 31, 12]] and second.shape == (0, 4)
    assert [boxes.tolist() for boxes in around_mask(mask[:1], 3, 40, 30)] == [first.tolist()] * 3


@pytest.mark.parametrize("shape", [(3, 30, 40), (1, 40, 30)])
def test_a_mask_of_another_video_is_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"mask is \d of \d+x\d+, video 2 frames of 40x30\. Connect the mask"):
        around_mask(torch.zeros(shape), 2, 40, 30)


class Middles:
    """Says that all points of whoever is in a box are in its middle, if it is wide enough to hold somebody."""

    def points(self, image: Tensor, boxes: np.ndarray, *, hands: bool, face: bool) -> np.ndarray:
        points = np.zeros((len(boxes), 133, 3))
        points[..., :2] = ((boxes[:, :2] + boxes[:, 2:]) / 2)[:, None]
        points[..., 2] = (boxes[:, 2] - boxes[:, 0] > 5)[:, None]
        return points


LEFT, RIGHT, SMALL = (10.0, 10.0, 30.0, 50.0), (60.0, 10.0, 90.0, 60.0), (40.0, 10.0, 43.0, 20.0)
People = list[tuple[float, float, float, float]]


def followed(*frames: People, **search: Any) -> Pose:
    given = [np.array(boxes).reshape(-1, 4) for boxes in frames]
    pictures = [np.zeros((100, 100, 3), np.uint8)] * len(frames)
    return detect_in_boxes(Middles(), pictures, lambda number, _: given[number], PersonSearch(**search), 30.0)


def places(pose: Pose) -> list[list[float]]:
    return pose.points[..., 0, 0].T.tolist()


def test_boxes_in_any_order_stay_with_their_people() -> None:
    pose = followed([LEFT, RIGHT], [RIGHT, LEFT], [LEFT], [LEFT, RIGHT], people=2)
    assert places(pose) == [[75, 75, 0, 75], [20, 20, 20, 20]]
    assert pose.states.T.tolist() == [[FOUND, FOUND, MISSING, FOUND], [FOUND] * 4]


@pytest.mark.parametrize(
    ("search", "first"),
    [
        ({}, 75),
        ({"pick": LEFT_TO_RIGHT}, 20),
        ({"pick": LEFT_TO_RIGHT, "skip": 1}, 75),
        ({"pick": POINT, "point": (0.2, 0.2)}, 20),
    ],
)
def test_the_pick_says_whose_box_it_is(search: dict[str, Any], first: float) -> None:
    assert places(followed([LEFT, RIGHT], [RIGHT, LEFT], **search)) == [[first, first]]


def test_everybody_with_a_box_is_seen() -> None:
    assert followed([LEFT], [LEFT, RIGHT], []).seen == 2


def test_somebody_who_jumps_is_still_the_same() -> None:
    moved = (70.0, 40.0, 95.0, 90.0)
    pose = followed([LEFT, RIGHT], [LEFT, moved], people=2)
    assert places(pose) == [[75, 82.5], [20, 20]]


def test_somebody_lost_is_whoever_is_nearest_to_where_they_were() -> None:
    near = (15.0, 55.0, 30.0, 80.0)
    pose = followed([LEFT], [], [RIGHT, near], [near, RIGHT])
    assert places(pose) == [[20, 0, 22.5, 22.5]]


def test_who_stands_before_somebody_is_told_by_their_size() -> None:
    child, adult = (45.0, 45.0, 55.0, 65.0), (35.0, 10.0, 65.0, 90.0)
    pose = followed([adult, child], [(45.0, 40.5, 55.0, 60.5), (34.0, 20.0, 66.0, 90.0)], people=2)
    assert pose.points[:, :, 0, 1].T.tolist() == [[50, 55], [55, 50.5]]


def test_a_box_without_anybody_is_nobody() -> None:
    pose = followed([SMALL], [LEFT], [])
    assert pose.states.T.tolist() == [[MISSING, FOUND, MISSING]]
    assert not pose.points[0].any() and not pose.regions.any()


def test_a_video_without_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="has no frames"):
        followed()


@pytest.mark.live
@pytest.mark.parametrize(
    ("name", "boxes"),
    [
        ("bus.jpg", [(50, 400, 245, 905), (222, 405, 345, 860)]),
        ("zidane.jpg", [(120, 200, 1125, 715), (745, 40, 1140, 715)]),
    ],
)
def test_two_who_overlap_are_each_found_in_their_box(name: str, boxes: list[tuple[int, ...]]) -> None:
    image = torch.from_numpy(picture(name).copy())
    found = EmbeddedPoints(EmbeddedDetector(torch.device("cpu"))).points(
        image, np.array(boxes, float), hands=False, face=False
    )
    assert (found[:, NOSE, 2] >= 0.5).all()
    for points, (left, top, right, bottom) in zip(found, boxes, strict=True):
        assert left < points[NOSE, 0] < right and top < points[NOSE, 1] < bottom
    assert np.linalg.norm(found[0, NOSE, :2] - found[1, NOSE, :2]) > 100


@pytest.mark.live
def test_a_box_of_the_upper_half_finds_all_of_somebody() -> None:
    detector, errors = EmbeddedDetector(torch.device("cpu")), []
    for frame in [frame for number, frame in enumerate(frames()) if number in (60, 80, 150)]:
        image = torch.from_numpy(frame)
        found = detector.find(image)
        assert found is not None
        left, top, right, bottom = found.boxes()[0]
        half = np.array([[left, top, right, (top + bottom) / 2]])
        points = EmbeddedPoints(detector).points(image, half, hands=False, face=False)[0, BODY]
        errors.append(np.linalg.norm(points[:, :2] - found.points[0, OF_BODY, :2], axis=1).mean() / (bottom - top))
    assert np.mean(errors) < 0.15


@pytest.mark.live
def test_nobody_is_found_in_an_empty_box() -> None:
    image = torch.from_numpy(picture("bus.jpg").copy())
    boxes = np.array([(0, 0, 300, 250), (380, 250, 620, 700)], float)
    assert not EmbeddedPoints(EmbeddedDetector(torch.device("cpu"))).points(image, boxes, hands=True, face=True).any()


class TwoGuesses(EmbeddedDetector):
    """Guesses somebody large and somebody small, and sees a body of its size in every region."""

    def guessed(self, image: Tensor, squares: np.ndarray) -> np.ndarray:
        return np.array([(80, 50, 200, 0), (40, 50, 60, 0)], float)

    def look(self, image: Tensor, regions: np.ndarray) -> Bodies:
        return bodies(regions[:, :3].tolist())


def test_of_those_who_may_be_in_a_box_it_is_who_fills_it() -> None:
    network, box = EmbeddedPoints(TwoGuesses(torch.device("cpu"))), np.array([(25, 20, 55, 80)], float)
    points = network.points(torch.zeros(100, 200, 3), box, hands=False, face=False)
    assert points[0, NOSE].tolist() == [25, 20, 1]


def test_onnx_points_of_people_whom_the_embedded_detector_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (60.0, 50.0, 40.0), (300.0, 50.0, 60.0)
    script = [[one, other], [one], [(80.0, 50.0, 40.0), other]]
    monkeypatch.setattr(detect, "open_points", lambda name, device: Middles())
    detector = detect.Detector(Scripted(script), pose_model="any.onnx")  # pyright: ignore[reportArgumentType]
    pictures = [np.full((100, 400, 3), number, np.uint8) for number in range(3)]
    pose = detector.pose(pictures, PersonSearch(people=2), 30.0)
    assert pose.states[0].tolist() == [FOUND, FOUND] and MISSING in pose.states[1]
    assert places(pose) == pose.regions[..., 0].T.tolist()
    assert set(pose.regions[2, :, 0]) >= {80}
