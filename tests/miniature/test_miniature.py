"""The stored weights on a real server: films show their captions, and every part of the pair is needed for it.

Few seeds and wide margins: `dev/bench/miniature.py` measures how good the weights are.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from wan_duet.dev.client import Prompt
from wan_duet.dev.miniature import lessons, prompts, vae
from wan_duet.dev.miniature.clips import CAPTIONS, Caption, draw
from wan_duet.dev.miniature.install import WEIGHTS
from wan_duet.dev.miniature.studio import Frames, Studio
from wan_duet.dev.tiny import transformer
from wan_duet.tests.miniature.judge import drift, fullness, judge

ASKED = CAPTIONS[::5]  # every colour, shape and direction
FEATURES = ("color", "shape", "direction")
Change = Callable[[Prompt], None]


def films_of(films: Studio, change: Change = lambda prompt: None, captions: Sequence[Caption] = ASKED) -> list[Frames]:
    """A film of each caption, when `change` is made to its prompt."""
    asked = [prompts.text_to_video(str(caption), seed) for seed, caption in enumerate(captions)]
    for prompt in asked:
        change(prompt)
    return [films.frames(prompt) for prompt in asked]


def score(clips: Sequence[Frames]) -> float:
    """How much of what the captions say the films show."""
    seen = [judge(clip) for clip in clips]
    return np.mean(
        [getattr(s, name) == getattr(c, name) for s, c in zip(seen, ASKED, strict=True) for name in FEATURES]
    )


def mean_drift(clips: Sequence[Frames]) -> float:
    """How far shapes get off their way, in pixels."""
    return float(np.mean([drift(clip) for clip in clips]))


@pytest.fixture(scope="module")
def whole(films: Studio) -> list[Frames]:
    return films_of(films)


@pytest.fixture(scope="module")
def untrained(films: Studio) -> str:
    """The name of an expert that was never trained."""
    file = films.base / "models" / "diffusion_models" / "untrained.safetensors"
    save_file({name: weight.bfloat16() for name, weight in transformer(0, layers=8).items()}, file)
    return file.name


def test_the_vae_gives_clips_back_and_its_latents_are_those_of_wan():
    net = lessons.load_vae(WEIGHTS / "vae.safetensors")
    assert vae.psnr(net, 12) >= 28
    clips = draw(CAPTIONS * 2, torch.Generator().manual_seed(2 * vae.HELD_OUT)).frames * 2 - 1
    latents = lessons.normalised(vae.encode(net, clips))
    assert latents.mean((0, 2, 3, 4)).abs().max() < 0.1
    deviation = latents.std((0, 2, 3, 4))
    assert deviation.min() > 0.9 and deviation.max() < 1.1


def test_films_show_what_their_captions_say(whole: list[Frames]):
    assert score(whole) >= 0.75


def test_without_a_trained_low_expert_they_do_not(films: Studio, untrained: str):
    def change(prompt: Prompt) -> None:
        prompts.inputs(prompt, "WanDuet_LoadExperts")["low"] = untrained

    assert score(films_of(films, change)) <= 0.4


def replaced(prompt: Prompt, untrained: str) -> None:
    loader = prompts.inputs(prompt, "WanDuet_LoadExperts")
    loader.update(low=loader["high"].replace("high", "low"), high=untrained)


def used_once(prompt: Prompt, _: str) -> None:
    prompts.inputs(prompt, "WanDuet_StagePlan")["boundary"] = 1.0


@pytest.mark.parametrize("change", [replaced, used_once])
def test_the_high_expert_keeps_shapes_on_their_way(
    films: Studio, whole: list[Frames], untrained: str, change: Callable[[Prompt, str], None]
):
    assert mean_drift(films_of(films, lambda prompt: change(prompt, untrained))) >= 1.5 * mean_drift(whole)


def test_the_low_expert_gives_shapes_their_corners(films: Studio):
    cornered = [[caption for caption in CAPTIONS if caption.shape == name][::3] for name in ("square", "triangle")]

    def contrast(change: Change) -> float:
        full, sharp = (np.mean([fullness(film) for film in films_of(films, change, asked)]) for asked in cornered)
        return full - sharp

    def used_once(prompt: Prompt) -> None:
        prompts.inputs(prompt, "WanDuet_StagePlan")["boundary"] = 0.4  # the last step is at .387

    assert contrast(used_once) <= 0.9 * contrast(lambda prompt: None)
