"""Trembling points are smoothed as Savitzky and Golay do, and short gaps are closed."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import savgol_filter
from wan_duet.animate.pose import FILLED, FOUND, MISSING, Pose, counts
from wan_duet.animate.smooth import REACH, close_gaps, smooth
from wan_duet.tests.animate.people import person, pose_of


def trembling(frames: int, seed: int = 0) -> Pose:
    noise = np.random.default_rng(seed)
    return pose_of(*([person(100 + 2 * t, 120) + np.append(noise.normal(0, 2, 2), 0)] for t in range(frames)))


@pytest.mark.parametrize("strength", ["light", "strong"])
def test_where_every_score_is_the_same_it_is_savitzky_and_golay_s_filter(strength: str) -> None:
    pose, reach = trembling(30), REACH[strength]
    wanted = savgol_filter(pose.points[..., :2], 2 * reach + 1, 2, axis=0)
    found = smooth(pose, strength).points[..., :2]
    assert np.allclose(found[reach:-reach], wanted[reach:-reach], atol=1e-3)


def test_smoothing_calms_and_keeps_the_scores() -> None:
    pose = trembling(40)
    calm = smooth(pose, "strong")
    before, after = (np.abs(np.diff(p.points[..., :2], n=2, axis=0)).mean() for p in (pose, calm))
    assert after < before / 3
    assert np.array_equal(calm.points[..., 2], pose.points[..., 2])
    assert smooth(pose, "off") is pose


@pytest.mark.parametrize("strength", ["light", "strong"])
def test_nothing_is_smoothed_across_a_cut(strength: str) -> None:
    before, after = trembling(12), trembling(12, seed=1)
    after.points[..., :2] += (120, 40)
    both = replace(before, points=np.concatenate([before.points, after.points]), states=np.tile(before.states, (2, 1)))
    wanted = np.concatenate([smooth(part, strength).points for part in (before, after)])
    assert np.allclose(smooth(both, strength).points, wanted, atol=1e-3)


@pytest.mark.parametrize("joints", [1, 17])
def test_somebody_who_runs_is_smoothed(joints: int) -> None:
    pose = trembling(20)
    pose.points[:, :, joints:] = 0
    pose.points[:, :, :joints, 0] += 50 * np.arange(20)[:, None, None]
    wanted = savgol_filter(pose.points[..., :2], 5, 2, axis=0)
    assert np.allclose(smooth(pose, "light").points[2:-2, ..., :2], wanted[2:-2], atol=1e-2)


def test_a_frame_without_the_person_neither_counts_nor_appears() -> None:
    frames: list[list[np.ndarray | None]] = [[person(100 + 2 * t, 120)] for t in range(12)]
    frames[6] = [None]
    calm = smooth(pose_of(*frames), "light")
    assert not calm.points[6].any()
    assert calm.points[4, 0, 0, 0] == pytest.approx(108, abs=1e-3)


def test_a_short_gap_is_closed_on_a_straight_line_and_a_long_one_stays() -> None:
    frames: list[list[np.ndarray | None]] = [[person(100 + 2 * t, 120)] for t in range(20)]
    frames[3:5] = [[None]] * 2
    frames[8:14] = [[None]] * 6
    whole = close_gaps(pose_of(*frames), 3)
    assert [t for t in range(20) if whole.states[t, 0] == FILLED] == [3, 4]
    assert whole.states[8:14, 0].tolist() == [MISSING] * 6
    assert whole.points[3, 0, 0] == pytest.approx(person(106, 120)[0], abs=1e-3)
    assert whole.regions[3, 0].tolist() == [100, 100, 200, 0]
    assert counts(whole) == "person 0: found in 12 of 20 frames, filled 2, missing 6"


@pytest.mark.parametrize(("gap", "state"), [(3, FILLED), (4, MISSING)])
def test_a_gap_of_the_longest_length_is_closed_and_one_frame_more_is_not(gap: int, state: int) -> None:
    whole = close_gaps(pose_of([person(100, 120)], *[[None]] * gap, [person(110, 120)]), 3)
    assert whole.states[1:-1, 0].tolist() == [state] * gap


def test_a_hand_seen_at_one_end_of_a_gap_only_is_not_invented() -> None:
    first, last = person(100, 120), person(106, 120)
    last[91:112] = 0
    whole = close_gaps(pose_of([first], [None], [last]), 5)
    assert whole.states[1, 0] == FILLED
    assert not whole.points[1, 0, 91:112].any()
    assert whole.points[1, 0, 112, 2] == pytest.approx(0.9)


def test_nobody_stays_nobody() -> None:
    empty = pose_of([None], [None], [None])
    assert not smooth(close_gaps(empty, 5), "strong").points.any()
    assert (empty.states == FOUND).sum() == 0
