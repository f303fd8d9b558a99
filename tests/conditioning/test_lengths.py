"""Lengths are 4n+1, and a frame is found in the latent it belongs to."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wan_duet.conditioning.lengths import latent_frame_of, latent_frames, length_notes, length_of, whole_length

frames = st.integers(-5, 5000)


@given(frames)
def test_a_length_is_whole_groups_and_never_longer_than_asked(asked: int) -> None:
    length = whole_length(asked)
    assert length % 4 == 1
    assert length == 1 if asked < 5 else asked - 4 < length <= asked


@given(st.integers(0, 100))
def test_every_latent_frame_but_the_first_holds_four_frames(latents: int) -> None:
    length = 4 * latents + 1
    assert latent_frames(length) == latents + 1
    counts = [[latent_frame_of(frame) for frame in range(length)].count(latent) for latent in range(latents + 1)]
    assert counts == [1] + [4] * latents


@pytest.mark.parametrize(
    ("seconds", "fps", "length"),
    [(5, 16, 81), (5, 24, 121), (2.5, 16, 41), (1.1, 30, 33), (0.3, 10, 1), (3, 10, 29), (0, 16, 1), (15, 16, 241)],
)
def test_a_duration_counts_the_intervals(seconds: float, fps: float, length: int) -> None:
    assert length_of(seconds, fps) == length


@given(st.decimals(-1, 600, places=2), st.decimals("0.01", 240, places=2))
def test_a_duration_is_never_exceeded_and_misses_less_than_a_group(seconds, fps) -> None:
    length = length_of(float(seconds), float(fps))
    assert length % 4 == 1
    intervals = Fraction(max(seconds, 0)) * Fraction(fps)
    assert length - 1 <= intervals + Fraction(1, 10**6)
    assert intervals < length + 3
    exact = abs(float(seconds) * float(fps) - (length - 1)) < 1e-5
    assert exact or any("became" in note for note in length_notes(float(seconds), float(fps)))


def test_a_length_that_was_rounded_or_is_long_is_told() -> None:
    assert length_notes(5, 16) == []
    assert length_notes(3, 10) == ["3 s at 10 fps became 29 frames, 2.80 s: lengths are 4n+1."]
    drift = "Longer than the 81 frames Wan was trained on: such videos drift back to their start."
    assert length_notes(10, 16) == [drift]
    assert length_notes(5, 24, trained=121) == []
