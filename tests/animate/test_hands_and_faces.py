"""Hands and faces are where MediaPipe's Holistic has them, in pictures that come with the host's packages."""

import importlib.util
import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from wan_duet.animate.detector.mediapipe.embedded import EmbeddedDetector
from wan_duet.animate.detector.mediapipe.region import whole
from wan_duet.animate.detector.mediapipe.wholebody import OF_BODY, OF_FACE
from wan_duet.animate.pose import BODY, FACE, FOUND, HANDS
from wan_duet.animate.tracker import PersonSearch, detect_people
from wan_duet.tests.animate.conftest import in_environment

STORED = Path(__file__).parents[1] / "data" / "holistic_points.json"
REGENERATE = "WAN_DUET_REGENERATE" in os.environ
PICTURES = {
    "api_bfl_flux_pro_t2i-1": "comfyui_workflow_templates_media_api",
    "embedding_example-1": "comfyui_workflow_templates_media_other",
    "image_flux2-1": "comfyui_workflow_templates_media_image",
    "video_wan2.1_alpha_t2v_14B-1": "comfyui_workflow_templates_media_video",
}
ARMS_AND_HEAD = [0, *range(5, 11)]  # of COCO's body
SIDES = {"left_hand": HANDS[0], "right_hand": HANDS[1]}


def path(name: str) -> Path:
    spec = importlib.util.find_spec(PICTURES[name])
    if spec is None or spec.origin is None:
        pytest.skip(f"{PICTURES[name]} is not installed")
    picture = Path(spec.origin).with_name("templates") / f"{name}.webp"
    if not picture.is_file():
        pytest.skip(f"this {PICTURES[name]} has no {picture.name}")
    return picture


@cache
def ours(name: str) -> np.ndarray:
    """The points [133, 3] of whoever is in a picture."""
    image = np.array(Image.open(path(name)).convert("RGB"))
    pose = detect_people(EmbeddedDetector(torch.device("cpu")), [image], PersonSearch(), 1.0)
    assert pose.states[0, 0] == FOUND
    return pose.points[0, 0]


def stored(name: str) -> dict[str, np.ndarray | None]:
    parts = json.loads(STORED.read_text(encoding="utf-8"))[name]
    return {part: None if points is None else np.array(points) for part, points in parts.items()}


def apart(points: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """The distances [K] of points [K, 3] from theirs [K, 2], in shares of the size of theirs."""
    return np.linalg.norm(points[:, :2] - theirs, axis=1) / np.ptp(theirs, axis=0).max()


@pytest.mark.parametrize("name", PICTURES)
def test_joints_of_a_person_are_clear_and_those_of_a_wall_are_not(name: str) -> None:
    detector = EmbeddedDetector(torch.device("cpu"))
    image = torch.from_numpy(np.array(Image.open(path(name)).convert("RGB")))
    height, width = image.shape[:2]
    found = detector.find(image, tiled=True)
    assert found is not None and found.clarity[0] >= 0.75
    bricks = (torch.arange(height)[:, None] // 20 + torch.arange(width) // 50) % 2 * 100 + 60
    seen = detector.look(bricks[..., None].expand(-1, -1, 3).byte(), whole(width, height)[None])
    assert seen.clarity[0] < 0.5


@pytest.mark.parametrize("name", PICTURES)
def test_arms_and_head_are_where_mediapipe_has_them(name: str) -> None:
    theirs = stored(name)["pose"]
    assert theirs is not None
    assert apart(ours(name)[BODY][ARMS_AND_HEAD], theirs[ARMS_AND_HEAD]).mean() < 0.08


@pytest.mark.parametrize("name", PICTURES)
def test_hands_are_where_mediapipe_has_them(name: str) -> None:
    theirs = stored(name)
    hands = [(ours(name)[points], hand) for part, points in SIDES.items() if (hand := theirs[part]) is not None]
    assert hands
    for points, hand in hands:
        assert points[0, 2] >= 0.5
        assert apart(points, hand).mean() < 0.2


@pytest.mark.parametrize("name", PICTURES)
def test_a_face_is_where_mediapipe_has_it(name: str) -> None:
    theirs = stored(name)["face"]
    assert theirs is not None
    assert (ours(name)[FACE, 2] >= 0.5).all()
    distances = apart(ours(name)[FACE], theirs)
    assert distances.mean() < 0.06 and distances.max() < 0.2


@pytest.mark.live
def test_the_stored_points_are_mediapipe_s() -> None:
    found = json.loads(in_environment("holistic_pictures.py", *map(path, PICTURES)))
    live = {}
    for name, parts in zip(PICTURES, found, strict=True):
        body, face = ([parts[part][point] for point in which] for part, which in (("pose", OF_BODY), ("face", OF_FACE)))
        live[name] = {**parts, "pose": body, "face": face}
    if REGENERATE:
        lines = (f" {json.dumps(name)}: {json.dumps(parts, separators=(',', ':'))}" for name, parts in live.items())
        STORED.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    for name, parts in live.items():
        for part, points in stored(name).items():
            assert (points is None) == (parts[part] is None)
            assert points is None or np.abs(points - parts[part]).max() <= 2
