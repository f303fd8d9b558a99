"""The embedded networks give what Google's LiteRT gives."""

import json
import os
import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from wan_duet.animate.detector.mediapipe.fused import can_fuse
from wan_duet.animate.detector.mediapipe.network import FOLDER, Network
from wan_duet.tests.animate.conftest import Arrays, picture

STORED = Path(__file__).parents[1] / "data" / "detector_networks.json"
REGENERATE = "WAN_DUET_REGENERATE" in os.environ
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
PICTURES = ("astronaut.png", "bus.jpg", "zidane.jpg", "grace_hopper.jpg", "coffee.png")
SAMPLES = 64
TOLERANCE = 1e-3  # of the output's largest value


def network(name: str) -> Network:
    return Network(name, torch.device("cpu"))


def waves(size: int) -> np.ndarray:
    """Two images [2, size, size, 3] of crossing waves in 0..1, the same everywhere."""
    place = np.arange(size, dtype=np.float64) / size
    rows, columns = place[:, None, None], place[None, :, None]
    pitch = np.array([3.0, 7.0, 13.0])
    images = [np.sin(pitch * k * rows + 2) * np.cos(pitch * columns / k) for k in (1.0, 2.5)]
    return (np.stack(images) / 2 + 0.5).astype(np.float32)


def outputs(name: str, images: np.ndarray) -> Arrays:
    return {f"{name}.{i}": value.numpy() for i, value in enumerate(network(name)(torch.from_numpy(images)))}


def difference(found: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference, in shares of the largest value."""
    assert found.shape == wanted.shape
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def sampled(value: np.ndarray) -> np.ndarray:
    """Values from all over an output [B, …], and its largest one."""
    flat = value.reshape(len(value), -1)
    places = np.linspace(0, flat.shape[1] - 1, min(SAMPLES, flat.shape[1])).astype(int)
    return np.append(flat[:, places].ravel(), np.abs(flat).max())


def test_seven_networks_ship() -> None:
    assert len(NAMES) == 7


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_a_network_gives_what_litert_gave(name: str, fused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if fused and not can_fuse(torch.device("cpu")):
        pytest.skip("this torch has no fused convolutions")
    monkeypatch.setattr("wan_duet.animate.detector.mediapipe.network.can_fuse", lambda device: fused)
    stored = {key: np.array(value) for key, value in json.loads(STORED.read_text(encoding="utf-8")).items()}
    found = outputs(name, waves(network(name).size))
    assert [key for key in stored if key.startswith(f"{name}.")] == list(found)
    for key, value in found.items():
        assert difference(sampled(value), stored[key]) <= TOLERANCE, key


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="oneDNN is for x86")
def test_the_development_environment_s_torch_has_fused_convolutions() -> None:
    assert can_fuse(torch.device("cpu"))


def test_a_torch_without_fused_convolutions_does_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not can_fuse(torch.device("meta"))
    monkeypatch.setattr(torch.ops, "mkldnn", object())
    assert not can_fuse(torch.device("cpu"))
    network("hand_recrop")(torch.zeros(1, 256, 256, 3))


def test_a_network_takes_batches_of_every_size() -> None:
    detect = network("pose_detection")
    images = torch.from_numpy(waves(detect.size))
    (both, _), (one, _), (three, _) = detect(images), detect(images[:1]), detect(images[[0, 1, 0]])
    assert torch.allclose(both[:1], one, atol=1e-3 * float(one.abs().max()))
    assert torch.allclose(three[:2], both, atol=1e-3 * float(both.abs().max()))


def test_images_of_a_batch_do_not_touch_each_other() -> None:
    detect = network("pose_detection")
    images = torch.from_numpy(waves(detect.size))
    for both, first, second in zip(detect(images), detect(images[:1]), detect(images[1:]), strict=True):
        assert torch.allclose(both, torch.cat([first, second]), atol=1e-4 * both.abs().max().item())


@pytest.mark.live
def test_the_stored_outputs_are_litert_s(litert: Callable[[Arrays], Arrays]) -> None:
    live = {key: sampled(value) for key, value in litert({name: waves(network(name).size) for name in NAMES}).items()}
    if REGENERATE:
        rounded = {key: [float(f"{number:.6g}") for number in value] for key, value in live.items()}
        lines = (f" {json.dumps(key)}: {json.dumps(value)}" for key, value in rounded.items())
        STORED.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    assert stored.keys() == live.keys()
    assert all(difference(np.array(stored[key]), live[key]) < 1e-4 for key in live)


@pytest.mark.live
@pytest.mark.parametrize("name", NAMES)
def test_a_network_gives_what_litert_gives_on_real_pictures(litert: Callable[[Arrays], Arrays], name: str) -> None:
    size = network(name).size
    shrunk = [np.asarray(Image.fromarray(picture(file)).resize((size, size))) for file in PICTURES]
    images = (np.stack(shrunk) / 255).astype(np.float32)
    live = litert({name: images})
    for key, value in outputs(name, images).items():
        for found, wanted in zip(value, live[key], strict=True):
            assert difference(found, wanted) <= TOLERANCE, key


@pytest.mark.parametrize("name", NAMES)
def test_a_network_can_be_left_at_any_layer(name: str) -> None:
    asked = []

    def look() -> None:
        asked.append(name)
        if len(asked) == 5:
            raise InterruptedError

    left = Network(name, torch.device("cpu"), look)
    with pytest.raises(InterruptedError):
        left(torch.zeros(1, left.size, left.size, 3))
    assert len(asked) == 5
