"""Left and right that change places for a few frames are put back, and nothing else is."""

import json
from pathlib import Path

import numpy as np
import pytest
from wan_duet.animate.left_right import BRIEF, OTHER_SIDE, fix_left_right
from wan_duet.animate.pose import FACE, Pose
from wan_duet.tests.animate.people import person, pose_of

STORED = Path(__file__).parents[1] / "data" / "mirrored_body.json"  # what the detector saw of a man against the sun
WRISTS = (9, 10)


def walking(frames: int = 30) -> Pose:
    return pose_of(*([person(100 + 2 * t, 120)] for t in range(frames)))


def exchanged(pose: Pose, start: int, end: int) -> Pose:
    pose.points[start:end] = pose.points[start:end][:, :, OTHER_SIDE]
    return pose


@pytest.mark.parametrize("frames", [1, 2, BRIEF])
def test_sides_exchanged_for_a_few_frames_are_put_back(frames: int) -> None:
    twisted = exchanged(walking(), 10, 10 + frames)
    assert not np.array_equal(twisted.points, walking().points)
    assert np.array_equal(fix_left_right(twisted).points, walking().points)


def test_two_times_in_one_video_and_one_of_two_people() -> None:
    def both() -> Pose:
        return pose_of(*([person(100 + 2 * t, 120), person(200, 120)] for t in range(30)))

    twisted = both()
    for start in (5, 20):
        twisted.points[start : start + 3, 1] = twisted.points[start : start + 3, 1][:, OTHER_SIDE]
    assert np.array_equal(fix_left_right(twisted).points, both().points)


@pytest.mark.parametrize(("start", "end"), [(10, 10 + BRIEF + 1), (10, 30), (0, 4)])
def test_sides_that_stay_exchanged_stay(start: int, end: int) -> None:
    twisted = exchanged(walking(), start, end)
    assert np.array_equal(fix_left_right(twisted).points, twisted.points)


def test_somebody_who_turns_round_is_left_alone() -> None:
    frames = []
    for turn in np.linspace(0, 4 * np.pi, 60):
        somebody = person(0, 0)
        somebody[:, 0] = somebody[:, 0] * np.cos(turn) + 160
        frames.append([somebody])
    assert np.array_equal(fix_left_right(pose_of(*frames)).points, pose_of(*frames).points)


def test_somebody_who_runs_past_in_profile_is_left_alone() -> None:
    frames = []
    for t in range(60):
        somebody = person(0, 0)
        somebody[:, 0] = somebody[:, 0] * 0.05 + 60 + 3 * t
        swing = 35 * np.sin(2 * np.pi * t / 14)
        for (left, right), share in {(9, 10): 0.8, (7, 8): 0.4, (13, 14): 0.5, (15, 16): 1.0}.items():
            somebody[left, 0] += share * swing
            somebody[right, 0] -= share * swing
        frames.append([somebody])
    assert np.array_equal(fix_left_right(pose_of(*frames)).points, pose_of(*frames).points)


def test_somebody_who_is_lost_in_between_is_left_alone() -> None:
    frames: list[list[np.ndarray | None]] = [[person(100, 120)] for _ in range(9)]
    frames[3] = [None]
    twisted = exchanged(pose_of(*frames), 4, 6)
    assert np.array_equal(fix_left_right(twisted).points, twisted.points)


def test_feet_and_hands_change_sides_too_and_the_face_does_not() -> None:
    assert sorted(OTHER_SIDE) == list(range(133))
    assert OTHER_SIDE[[17, 22, 91, 132]].tolist() == [20, 19, 112, 111]
    assert np.array_equal(OTHER_SIDE[FACE], np.arange(FACE.start, FACE.stop))


def test_a_man_against_the_sun_keeps_his_sides() -> None:
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    seen = np.zeros((len(stored["frames"]), 1, 133, 3), np.float32)
    seen[:, 0, :23] = stored["points"]
    kept = fix_left_right(
        Pose(seen, np.ones(seen.shape[:2], np.uint8), np.zeros((*seen.shape[:2], 4)), 1120, 1120, 30.0)
    )
    follow_on = np.diff(stored["frames"]) == 1
    before, after = (
        np.abs(np.diff(pose[:, 0, WRISTS, :2], axis=0)).max((1, 2))[follow_on] for pose in (seen, kept.points)
    )
    assert (before > 300).sum() == 4
    assert after.max() < 150
