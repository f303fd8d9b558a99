"""Real people, found and followed; the pictures and what is compared come from the live environments."""

import json
from collections.abc import Iterator
from functools import cache

import av
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from wan_duet.animate.detector.mediapipe.body import Bodies
from wan_duet.animate.detector.mediapipe.embedded import EmbeddedDetector
from wan_duet.animate.person_mask import mask_of
from wan_duet.animate.pose import FACE, FOUND, HANDS, MISSING, Pose
from wan_duet.animate.smooth import close_gaps
from wan_duet.animate.tracker import PersonSearch, PersonTracker, detect_people
from wan_duet.tests.animate.conftest import in_environment, live_folder, picture

pytestmark = pytest.mark.live

FRAMES = 230
KEY_FRAMES = (60, 80, 120, 140)
LEFT, TOP, SIDE, TIMES = 340, 0, 560, 2  # where the first man jumps, enlarged until his hands are large
JUMPING = 150
TORSO = [11, 12, 23, 24]
NOBODY = (
    *("brick.png", "chelsea.png", "coffee.png", "coins.png", "grass.png", "gravel.png", "hubble_deep_field.jpg"),
    *("ihc.png", "moon.png", "page.png", "retina.jpg", "rocket.jpg", "text.png", "clock_motion.png"),
    *("motorcycle_left.png", "motorcycle_right.png"),
)


@pytest.fixture(scope="module")
def detector() -> EmbeddedDetector:
    return EmbeddedDetector(torch.device("cpu"))


@cache
def video() -> str:
    (path,) = (live_folder() / "people").rglob("demo.mp4")
    return str(path)


def frames() -> Iterator[np.ndarray]:
    with av.open(video()) as container:
        yield from (frame.to_ndarray(format="rgb24") for frame in container.decode(video=0))


def enlarged() -> Iterator[np.ndarray]:
    for frame, _ in zip(frames(), range(JUMPING), strict=False):
        square = torch.from_numpy(frame[TOP : TOP + SIDE, LEFT : LEFT + SIDE].copy()).permute(2, 0, 1)[None].float()
        larger = F.interpolate(square, scale_factor=TIMES, mode="bilinear")
        yield larger.round().byte()[0].permute(1, 2, 0).numpy()


def test_a_walking_man_is_followed_and_his_mask_holds_his_torso(detector: EmbeddedDetector) -> None:
    inside: list[bool] = []

    def look(image: torch.Tensor, who: list[int], seen: Bodies | None) -> None:
        if seen is not None:
            height, width = image.shape[:2]
            mask = mask_of(seen, height, width).numpy() > 0.5
            columns, rows = seen.points[0, TORSO, :2].round().astype(int).T
            inside.extend(mask[rows.clip(0, height - 1), columns.clip(0, width - 1)].tolist())

    pose = detect_people(detector, frames(), PersonSearch(hands=False, face=False), 30.0, look)
    assert len(pose) == FRAMES
    assert (close_gaps(pose, 5).states != MISSING).sum() >= 220
    assert np.abs(np.diff(pose.regions[pose.states[:, 0] == FOUND, 0, :2], axis=0)).max() < 250  # always the same man
    assert np.mean(inside) >= 0.98


def test_two_men_are_found_with_tiles(detector: EmbeddedDetector) -> None:
    for number, frame in enumerate(frames()):
        if number in KEY_FRAMES:
            found = detector.find(torch.from_numpy(frame), tiled=True)
            assert found is not None and len(found) == 2, number


@pytest.mark.parametrize("name", ["astronaut.png", "bus.jpg", "zidane.jpg", "camera.png", "grace_hopper.jpg"])
def test_a_photographed_person_has_a_body_a_mask_and_a_face(detector: EmbeddedDetector, name: str) -> None:
    image = picture(name)
    pose = detect_people(detector, [image], PersonSearch(), 1.0)
    assert pose.states[0, 0] == FOUND
    follower = PersonTracker(detector, PersonSearch())
    _, seen = follower.next(torch.from_numpy(image))
    assert seen is not None
    mask = mask_of(seen, *image.shape[:2]).numpy() > 0.5
    shoulders = seen.points[0, [11, 12], :2].round().astype(int)
    assert all(mask[y, x] for x, y in shoulders)
    assert 0.02 < mask.mean() < 0.8
    assert (pose.points[0, 0, FACE, 2] >= 0.5).all()


def test_where_nobody_is_nobody_is_found(detector: EmbeddedDetector) -> None:
    found = tried = 0
    for name in NOBODY:
        image = Image.fromarray(picture(name))
        image.thumbnail((640, 640))
        width, height = image.size
        for wide, high in ((1, 1), (0.8, 1), (1, 0.8), (0.7, 0.7)):
            for corner in (0, 1):
                left, top = int((1 - wide) * width * corner), int((1 - high) * height * corner)
                part = image.crop((left, top, left + int(wide * width), top + int(high * height)))
                found += detector.find(torch.from_numpy(np.array(part))) is not None
                tried += 1
    assert found <= 0.02 * tried


def test_the_tiles_of_a_picture_show_nobody_who_is_not_there(detector: EmbeddedDetector) -> None:
    shown = [detector.find(torch.from_numpy(picture(name)), tiled=True) is not None for name in NOBODY]
    assert sum(shown) == 0


@pytest.fixture(scope="module")
def jumping(detector: EmbeddedDetector) -> Pose:
    return detect_people(detector, enlarged(), PersonSearch(), 30.0)


@pytest.fixture(scope="module")
def theirs() -> list[dict[str, list[list[float]] | None]]:
    lines = in_environment("holistic.py", video(), *map(str, (LEFT, TOP, SIDE, TIMES))).splitlines()
    return [json.loads(line) for line in lines][:JUMPING]


def test_hands_that_mediapipe_finds_are_found(jumping: Pose, theirs: list) -> None:
    found, distances = [], []
    for points, frame in zip(jumping.points[:, 0], theirs, strict=True):
        hands = [None if frame[part] is None else np.array(frame[part]) for part in ("left_hand", "right_hand")]
        sizes = [0.0 if hand is None else float(np.ptp(hand, axis=0).max()) for hand in hands]
        middles = [hand.mean(0) for hand in hands if hand is not None]
        if len(middles) == 2 and np.linalg.norm(middles[0] - middles[1]) < max(sizes) / 2:
            continue  # one hand, taken for both
        for hand, size, side in zip(hands, sizes, HANDS, strict=True):
            if hand is not None and size >= 40:
                found.append(points[side][0, 2] >= 0.5)
                if found[-1]:
                    distances.append(np.linalg.norm(points[side][:, :2] - hand, axis=1).mean() / size)
    assert len(found) > 60
    assert np.mean(found) >= 0.8
    assert np.median(distances) < 0.1


def test_the_sides_of_a_man_against_the_sun_stay_where_they_are(jumping: Pose) -> None:
    wrists = jumping.points[:, 0, 9:11, :2]
    assert np.linalg.norm(np.diff(wrists, axis=0), axis=-1).max() < SIDE * TIMES / 4


def test_faces_that_mediapipe_finds_are_found(jumping: Pose, theirs: list) -> None:
    seen = [
        points[FACE][0, 2] >= 0.5 for points, frame in zip(jumping.points[:, 0], theirs, strict=True) if frame["face"]
    ]
    assert len(seen) >= 10
    assert np.mean(seen) >= 0.8
