"""That training sees what the host will show, and goes on where it stopped."""

from pathlib import Path

import comfy.sd
import comfy.utils
import pytest
import torch
from comfy_extras.nodes_wan import WanFirstLastFrameToVideo
from torch import Tensor
from wan_duet.dev import dynamic_vram
from wan_duet.dev.miniature import expert, lessons, lora, vae
from wan_duet.dev.miniature.clips import CAPTIONS, LENGTH, SIZE, draw
from wan_duet.dev.miniature.training import Schedule, Training
from wan_duet.experts.variant import HIGH, LOW, T2V_A14B
from wan_duet.samplers.schedules import schedule_sigmas


def initialised(in_dim: int = 16) -> torch.nn.Module:
    if dynamic_vram.wanted():
        pytest.skip("under DynamicVRAM a Linear of the host has no weight to train before a file is read")
    net = expert.network(in_dim)
    expert.initialise(net, seed=3)
    torch.nn.init.normal_(net.head.head.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    return net.requires_grad_(False)


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> Tensor:
    return lessons.contexts(tmp_path_factory.mktemp("text"))[0]


@pytest.fixture(scope="module")
def noise() -> Tensor:
    return torch.randn(4, 16, 5, 8, 8, generator=torch.Generator().manual_seed(0))


def test_the_encoder_tells_the_words_of_captions_apart_and_leaves_padding_at_zero(contexts: Tensor):
    captions = contexts[: len(CAPTIONS), :6]
    assert contexts.shape[1] == expert.TEXT_LENGTH
    assert not contexts[: len(CAPTIONS), 6:].any()
    for position, feature in ((1, "color"), (2, "shape"), (4, "direction")):
        words = [getattr(caption, feature) for caption in CAPTIONS]
        means = torch.stack(
            [captions[[word == other for other in words], position].mean(0) for word in sorted(set(words))]
        )
        spread = max(
            (captions[index, position] - means[sorted(set(words)).index(word)]).norm()
            for index, word in enumerate(words)
        )
        assert torch.nn.functional.pdist(means).min() > 4 * spread


def test_short_text_is_the_attention_over_all_of_the_padding(contexts: Tensor, noise: Tensor):
    net, text = initialised(), expert.ShortText(contexts)
    prompts = torch.tensor([0, 7, len(CAPTIONS), len(CAPTIONS) + 1])  # two captions, no text, the negative prompt
    times = torch.tensor([1000.0, 900.0, 500.0, 10.0])
    whole = net(noise, times, contexts[prompts])
    short = net(noise, times, text.rows[prompts], transformer_options=text.options(prompts))
    unweighted = net(noise, times, text.rows[prompts])
    torch.testing.assert_close(short, whole, rtol=0, atol=1e-5 * float(whole.abs().max()))
    assert (unweighted - whole).abs().max() > 0.1 * whole.abs().max()


def test_sigmas_are_those_that_each_stage_visits(contexts: Tensor):
    visited = [sigma for sigma in schedule_sigmas("simple", "euler", 1000, T2V_A14B.shift)[:-1] if sigma]
    known = expert.Lessons(torch.zeros(1), torch.zeros(1), contexts, ())
    for role, stage in ((HIGH, [s for s in visited if s >= 0.875]), (LOW, [s for s in visited if s < 0.875])):
        lesson = expert.Lesson(initialised(), known, T2V_A14B, role, seed=0)
        drawn = lesson.sigmas(torch.linspace(0, 1, 101))
        quantiles = torch.quantile(torch.tensor(stage), torch.linspace(0, 1, 101))
        torch.testing.assert_close(drawn, quantiles, rtol=0, atol=0.02)


def test_an_image_expert_starts_as_the_text_expert(contexts: Tensor, noise: Tensor):
    text_expert, image_expert = initialised(), expert.network(36).requires_grad_(False)
    image_expert.load_state_dict(expert.widen(text_expert.state_dict(), 36))
    times, context = torch.full((4,), 900.0), contexts[:4]
    wide = torch.cat([noise, torch.ones(4, 20, 5, 8, 8)], 1)
    torch.testing.assert_close(image_expert(wide, times, context), text_expert(noise, times, context))


def test_a_lora_means_to_the_host_what_it_was_trained_as(contexts: Tensor, noise: Tensor):
    patcher = comfy.sd.load_diffusion_model_state_dict(dict(initialised().state_dict()))
    assert patcher
    trained = initialised()
    adapter = lora.Lora(trained, seed=0)
    for name, parameter in adapter.named_parameters():
        if name.endswith(":up"):
            torch.nn.init.normal_(parameter, std=0.05)
        parameter.data = parameter.data.bfloat16().float()
    weights = lora.exported(dict(adapter.named_parameters()))
    patched, _ = comfy.sd.load_lora_for_models(patcher, None, {k: v.detach() for k, v in weights.items()}, 1.0, 0)
    patched.patch_model()
    times, context = torch.full((4,), 900.0), contexts[:4]
    with torch.no_grad():
        expected = trained(noise, times, context)
        found = patched.model.diffusion_model(noise, times, context)
        plain = initialised()(noise, times, context)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))
    assert (plain - expected).abs().max() > 0.01 * expected.abs().max()


class Encoder:
    """The part of the host's VAE that its conditioning node uses, around an untrained one."""

    latent_channels = vae.LATENT_CHANNELS

    def __init__(self) -> None:
        self.net = vae.network().requires_grad_(False)
        vae.initialise(self.net)

    def spacial_compression_encode(self) -> int:
        return 8

    def encode(self, pixels: Tensor) -> Tensor:
        return self.net.encode(pixels.movedim(-1, 0)[None] * 2 - 1)


@pytest.mark.parametrize("last", [False, True])
def test_frame_images_become_what_the_host_makes_of_them(last: bool):
    encoder = Encoder()
    clips = draw(CAPTIONS[:1], torch.Generator().manual_seed(1)).frames
    pixels = clips[0].permute(1, 2, 3, 0)
    end = pixels[-1:] if last else None
    node = WanFirstLastFrameToVideo.execute([[Tensor(), {}]], [], encoder, SIZE, SIZE, LENGTH, 1, pixels[:1], end)
    values = node.args[0][0][1]
    expected = torch.cat(
        [1 - values["concat_mask"].expand(-1, -1, -1, 8, 8), lessons.normalised(values["concat_latent_image"])], 1
    )
    found = lessons.image_channels(encoder.net, clips * 2 - 1, torch.tensor([last]))
    torch.testing.assert_close(found, expected)


def test_training_goes_on_where_it_stopped(tmp_path: Path):
    def training(folder: str) -> Training:
        torch.manual_seed(0)
        return Training(torch.nn.Linear(3, 2), Schedule(steps=20, warm_up=5), tmp_path / folder, "net")

    def loss_of(run: Training):
        return lambda step: run.net(torch.ones(3) * step).square().sum()

    whole = training("whole")
    whole.run(loss_of(whole))
    first = training("parts")
    first.run(loss_of(first), steps=7)
    second = training("parts")
    assert second.step == 7 and not second.done
    second.run(loss_of(second))
    assert second.done
    for name, value in whole.parameters.items():
        assert torch.equal(second.parameters[name], value)
        assert torch.equal(second.averaged()[name], whole.averaged()[name])
