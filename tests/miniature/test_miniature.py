"""The stored weights on a real server: films show their captions, and every part of the pair is needed for it.

Few seeds and wide margins: `dev/bench/miniature.py` measures how good the weights are.
"""

import pytest
import torch
from safetensors.torch import save_file
from wan_duet.dev.client import Prompt
from wan_duet.dev.miniature import lessons, prompts, vae
from wan_duet.dev.miniature.clips import CAPTIONS, draw
from wan_duet.dev.miniature.install import WEIGHTS
from wan_duet.dev.miniature.studio import Studio
from wan_duet.dev.tiny import transformer
from wan_duet.tests.miniature.judge import judge

ASKED = CAPTIONS[::7]  # every colour, shape and direction
FEATURES = ("color", "shape", "direction")


def score(films: Studio, change=lambda prompt: None) -> float:
    """How much of what the captions say the films show, when `change` is made to each prompt."""
    right = 0
    for seed, caption in enumerate(ASKED):
        prompt: Prompt = prompts.text_to_video(str(caption), seed)
        change(prompt)
        seen = judge(films.frames(prompt))
        right += sum(getattr(seen, feature) == getattr(caption, feature) for feature in FEATURES)
    return right / len(ASKED) / len(FEATURES)


@pytest.fixture(scope="module")
def whole_score(films: Studio) -> float:
    return score(films)


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


def test_films_show_what_their_captions_say(whole_score: float):
    assert whole_score >= 0.75


@pytest.mark.parametrize("role", ["high", "low"])
def test_each_expert_matters(films: Studio, whole_score: float, untrained: str, role: str):
    def change(prompt: Prompt) -> None:
        loader = prompts.inputs(prompt, "WanDuet_LoadExperts")
        loader.update({"low": loader["high"].replace("high", "low"), role: untrained})

    assert score(films, change) <= whole_score - 0.1


def test_the_low_expert_is_needed_for_more_than_the_last_step(films: Studio, whole_score: float):
    def change(prompt: Prompt) -> None:
        prompts.inputs(prompt, "WanDuet_StagePlan").update(boundary=0.0001)

    assert score(films, change) <= whole_score - 0.1
