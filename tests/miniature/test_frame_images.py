"""In a film of the image-to-video pair each frame image is visible at its place."""

import numpy as np
import pytest
import torch
from wan_duet.dev.miniature import studio
from wan_duet.dev.miniature.clips import CAPTIONS, LENGTH, draw
from wan_duet.dev.miniature.studio import Frames, Studio

ASKED = CAPTIONS[1::13]  # every colour, shape and direction
MIDDLE, LAST = LENGTH // 2, LENGTH - 1


@pytest.fixture(scope="module")
def drawn() -> Frames:
    """A clip of each caption."""
    clips = draw(ASKED, torch.Generator().manual_seed(0)).frames
    return clips.permute(0, 2, 3, 4, 1).double().numpy()


@pytest.mark.parametrize("given", [(0,), (0, LAST), (0, MIDDLE, LAST)])
def test_each_frame_image_is_visible_at_its_place(films: Studio, drawn: Frames, given: tuple[int, ...]):
    made = [films.guided(str(caption), seed, drawn[seed], given) for seed, caption in enumerate(ASKED)]
    for frame in given:
        psnr = [studio.psnr(film[frame], clip[frame]) for film, clip in zip(made, drawn, strict=True)]
        assert np.mean(psnr) >= 20
