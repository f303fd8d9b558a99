"""Only what has clear joints is taken for somebody; the networks here say what they are told to."""

import numpy as np
import pytest
import torch
from torch import Tensor
from wan_duet.animate.detector.mediapipe import embedded
from wan_duet.animate.detector.mediapipe.body import POINTS, Bodies
from wan_duet.animate.detector.mediapipe.embedded import AGAIN, NEW, EmbeddedDetector

IMAGE = torch.zeros(100, 400, 3, dtype=torch.uint8)
PLACES = np.array([(50.0, 50.0, 40.0, 0.0), (150.0, 50.0, 40.0, 0.0), (300.0, 50.0, 40.0, 0.0)])


def detector(monkeypatch: pytest.MonkeyPatch, presence: list[float], clarity: list[float]) -> EmbeddedDetector:
    """One that sees three people, of these presences and clarities."""

    def bodies(network: object, image: Tensor, regions: np.ndarray) -> Bodies:
        points = np.ones((len(PLACES), POINTS, 3))
        points[..., :2] = PLACES[:, None, :2] + np.linspace(-10, 10, POINTS)[:, None]
        return Bodies(points, np.array(presence), np.array(clarity), PLACES, PLACES, torch.zeros(len(PLACES), 8, 8))

    monkeypatch.setattr(embedded, "candidates", lambda *given: (PLACES, np.ones(len(PLACES))))
    monkeypatch.setattr(embedded, "bodies", bodies)
    return EmbeddedDetector(torch.device("cpu"))


@pytest.mark.parametrize(
    ("presence", "clarity", "expected"),
    [
        ([1, 1, 1], [0.9, 0.9, 0.9], [50, 150, 300]),
        ([1, 1, 1], [0.8, 0.9, 0.95], [300, 150, 50]),
        ([1, 1, 1], [0.9, NEW[1] - 0.01, 0.8], [50, 300]),
        ([1, NEW[0] - 0.01, 1], [0.9, 0.9, 0.8], [50, 300]),
    ],
)
def test_somebody_new_has_a_body_s_outline_and_clear_joints(
    monkeypatch: pytest.MonkeyPatch, presence: list[float], clarity: list[float], expected: list[float]
) -> None:
    found = detector(monkeypatch, presence, clarity).find(IMAGE)
    assert found is not None and found.regions[:, 0].tolist() == expected


def test_nothing_with_clear_joints_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    assert detector(monkeypatch, [1, 1, 1], [0.4, 0.5, 0.6]).find(IMAGE) is None


def test_somebody_who_was_there_a_moment_ago_may_be_less_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    found = detector(monkeypatch, [AGAIN[0]] * 3, [AGAIN[1], AGAIN[1] - 0.01, NEW[1]]).find_again(IMAGE, PLACES[:1])
    assert found is not None and found.regions[:, 0].tolist() == [300, 50]
