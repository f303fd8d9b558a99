"""What an I2V expert is given equals what the host's own nodes give it, bit for bit."""

from collections.abc import Callable, Iterator
from typing import Any

import comfy.sd
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from comfy_extras.nodes_wan import WanFirstLastFrameToVideo, WanImageToVideo
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor
from wan_duet.conditioning.frame_images import FrameImage, place
from wan_duet.conditioning.given_frames import Values, given_frames
from wan_duet.dev.tiny import transformer

WIDTH, HEIGHT, LENGTH = 32, 48, 17
MakeImages = Callable[..., Tensor]


@pytest.fixture(scope="module")
def i2v(tmp_path_factory: pytest.TempPathFactory) -> ModelPatcher:
    path = tmp_path_factory.mktemp("i2v") / "i2v.safetensors"
    save_file(transformer(0, in_dim=36), path)
    return comfy.sd.load_diffusion_model(str(path))


def concatenated(model: ModelPatcher, values: Values) -> Tensor:
    """The channels that the expert really gets beside the noise."""
    noise = torch.zeros(1, 16, 5, HEIGHT // 8, WIDTH // 8)
    copies = {name: value.clone() for name, value in values.items()}  # the host writes into what it is given
    return model.model.concat_cond(noise=noise, device=torch.device("cpu"), **copies)


def hosts(node: Any, vae: Any, **images: Tensor) -> Values:
    size = {"width": WIDTH, "height": HEIGHT, "length": LENGTH, "batch_size": 1}
    positive, negative, _ = node.execute(positive=[[None, {}]], negative=[[None, {}]], vae=vae, **size, **images).args
    assert positive[0][1].keys() == negative[0][1].keys()
    return positive[0][1]


def ours(vae: Any, *frames: FrameImage) -> tuple[Values, Values]:
    return given_frames(vae.encode, place(frames, LENGTH), WIDTH, HEIGHT, LENGTH)


@pytest.fixture(scope="module")
def encoded(vae: Any) -> Iterator[list[int]]:
    """The number of frames of each clip that the VAE has encoded."""
    calls: list[int] = []
    encode = vae.encode
    vae.encode = lambda clip: calls.append(len(clip)) or encode(clip)
    yield calls
    vae.encode = encode


@pytest.mark.parametrize("count", [1, 9])
@pytest.mark.parametrize("size", [(32, 48), (100, 70), (31, 200)])
def test_a_start_equals_the_hosts_image_to_video(
    vae: Any, i2v: ModelPatcher, make_images: MakeImages, count: int, size: tuple[int, int]
) -> None:
    start = make_images(count, *size)
    expected = hosts(WanImageToVideo, vae, start_image=start)
    found, _ = ours(vae, FrameImage(start))
    assert torch.equal(found["concat_latent_image"], expected["concat_latent_image"])
    assert torch.equal(concatenated(i2v, found), concatenated(i2v, expected))


@pytest.mark.parametrize(("first", "last"), [(1, 1), (0, 1), (1, 0), (3, 0), (5, 4), (2, 5), (0, 3)])
def test_first_and_last_equal_the_hosts_first_last_frame_to_video(
    vae: Any, i2v: ModelPatcher, make_images: MakeImages, first: int, last: int
) -> None:
    start = make_images(first, 80, 80, seed=1) if first else None
    end = make_images(last, 80, 80, seed=2) if last else None
    expected = hosts(WanFirstLastFrameToVideo, vae, start_image=start, end_image=end)
    given = [(start, "first"), (end, "last")]
    found, _ = ours(vae, *(FrameImage(images, where) for images, where in given if images is not None))
    assert torch.equal(found["concat_latent_image"], expected["concat_latent_image"])
    assert torch.equal(found["concat_mask"], expected["concat_mask"])
    assert torch.equal(concatenated(i2v, found), concatenated(i2v, expected))


def official_mask(frames: list[int]) -> Tensor:
    """The mask of Wan 2.2's image2video for frames that are given: the first counts four times."""
    mask = torch.zeros(1, LENGTH, HEIGHT // 8, WIDTH // 8)
    mask[:, frames] = 1
    mask = torch.cat([mask[:, :1].repeat_interleave(4, dim=1), mask[:, 1:]], dim=1)
    return mask.view(1, mask.shape[1] // 4, 4, HEIGHT // 8, WIDTH // 8).transpose(1, 2)


@pytest.mark.parametrize("frames", [[0], [16], [7], [0, 16], [0, 3, 4, 8], [1, 2], list(range(17))])
def test_key_frames_anywhere_make_the_official_mask(vae: Any, i2v: ModelPatcher, make_images: Any, frames: Any) -> None:
    found, _ = ours(vae, *(FrameImage(make_images(seed=frame), str(frame)) for frame in frames))
    assert torch.equal(concatenated(i2v, found)[:, :4], official_mask(frames))


def test_the_clip_holds_each_image_at_its_frame_and_grey_elsewhere(make_images: MakeImages) -> None:
    clips: list[Tensor] = []

    def encode(clip: Tensor) -> Tensor:
        clips.append(clip)
        return torch.zeros(1, 16, 5, HEIGHT // 8, WIDTH // 8)

    images = [make_images(1, WIDTH, HEIGHT, seed=frame, channels=4) for frame in (0, 5, 16)]
    frames = [FrameImage(image, str(index)) for image, index in zip(images, (0, 5, 16), strict=True)]
    given_frames(encode, place(frames, LENGTH), WIDTH, HEIGHT, LENGTH)
    (clip,) = clips
    for index in range(LENGTH):
        expected = dict(zip((0, 5, 16), images, strict=True)).get(index, torch.full((1, HEIGHT, WIDTH, 3), 0.5))
        assert torch.equal(clip[index], expected[0, ..., :3]), index


def test_the_last_frame_is_given_to_the_last_channel_of_the_last_latent_frame(vae: Any, make_images: Any) -> None:
    found, _ = ours(vae, FrameImage(make_images(), "last"))
    given = (found["concat_mask"] == 0)[0, :, :, 0, 0].nonzero().tolist()
    assert given == [[3, 4]]


def test_strengths_weaken_the_mask_and_share_the_latent(vae: Any, encoded: list[int], make_images: Any) -> None:
    encoded.clear()
    image = make_images()
    high, low = ours(vae, FrameImage(image, "first"), FrameImage(image, "last", 0.75, 0.25))
    assert encoded == [LENGTH]
    assert low["concat_latent_image"] is high["concat_latent_image"]
    assert [values["concat_mask"][0, :, 4, 0, 0].tolist() for values in (high, low)] == [
        [1, 1, 1, 0.25],
        [1, 1, 1, 0.75],
    ]
    assert not high["concat_mask"][:, :, 0].any() and not low["concat_mask"][:, :, 0].any()


def test_an_image_of_strength_0_is_absent(vae: Any, encoded: list[int], make_images: Any) -> None:
    encoded.clear()
    first, last = FrameImage(make_images(seed=1)), make_images(seed=2)
    high, low = ours(vae, first, FrameImage(last, "last", 1.0, 0.0))
    assert encoded == [LENGTH, LENGTH]
    without, _ = ours(vae, first)
    both, _ = ours(vae, first, FrameImage(last, "last"))
    for name in ("concat_latent_image", "concat_mask"):
        assert torch.equal(low[name], without[name]) and torch.equal(high[name], both[name])


shares = st.sampled_from([0.0, 1.0]) | st.floats(0, 1)


@given(st.dictionaries(st.integers(0, LENGTH - 1), st.tuples(shares, shares), min_size=1))
def test_any_strengths_at_any_frames_are_in_the_masks_and_nothing_else_is(
    strengths: dict[int, tuple[float, float]],
) -> None:
    latent = torch.zeros(1, 16, 5, 1, 1)
    frames = [FrameImage(torch.zeros(1, 8, 8, 3), str(frame), *both) for frame, both in strengths.items()]
    values = given_frames(lambda clip: latent, place(frames, LENGTH), 8, 8, LENGTH)
    for expert, found in enumerate(values):
        mask = found["concat_mask"][0, :, :, 0, 0].T.flatten()
        by_frame = [mask[:4].tolist(), *([value] for value in mask[4:].tolist())]
        for frame, masked in enumerate(by_frame):
            expected = 1 - strengths[frame][expert] if frame in strengths else 1.0
            assert masked == pytest.approx([expected] * len(masked), abs=1e-6), (expert, frame)


def test_equal_strengths_make_one_set_of_values(vae: Any, make_images: Any) -> None:
    high, low = ours(vae, FrameImage(make_images(), "first", 0.5, 0.5))
    assert high is low
