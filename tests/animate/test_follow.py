"""People are followed, lost, found again and told apart; the detector here sees what it is told to."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from wan_duet.animate.detector.mediapipe.body import POINTS, Bodies
from wan_duet.animate.detector.mediapipe.embedded import MOST_TILES, Details, no_details, tiles
from wan_duet.animate.pose import FOUND, MISSING, Pose, counts
from wan_duet.animate.tracker import LEFT_TO_RIGHT, MISSED_FOR, POINT, TILED_EVERY, PersonSearch, detect_people

People = list[tuple[float, float, float]]  # x, y, size


def bodies(people: People) -> Bodies:
    points = np.zeros((len(people), POINTS, 3))
    points[..., 2] = 1
    regions = np.array([(x, y, size, 0.0) for x, y, size in people]).reshape(-1, 4)
    corners = np.array([(-1, -2), (1, 2)]) / 4
    points[:, :, :2] = regions[:, None, :2]
    points[:, :2, :2] += corners * regions[:, 2, None, None]
    return Bodies(points, np.ones(len(people)), np.ones(len(people)), regions, regions, torch.ones(len(people), 8, 8))


@dataclass
class Scripted:
    """Sees in frame t, whose pixels are t, the people of `script[t]`."""

    script: list[People]
    searches: list[tuple[int, bool]] = field(default_factory=list)
    again: list[int] = field(default_factory=list)
    clarity: float = 1.0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def find(self, image: Tensor, *, tiled: bool = False) -> Bodies | None:
        frame = int(image[0, 0, 0])
        self.searches.append((frame, tiled))
        return bodies(self.script[frame]) if self.script[frame] else None

    def find_again(self, image: Tensor, lost: np.ndarray) -> Bodies | None:
        frame = int(image[0, 0, 0])
        self.again.append(frame)
        return bodies(self.script[frame]) if self.script[frame] else None

    def look(self, image: Tensor, regions: np.ndarray) -> Bodies:
        there = self.script[int(image[0, 0, 0])]
        seen = bodies([min(there, key=lambda one: abs(one[0] - x), default=(x, y, s)) for x, y, s, _ in regions])
        near = [any(abs(one[0] - x) < s / 2 for one in there) for x, _, s, _ in regions]
        return Bodies(
            seen.points, np.array(near, float), self.clarity * seen.clarity, seen.regions, seen.following, seen.masks
        )

    def details(self, image: Tensor, found: Bodies, before: Details, **asked: bool) -> Details:
        return no_details(len(found))


def run(script: list[People], **search: Any) -> tuple[Pose, Scripted]:
    detector = Scripted(script)
    frames = (np.full((100, 400, 3), t, np.uint8) for t in range(len(script)))
    return detect_people(detector, frames, PersonSearch(**search), 30.0), detector  # pyright: ignore[reportArgumentType]


LEFT, RIGHT = (60.0, 50.0, 40.0), (300.0, 50.0, 60.0)


def test_somebody_who_stays_is_searched_for_once() -> None:
    pose, detector = run([[LEFT]] * 30)
    assert (pose.states == FOUND).all()
    assert detector.searches == [(0, True)]


def test_somebody_lost_is_looked_for_where_they_were() -> None:
    near = (80.0, 50.0, 40.0)
    pose, detector = run([[LEFT]] * 3 + [[]] * 4 + [[near]] * 3)
    assert pose.states[:, 0].tolist() == [FOUND] * 3 + [MISSING] * 4 + [FOUND] * 3
    assert detector.again == [3, 4, 5, 6, 7] and detector.searches == [(0, True)]
    assert not pose.points[4].any()


def test_nobody_else_is_taken_for_somebody_who_was_there_a_moment_ago() -> None:
    pose, _ = run([[LEFT, RIGHT]] * 3 + [[LEFT]] * MISSED_FOR + [[LEFT, RIGHT]] * 3)
    assert pose.states[:, 0].tolist() == [FOUND] * 3 + [MISSING] * MISSED_FOR + [FOUND] * 3
    assert set(pose.regions[pose.states[:, 0] == FOUND, 0, 0]) == {300}


def test_whoever_is_there_is_followed_when_somebody_is_gone_for_good() -> None:
    pose, _ = run([[LEFT, RIGHT]] * 3 + [[LEFT]] * (MISSED_FOR + 2))
    assert pose.states[:, 0].tolist() == [FOUND] * 3 + [MISSING] * MISSED_FOR + [FOUND] * 2
    assert pose.regions[-1, 0, 0] == 60


def test_nobody_at_all_is_no_error() -> None:
    pose, _ = run([[]] * 5, people=2)
    assert counts(pose).splitlines() == [f"person {n}: found in 0 of 5 frames, filled 0, missing 5" for n in (0, 1)]


def test_a_video_without_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="has no frames"):
        run([])


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ({}, [300]),
        ({"pick": LEFT_TO_RIGHT}, [60]),
        ({"pick": LEFT_TO_RIGHT, "skip": 1}, [300]),
        ({"pick": POINT, "point": (0.1, 0.5)}, [60]),
        ({"pick": POINT, "point": (0.9, 0.5)}, [300]),
        ({"people": 2}, [300, 60]),
        ({"people": 2, "pick": LEFT_TO_RIGHT}, [60, 300]),
    ],
)
def test_the_pick_says_who_is_followed(search: dict[str, Any], expected: list[float]) -> None:
    pose, _ = run([[LEFT, RIGHT]] * 3, **search)
    assert pose.regions[0, :, 0].tolist() == expected


def test_the_report_tells_of_those_who_are_seen_and_not_followed() -> None:
    pose, _ = run([[LEFT, RIGHT]] * 3)
    assert counts(pose, "largest").splitlines()[0] == "2 people seen, 1 followed (largest)"
    pose, _ = run([[]] * 10 + [[LEFT]] * 3, people=2)
    assert counts(pose, "largest").splitlines()[0] == "1 person seen, 1 followed (largest)"


def test_two_people_keep_their_places_when_one_leaves_and_comes_back() -> None:
    both, one = [LEFT, RIGHT], [LEFT]
    pose, detector = run([both] * 3 + [one] * 12 + [both] * 12, people=2)
    assert pose.states[:, 1].tolist() == [FOUND] * 27
    assert pose.states[3:15, 0].tolist() == [MISSING] * 12
    assert pose.regions[-1, :, 0].tolist() == [300, 60]
    assert all(tiled and frame % TILED_EVERY == 0 for frame, tiled in detector.searches)


def test_one_of_two_who_is_lost_is_found_again_before_the_next_search_of_the_whole_image() -> None:
    jumped = (310.0, 50.0, 60.0)
    pose, detector = run([[LEFT, RIGHT]] * 3 + [[LEFT]] * 2 + [[LEFT, jumped]] * 4, people=2)
    assert pose.states[:, 0].tolist() == [FOUND] * 3 + [MISSING] * 2 + [FOUND] * 4
    assert pose.regions[-1, :, 0].tolist() == [310, 60]
    assert detector.searches == [(0, True)]


@pytest.mark.parametrize(("clarity", "again"), [(0.9, []), (0.3, [1, 2, 3])])
def test_somebody_without_clear_joints_is_looked_for_anew(clarity: float, again: list[int]) -> None:
    detector = Scripted([[LEFT]] * 4, clarity=clarity)
    frames = (np.full((100, 400, 3), t, np.uint8) for t in range(4))
    detect_people(detector, frames, PersonSearch(), 30.0)  # pyright: ignore[reportArgumentType]
    assert detector.again == again


def test_two_that_follow_the_same_person_become_one() -> None:
    near = (75.0, 50.0, 40.0)
    pose, _ = run([[LEFT, (160.0, 50.0, 40.0)]] * 2 + [[LEFT, (100.0, 50.0, 40.0)]] * 2 + [[near]] * 4, people=2)
    assert (pose.states[-1] == FOUND).sum() == 1


@pytest.mark.parametrize(("width", "height"), [(640, 360), (360, 640), (100, 100), (1000, 90)])
def test_tiles_cover_the_whole_image(width: int, height: int) -> None:
    covered = np.zeros((height, width), bool)
    for x, y, side, _ in tiles(width, height):
        assert round(x - side / 2) >= 0 and round(x + side / 2) <= width
        covered[round(y - side / 2) : round(y + side / 2), round(x - side / 2) : round(x + side / 2)] = True
    assert covered.all()


@pytest.mark.parametrize(("width", "height"), [(1000, 3), (3, 1000), (20_000, 40), (8, 8)])
def test_no_tiles_are_laid_where_nobody_could_be_made_out(width: int, height: int) -> None:
    assert tiles(width, height).shape == (0, 4)


def test_however_wide_an_image_is_there_are_few_tiles() -> None:
    assert max(len(tiles(width, 64)) for width in range(64, 64 * 300, 64)) <= 2 * MOST_TILES
