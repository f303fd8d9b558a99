"""Sizes stay on the grid whatever is asked for, keep the area, and say what they changed."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wan_duet.conditioning.sizes import (
    ANIMATE_SIZES,
    ASPECT_RATIOS,
    FIXED,
    IMAGE_SIZES,
    RESOLUTIONS,
    choose_size,
    on_grid,
)

sides = st.integers(1, 20_000)
patches = st.sampled_from([16, 32])

# (resolution, ratio): width, height; 16:9 and 9:16 are Wan 2.2's own SIZE_CONFIGS
PUBLISHED = {
    ("480p", "16:9"): (832, 480),
    ("480p", "9:16"): (480, 832),
    ("720p", "16:9"): (1280, 720),
    ("720p", "9:16"): (720, 1280),
    ("720p", "1:1"): (960, 960),
    ("480p", "1:1"): (624, 624),
    ("580p", "1:1"): (768, 768),
}


@pytest.mark.parametrize(("resolution", "ratio"), PUBLISHED)
def test_the_sizes_are_the_published_ones(resolution: str, ratio: str) -> None:
    size = choose_size(resolution, ratio)
    assert size[:2] == PUBLISHED[resolution, ratio]
    assert size.notes == ()


def test_the_5b_model_gets_its_own_720p() -> None:
    size = choose_size("720p", "16:9", patch=32)
    assert size[:2] == (1280, 704)
    assert size.notes == ("1280x720 became 1280x704: multiples of 32.",)


def official_size(area: int, width: int, height: int) -> tuple[int, int]:
    """The size of a video from an image, in the arithmetic of Wan 2.2's image2video on latents of 8 pixels."""
    latent_height = round(math.sqrt(area * height / width) // 8 // 2 * 2)
    latent_width = round(math.sqrt(area * width / height) // 8 // 2 * 2)
    return latent_width * 8, latent_height * 8


@given(st.sampled_from(sorted(RESOLUTIONS)), st.integers(64, 8192), st.integers(64, 8192))
def test_the_size_of_an_image_is_the_official_one(resolution: str, width: int, height: int) -> None:
    if not 0.25 <= width / height <= 4:
        return
    area = math.prod(RESOLUTIONS[resolution])
    assert choose_size(resolution, image=(width, height))[:2] == official_size(area, width, height)


@given(
    st.sampled_from([*RESOLUTIONS, *FIXED]),
    st.sampled_from(ASPECT_RATIOS),
    st.none() | st.tuples(sides, sides),
    patches,
)
def test_a_size_is_on_the_grid_and_says_when_it_is_not_what_was_asked(resolution, ratio, image, patch) -> None:
    size = choose_size(resolution, ratio, image, patch)
    assert size.width % patch == 0 and size.height % patch == 0 and min(size[:2]) >= patch
    asked = FIXED.get(resolution)
    if asked:
        assert size[:2] == asked or size.notes
    else:
        assert math.prod(size[:2]) <= math.prod(RESOLUTIONS[resolution])
    if image and ratio == "auto" and not asked and abs(size.width / size.height / (image[0] / image[1]) - 1) > 0.01:
        assert size.notes


@given(sides, sides, patches)
def test_the_grid_rounds_down_and_says_so(width: int, height: int, patch: int) -> None:
    size = on_grid(width, height, patch)
    assert (size.width % patch, size.height % patch) == (0, 0)
    for side, whole in ((width, size.width), (height, size.height)):
        assert whole == patch if side < patch else side - patch < whole <= side
    assert bool(size.notes) == (size[:2] != (width, height))


@pytest.mark.parametrize(
    ("image", "ratio", "said"),
    [((10_000, 10), 4, "1e+03 was held to 4"), ((10, 10_000), 0.25, "0.001 was held to 0.25")],
)
def test_an_image_wider_or_higher_than_any_video_is_held(image: tuple[int, int], ratio: float, said: str) -> None:
    size = choose_size("480p", image=image)
    assert size.width / size.height == pytest.approx(ratio, rel=0.1)
    assert size.notes[0] == f"The image's ratio {said}; the rest of it will be cropped."


def test_a_fixed_size_says_that_it_ignores_the_ratio() -> None:
    assert choose_size("fal square_hd", "16:9").notes == ("fal square_hd has an aspect ratio of its own.",)


def test_a_custom_size_is_brought_to_the_grid() -> None:
    assert choose_size("custom", custom=(640, 352)) == (640, 352, ())
    assert choose_size("custom", patch=32, custom=(650, 352))[:2] == (640, 352)


@pytest.mark.parametrize(("resolution", "ratio"), [("1080p", "auto"), ("480p", "2:1")])
def test_an_unknown_name_is_an_error_that_lists_the_known_ones(resolution: str, ratio: str) -> None:
    with pytest.raises(ValueError, match="Choose one of"):
        choose_size(resolution, ratio)


def test_the_fixed_sizes_are_all_on_the_grid_of_16() -> None:
    assert [name for name, size in FIXED.items() if on_grid(*size)[:2] != size] == []
    assert len(ANIMATE_SIZES) == 16 and len(IMAGE_SIZES) == 6
    assert json.dumps(FIXED)
