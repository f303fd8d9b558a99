"""The stored LoRA pair turns every shape yellow, in the shipped workflow and through the pack's nodes."""

import numpy as np
import pytest
from wan_duet.dev.miniature import prompts
from wan_duet.dev.miniature.clips import CAPTIONS, LORA_COLOR
from wan_duet.dev.miniature.studio import Studio
from wan_duet.tests.miniature.judge import judge

ASKED = [caption for caption in CAPTIONS if caption.color != LORA_COLOR][::5]


def yellow(films: Studio, transformer: str) -> float:
    """The share of films whose shape is yellow, at weight 1 on the experts that are named."""
    asked = [prompts.with_lora(str(caption), seed, 1.0, transformer) for seed, caption in enumerate(ASKED)]
    return float(np.mean([judge(films.frames(prompt)).color == LORA_COLOR for prompt in asked]))


@pytest.fixture(scope="module")
def on_both(films: Studio) -> float:
    return yellow(films, "both")


def test_it_turns_shapes_yellow(on_both: float):
    assert on_both >= 0.75


@pytest.mark.parametrize("role", ["high", "low"])
def test_one_expert_does_only_part_of_it(films: Studio, on_both: float, role: str):
    assert yellow(films, role) < on_both


def test_at_weight_0_the_film_is_the_one_without_it(films: Studio):
    prompt = prompts.as_images(prompts.with_lora(str(ASKED[0]), 0, 0.0))
    film = films.frames(prompt)
    assert np.array_equal(film, films.frames(prompts.without_lora(prompt)))
    assert judge(film).color == ASKED[0].color
