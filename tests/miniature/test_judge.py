"""The judge on drawn clips, whose captions are true."""

import numpy as np
import pytest
import torch
from wan_duet.dev.miniature.clips import CAPTIONS, COLORS, LORA_COLOR, Clips, draw
from wan_duet.tests.miniature import judge as judging
from wan_duet.tests.miniature.judge import judge

ROUNDS = 8


def drawn(seed: int, color: str | None = None) -> Clips:
    return draw(CAPTIONS, torch.Generator().manual_seed(seed), color=color)


def verdicts(clips: Clips) -> list[judging.Verdict]:
    return [judge(frames.permute(1, 2, 3, 0).numpy()) for frames in clips.frames]


@pytest.fixture(scope="module")
def judged() -> list[judging.Verdict]:
    return [verdict for seed in range(ROUNDS) for verdict in verdicts(drawn(seed))]


def test_knows_the_colors_that_are_drawn():
    assert COLORS == judging.COLORS


def test_sees_what_is_drawn(judged):
    right = [
        (verdict.color, verdict.shape, verdict.direction) == (caption.color, caption.shape, caption.direction)
        for verdict, caption in zip(judged, CAPTIONS * ROUNDS, strict=True)
    ]
    assert np.mean(right) >= 0.99


def test_rejects_swapped_captions(judged):
    swapped = [caption for seed in range(ROUNDS) for caption in np.roll(np.array(CAPTIONS, dtype=object), 1 + 5 * seed)]
    rejected = [
        (verdict.color, verdict.shape, verdict.direction) != (caption.color, caption.shape, caption.direction)
        for verdict, caption in zip(judged, swapped, strict=True)
    ]
    assert np.mean(rejected) >= 0.95


def test_sees_the_color_that_the_lora_would_make(judged):
    changed = verdicts(drawn(0, color=LORA_COLOR))
    assert np.mean([verdict.color == LORA_COLOR for verdict in changed]) >= 0.99
    assert [verdict[1:] for verdict in changed] == [verdict[1:] for verdict in judged[: len(CAPTIONS)]]


def test_sees_how_far_a_shape_gets_off_its_way():
    for frames in drawn(0).frames:
        clip = frames.permute(1, 2, 3, 0).numpy()
        lower = np.stack([np.roll(frame, index // 4, axis=0) for index, frame in enumerate(clip)])
        assert judging.drift(clip) < 0.5
        assert judging.drift(lower) > 3 or judge(clip).direction in ("up", "down")


def test_sees_nothing_in_grey_and_in_noise():
    grey = np.full((17, 64, 64, 3), 0.4)
    noise = np.random.default_rng(0).random((17, 64, 64, 3))
    assert judge(grey) == (None, None, None)
    assert judging.drift(grey) == np.inf
    assert judge(noise).direction is None


def test_sees_no_direction_in_a_shape_that_stays():
    clip = drawn(0).frames[0].permute(1, 2, 3, 0).numpy()
    assert judge(np.repeat(clip[:1], 17, axis=0)).direction is None
