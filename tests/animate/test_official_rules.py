"""Frames are chosen, sizes picked and motions given to other bodies as Wan's official preprocessing does it.

Where its rule is not sound ours differs, and the tests say how.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from wan_duet.animate.draw import joints
from wan_duet.animate.pose import HANDS
from wan_duet.animate.retarget import retarget
from wan_duet.conditioning.resample import resample
from wan_duet.conditioning.sizes import AUTO, TRAINED, choose_size
from wan_duet.tests.animate.people import person, pose_of

STORED = Path(__file__).parents[1] / "data" / "official_rules.json"
REGENERATE = "WAN_DUET_REGENERATE" in os.environ
Official = Callable[[str, np.ndarray, np.ndarray], list[np.ndarray]]

FPS = 30.0
CLIPS = ((230, 30.0), (120, 25.0), (100, 24.0), (90, 29.97), (50, 60.0), (17, 16.0), (90, 50.0))  # frames, a second
SHAPES = (
    *((1920, 1080), (1080, 1920), (1280, 720), (720, 1280), (512, 512), (640, 480)),
    *((1768, 994), (810, 1080), (854, 480), (1440, 1080), (2560, 1080)),
)
CANVASES = (320, 240, 640, 480)  # of the motion and of the body
TOES = 18  # the first of both
BODIES = (person(300, 260, 1.7), person(250, 200, 0.6), person(320, 240, 1.2))


def official_answers(official: Official) -> dict[str, list]:
    """What the official code says of everything that is compared here."""
    areas = [(shape, width * height) for width, height in TRAINED.values() for shape in SHAPES]
    shapes, pixels = zip(*areas, strict=True)
    moved = [np.array([*motion(), body]) for body in BODIES]
    answers = {
        "frames": official("frames", np.array(CLIPS), np.full((len(CLIPS), 1), FPS)),
        "size": official("size", np.array(shapes), np.array(pixels)[:, None]),
        "retarget": official("retarget", np.array(moved), np.array([CANVASES] * len(moved))),
    }
    return {name: [answer.round(1).tolist() for answer in found] for name, found in answers.items()}


def motion(frames: int = 4) -> list[np.ndarray]:
    """Somebody who walks to the right and swings their limbs, hands at their wrists."""
    made = []
    for t in range(frames):
        somebody = person(150 + 6 * t, 120)
        swing = np.sin(0.9 * t + np.arange(23))[:, None] * (5, 3)
        somebody[:23, :2] += swing
        for hand, wrist in zip(HANDS, (9, 10), strict=True):
            somebody[hand, :2] += swing[wrist]
        made.append(somebody)
    return made


def stored(name: str) -> list[np.ndarray]:
    return [np.array(answer) for answer in json.loads(STORED.read_text(encoding="utf-8"))[name]]


@pytest.mark.parametrize("clip", range(len(CLIPS)))
def test_the_same_frames_are_chosen(clip: int) -> None:
    """But for moments midway between two frames, of which either is right, and the last frame: once, not twice."""
    (count, fps), theirs = CLIPS[clip], stored("frames")[clip]
    ours = np.array(resample(count, fps, FPS))
    moments = np.arange(len(ours)) * fps / FPS
    midway = np.isclose(moments % 1, 0.5)
    assert np.array_equal(ours[~midway], theirs[: len(ours)][~midway])
    assert np.abs(ours - theirs[: len(ours)]).max() <= 1
    assert (theirs[len(ours) :] == count - 1).all()


def test_the_same_size_is_picked() -> None:
    ours = [choose_size(resolution, AUTO, shape)[:2] for resolution in TRAINED for shape in SHAPES]
    assert np.array_equal(ours, stored("size"))


@pytest.mark.parametrize("body", range(len(BODIES)))
def test_a_motion_for_another_body_is_the_same_but_for_where_it_stands(body: int) -> None:
    """The official body has its ankles where the reference has the middle of its feet: even its own motion moves down.

    It also shortens feet to half a calf, however near to the camera they are; ours keep the reference's.
    """
    reference = pose_of([BODIES[body]], width=CANVASES[2], height=CANVASES[3])
    made = retarget(pose_of(*([somebody] for somebody in motion())), reference).points[:, 0]
    theirs = stored("retarget")[body]
    ours = np.array([joints(points)[:, :2] for points in made])
    moved = (ours[:, :TOES] - theirs[:, :TOES]).mean((0, 1))
    assert abs(moved[0]) < 2
    assert np.abs(ours[:, :TOES] - theirs[:, :TOES] - moved).max() < 2
    for toe, ankle in ((18, 13), (19, 10)):
        (across, along), (their_across, their_along) = ((p[:, toe] - p[:, ankle]).T for p in (ours, theirs))
        turned = np.arctan2(along, across) - np.arctan2(their_along, their_across)
        assert np.abs(np.sin(turned)).max() < 0.1
        assert (np.hypot(across, along) > np.hypot(their_across, their_along) - 2).all()
    hands = np.concatenate([theirs[:, 41:], theirs[:, 20:41]], 1)  # its names of both sides are exchanged
    assert np.abs(made[:, HANDS[0].start :, :2] - hands - moved).max() < 5  # it cuts them to whole pixels twice


@pytest.mark.live
def test_the_stored_answers_are_the_official_ones(official: Official) -> None:
    answers = official_answers(official)
    if REGENERATE:
        lines = (
            f" {json.dumps(name)}: {json.dumps(answer, separators=(',', ':'))}" for name, answer in answers.items()
        )
        STORED.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    for name, answer in answers.items():
        for live, kept in zip(answer, stored(name), strict=True):
            assert np.allclose(live, kept, atol=0.2)
