"""Poses go to other nodes and back, and from one body to another."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wan_duet.animate.draw import LIMBS, joints
from wan_duet.animate.openpose import from_keypoints, to_keypoints
from wan_duet.animate.pose import FOUND, MISSING, counts
from wan_duet.animate.retarget import retarget
from wan_duet.tests.animate.people import person, pose_of

SEEDS = st.integers(0, 2**32 - 1)
MANY = settings(max_examples=40, deadline=None)
CANVAS: dict[str, Any] = {"canvas_width": 320, "canvas_height": 240}


def angles(body: np.ndarray) -> np.ndarray:
    ends = np.array([body[b, :2] - body[a, :2] for a, b in LIMBS])
    return np.arctan2(ends[:, 1], ends[:, 0])


def lengths(body: np.ndarray) -> np.ndarray:
    return np.array([np.linalg.norm(body[b, :2] - body[a, :2]) for a, b in LIMBS])


def walking(frames: int = 4) -> list[list[np.ndarray | None]]:
    made: list[list[np.ndarray | None]] = []
    for t in range(frames):
        somebody = person(100 + 5 * t, 120)
        somebody[[9, 15], 0] += 3 * t
        made.append([somebody])
    return made


def test_keypoints_go_out_in_pixels_and_come_back() -> None:
    pose = pose_of([person(100, 120), person(200, 120)], [None, person(210, 120)])
    keypoints = to_keypoints(pose)
    assert [len(frame["people"]) for frame in keypoints] == [2, 1]
    assert [len(keypoints[0]["people"][0][part]) for part in sorted(keypoints[0]["people"][0])] == [210, 18, 63, 63, 54]
    back = from_keypoints(keypoints, 30.0)
    assert (back.width, back.height) == (320, 240)
    assert np.allclose(back.points[0], pose.points[0], atol=1e-3)
    assert back.states.tolist() == [[FOUND, FOUND], [FOUND, MISSING]]


def test_keypoints_in_shares_of_the_canvas_are_known() -> None:
    keypoints = to_keypoints(pose_of([person(100, 120)]))
    for part in keypoints[0]["people"][0].values():
        part[::3], part[1::3] = [x / 320 for x in part[::3]], [y / 240 for y in part[1::3]]
    assert np.allclose(from_keypoints(keypoints, 30.0).points[0, 0], person(100, 120), atol=1e-3)


@pytest.mark.parametrize(
    ("body", "said"), [([0.5] * 75, "somebody of 25 joints"), ([0.5] * 50, "50 numbers, which are no points")]
)
def test_keypoints_of_another_form_are_refused(body: list[float], said: str) -> None:
    frame = {"canvas_width": 320, "canvas_height": 240, "people": [{"pose_keypoints_2d": body}]}
    with pytest.raises(ValueError, match=f"keypoints has {said}.*OpenPose's 18 joints"):
        from_keypoints([frame], 30.0)


@pytest.mark.parametrize(
    ("keypoints", "said"),
    [
        (5, "is 5"),
        ([[1, 2]], r"is \[\[1, 2\]\]"),
        ([CANVAS | {"people": 5}], "has people 5"),
        ([CANVAS | {"people": [5]}], r"has people \[5\]"),
        ([CANVAS | {"people": [{"pose_keypoints_2d": 5}]}], "has 1 numbers"),
        ([CANVAS | {"people": [{"pose_keypoints_2d": ["a"] * 54}]}], r"has points \['a'"),
        ([{"canvas_width": "a", "canvas_height": 9, "people": []}], "has a frame of ax9"),
        ([{"canvas_width": np.nan, "canvas_height": 9, "people": []}], "has a frame of nanx9"),
    ],
)
def test_what_is_no_keypoints_is_refused_by_name(keypoints: Any, said: str) -> None:
    with pytest.raises(ValueError, match=f"^keypoints {said}.* Connect a POSE_KEYPOINT"):
        from_keypoints(keypoints, 30.0)


@pytest.mark.parametrize("place", [None, np.nan, np.inf, 1e9, -1e9])
def test_points_that_are_nowhere_near_the_picture_are_none(place: float | None) -> None:
    body = to_keypoints(pose_of([person(100, 120)]))[0]["people"][0]["pose_keypoints_2d"]
    body[3 * 4] = place  # the right wrist
    pose = from_keypoints([CANVAS | {"people": [{"pose_keypoints_2d": body}]}], 30.0)
    assert not pose.points[0, 0, 10].any()
    assert np.allclose(pose.points[0, 0, :10], person(100, 120)[:10], atol=1e-3)


def test_keypoints_of_nobody_at_all_have_one_person_who_is_missing() -> None:
    pose = from_keypoints([CANVAS | {"people": []}] * 2, 30.0)
    assert counts(pose) == "person 0: found in 0 of 2 frames, filled 0, missing 2"
    assert pose.boxes(0).tolist() == [[0, 0, 0, 0]]


def test_keypoints_of_a_body_alone_or_of_nobody_are_no_error() -> None:
    body = to_keypoints(pose_of([person(100, 120)]))[0]["people"][0]["pose_keypoints_2d"]
    people = [{"pose_keypoints_2d": body, "face_keypoints_2d": None}]
    pose = from_keypoints([CANVAS | {"people": people}, CANVAS | {"people": []}], 30.0)
    assert pose.states[:, 0].tolist() == [FOUND, MISSING]
    assert np.allclose(pose.points[0, 0, :17], person(100, 120)[:17], atol=1e-3)


@pytest.mark.parametrize(
    "keypoints",
    [
        *([], [{"people": []}]),
        *([{"canvas_width": width, "canvas_height": 9, "people": []}] for width in (0, -4, 10**9, math.nan)),
    ],
    ids=str,
)
def test_keypoints_without_frames_or_canvas_are_refused(keypoints: list) -> None:
    with pytest.raises(ValueError, match="keypoints has"):
        from_keypoints(keypoints, 30.0)


def dancing(seed: int, frames: int = 4) -> list[list[np.ndarray | None]]:
    """Somebody whose every point goes its own way."""
    random = np.random.default_rng(seed)
    made: list[list[np.ndarray | None]] = []
    for _ in range(frames):
        somebody = person(*random.uniform(60, 200, 2), size=random.uniform(0.5, 1.5))
        somebody[:, :2] += random.normal(0, 4, (133, 2))
        made.append([somebody])
    return made


@MANY
@given(seed=SEEDS)
def test_the_same_body_gives_the_same_motion(seed: int) -> None:
    pose = pose_of(*dancing(seed))
    made = retarget(pose, pose_of(dancing(seed)[0]))
    assert np.abs(made.points[..., :2] - pose.points[..., :2]).max() < 0.05


@MANY
@given(seed=SEEDS, size=st.floats(0.3, 3))
def test_a_body_that_is_larger_as_a_whole_gives_a_larger_motion(seed: int, size: float) -> None:
    pose = pose_of(*dancing(seed))
    larger = pose.points[0, 0] * (size, size, 1) + (30, -20, 0)
    made = retarget(pose, pose_of([larger], width=900, height=700))
    assert np.abs(made.points[..., :2] - (pose.points[..., :2] * size + (30, -20))).max() < 0.05


@MANY
@given(seed=SEEDS, other=SEEDS)
def test_every_limb_keeps_its_angle_whatever_the_body(seed: int, other: int) -> None:
    pose = pose_of(*dancing(seed))
    made = retarget(pose, pose_of(dancing(other)[0]))
    for before, after in zip(pose.points[:, 0], made.points[:, 0], strict=True):
        old, new = (np.array([joints(p)[b, :2] - joints(p)[a, :2] for a, b in LIMBS]) for p in (before, after))
        along = (old * new).sum(1) / np.maximum(np.linalg.norm(old, axis=1), 1e-6)
        assert np.abs(along - np.linalg.norm(new, axis=1)).max() < 0.05


@pytest.mark.parametrize("size", [0.5, 2.0])
def test_a_body_of_another_size_keeps_its_angles_and_gets_its_limbs(size: float) -> None:
    pose = pose_of(*walking())
    made = retarget(pose, pose_of([person(300, 260, size)], width=640, height=480))
    assert (made.width, made.height) == (640, 480)
    for before, after in zip(pose.points[:, 0], made.points[:, 0], strict=True):
        assert np.allclose(lengths(joints(after)), size * lengths(joints(before)), atol=0.05)
        turned = angles(joints(after)) - angles(joints(before))
        assert np.abs(np.sin(turned)).max() < 1e-3
    assert joints(made.points[0, 0])[8, 0] == pytest.approx(300 - 12 * size, abs=0.5)


def test_long_legs_make_long_legs_and_leave_the_arms() -> None:
    tall = person(100, 120)
    tall[13:23, 1] += 40
    tall[15:23, 1] += 40
    before, after = joints(person(100, 120)), joints(retarget(pose_of(*walking()), pose_of([tall])).points[0, 0])
    ratio = lengths(after) / lengths(before)
    assert ratio[[7, 8, 10, 11]].min() > 1.8
    assert ratio[[2, 3, 4, 5]] == pytest.approx(1, abs=0.01)


def test_feet_go_with_their_own_leg() -> None:
    tall = person(100, 120)
    tall[13:23, 1] += 80
    before, after = person(100, 120), retarget(pose_of([person(100, 120)]), pose_of([tall])).points[0, 0]
    for foot, ankle in ((range(17, 20), 15), (range(20, 23), 16)):
        apart = [np.linalg.norm(body[list(foot), :2] - body[ankle, :2], axis=1) for body in (before, after)]
        assert apart[1] == pytest.approx(apart[0], abs=0.01)


def test_an_arm_that_points_at_the_camera_at_first_is_not_drawn_out_of_all_proportion() -> None:
    frames = walking()
    pointing = frames[0][0]
    assert pointing is not None
    pointing[9, :2] = pointing[7, :2] + 1
    made = retarget(pose_of(*frames), pose_of([person(100, 120)])).points[:, 0]
    assert np.linalg.norm(made[1:, 9, :2] - made[1:, 7, :2], axis=1).max() < 110  # of 30


def test_what_the_reference_does_not_show_is_not_drawn() -> None:
    half = person(100, 120)
    half[13:23, 2] = 0.1
    made = retarget(pose_of(*walking()), pose_of([half]))
    seen = joints(made.points[0, 0])[:, 2] >= 0.5
    assert not seen[[9, 10, 12, 13, 18, 19]].any() and seen[:9].all()


@pytest.mark.parametrize(
    ("lost", "hang"), [(7, [9, *range(91, 112)]), (5, []), (6, []), (13, [15, 17, 18, 19]), (0, [])]
)
def test_a_joint_that_a_frame_does_not_show_leaves_the_rest_where_it_is(lost: int, hang: list[int]) -> None:
    whole, tall = person(1600, 900), person(100, 120, 0.5)
    tall[[7, 9, *range(91, 112)], :2] += (10, 20)
    tall[13:23, 1] += 40
    part = whole.copy()
    part[lost] = 0
    reference = pose_of([tall])
    shown, made = retarget(pose_of([whole], [whole], [part]), reference).points[1:, 0]
    others = np.setdiff1d(np.flatnonzero(part[:, 2]), hang)
    moved = np.linalg.norm(made[:, :2] - shown[:, :2], axis=1)
    assert moved[[*others, *hang]].max() < 60
    (only,) = retarget(pose_of([part]), reference).points[:, 0]
    assert np.linalg.norm(only[:, :2] - shown[:, :2], axis=1)[others].max() < 60


def test_a_reference_of_legs_alone_gives_the_motion_its_size() -> None:
    legs = person(100, 120, 0.5)
    legs[:11] = 0
    made = retarget(pose_of([person(100, 120)], [person(160, 120)]), pose_of([legs])).points[:, 0]
    assert np.abs(made[1, 11:17, :2] - made[0, 11:17, :2] - (30, 0)).max() < 0.5


def test_a_reference_without_a_limb_of_the_pose_is_refused() -> None:
    wrist = person(100, 120)
    wrist[np.arange(133) != 9] = 0
    with pytest.raises(ValueError, match="reference shows no limb that pose shows"):
        retarget(pose_of(*walking()), pose_of([wrist]))


def test_a_frame_without_anybody_stays_so_and_nobody_at_all_is_refused() -> None:
    frames = walking()
    frames[2] = [None]
    made = retarget(pose_of(*frames), pose_of([person(100, 120)]))
    assert not made.points[2].any() and made.states[2, 0] == MISSING
    with pytest.raises(ValueError, match="reference shows its first person in no frame"):
        retarget(pose_of(*frames), pose_of([None]))
    with pytest.raises(ValueError, match="pose shows its first person in no frame"):
        retarget(pose_of([None, person(100, 120)]), pose_of(*frames))
