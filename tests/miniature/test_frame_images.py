"""In a film of the image-to-video pair its first and its last image are visible at their places."""

import numpy as np
import pytest
import torch
from wan_duet.dev.miniature import studio
from wan_duet.dev.miniature.clips import CAPTIONS, LENGTH, draw
from wan_duet.dev.miniature.studio import Frames, Studio

ASKED = CAPTIONS[1::13]  # every colour, shape and direction
LAST = LENGTH - 1


@pytest.fixture(scope="module")
def drawn() -> Frames:
    """A clip of each caption."""
    clips = draw(ASKED, torch.Generator().manual_seed(0)).frames
    return clips.permute(0, 2, 3, 4, 1).double().numpy()


@pytest.fixture(scope="module")
def begun(films: Studio, drawn: Frames) -> list[Frames]:
    """The film of each clip's first frame."""
    return [films.guided(str(caption), seed, drawn[seed], (0,)) for seed, caption in enumerate(ASKED)]


def psnr(made: list[Frames], drawn: Frames, frame: int) -> float:
    """The mean over all films."""
    return float(np.mean([studio.psnr(film[frame], clip[frame]) for film, clip in zip(made, drawn, strict=True)]))


def test_a_film_begins_with_the_first_image(begun: list[Frames], drawn: Frames):
    assert psnr(begun, drawn, 0) >= 22  # 17 without the image


def test_a_film_ends_with_the_last_image(films: Studio, begun: list[Frames], drawn: Frames):
    ended = [films.guided(str(caption), seed, drawn[seed], (0, LAST)) for seed, caption in enumerate(ASKED)]
    assert psnr(ended, drawn, LAST) >= max(20, psnr(begun, drawn, LAST) + 0.4)
