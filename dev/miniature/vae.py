"""Training of the miniature's VAE: the host's Wan 2.1 VAE at 16 channels, on images first and then on clips."""

from __future__ import annotations

from collections.abc import Callable

import torch
from comfy.latent_formats import Wan21
from comfy.ldm.wan.vae import WanVAE
from torch import Tensor

from .clips import CAPTIONS, LENGTH, SIZE, draw
from .training import Schedule

DIM, LATENT_CHANNELS = 16, 16
SCHEDULE = Schedule(steps=2700, learning_rate=6e-4, averaged_over=100)
# From which step on: clips in a batch, frames of each, pixels a side.
CURRICULUM = ((0, 8, 1, SIZE), (900, 4, 5, SIZE), (1300, 2, 5, SIZE), (1600, 1, 9, SIZE), (2070, 2, LENGTH, 32))
DECODER_SCHEDULE = Schedule(steps=450, learning_rate=5e-4, averaged_over=100)
HELD_OUT = 10**6  # added to the seeds of what is never trained on


def network() -> WanVAE:
    """Return the untrained VAE."""
    return WanVAE(dim=DIM, z_dim=LATENT_CHANNELS, temperal_downsample=[False, True, True])


class Lesson:
    """The loss of the VAE: how far clips are from themselves after encoding and decoding."""

    def __init__(self, net: WanVAE) -> None:
        self.net, self.device = net, next(net.parameters()).device

    def __call__(self, step: int) -> Tensor:
        """Return the loss of the batch that belongs to `step`."""
        _, count, frames, side = max(stage for stage in CURRICULUM if stage[0] <= step)
        # Channels last and bfloat16: together a third faster than neither on a CPU that knows bfloat16.
        clips = _batch(step, count, frames, side).to(self.device, memory_format=torch.channels_last_3d)
        with torch.autocast(clips.device.type, torch.bfloat16):
            decoded = self.net.decode(self.net.encode(clips))
        return _distance(decoded, clips)


class DecoderLesson:
    """The loss of the decoder alone, whose encoder is finished, on kept latents [N, 16, t, h, w]."""

    def __init__(self, net: WanVAE, latents: Tensor, clips: Callable[[int], Tensor]) -> None:
        self.net, self.latents, self.clips = net, latents, clips
        self.device = next(net.parameters()).device

    def __call__(self, step: int) -> Tensor:
        """Return the loss of the clip that belongs to `step`; `clips` gives the frames [3, T, H, W] in -1..1."""
        index = int(torch.randint(len(self.latents), (), generator=torch.Generator().manual_seed(step)))
        latents = self.latents[index : index + 1].to(self.device, memory_format=torch.channels_last_3d)
        with torch.autocast(self.device.type, torch.bfloat16):
            decoded = self.net.decode(latents)
        return _distance(decoded, self.clips(index)[None].to(self.device))


def _distance(decoded: Tensor, clips: Tensor) -> Tensor:
    difference = decoded.float() - clips
    return difference.square().mean() + 0.1 * difference.abs().mean()


def finish(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return bf16 weights whose latents have the mean and standard deviation of each of Wan 2.1's channels.

    The affine map and its inverse go into the 1x1 convolutions between encoder, latent and decoder.
    """
    net = network()
    net.load_state_dict(weights)
    latents = encode(net, torch.cat([_batch(HELD_OUT + seed, 16, LENGTH) for seed in range(8)]))
    target = Wan21()
    scale = target.latents_std.flatten() / latents.std((0, 2, 3, 4))
    offset = target.latents_mean.flatten() - scale * latents.mean((0, 2, 3, 4))
    after, before = weights["conv1.weight"], weights["conv2.weight"]
    bias = weights["conv1.bias"].clone()
    bias[:LATENT_CHANNELS] = scale * bias[:LATENT_CHANNELS] + offset
    rows = torch.ones(len(bias))
    rows[:LATENT_CHANNELS] = scale
    inverse = before / scale[:, None, None, None]
    folded = {
        "conv1.weight": after * rows[:, None, None, None, None],
        "conv1.bias": bias,
        "conv2.weight": inverse,
        "conv2.bias": weights["conv2.bias"] - inverse.flatten(1) @ offset,
    }
    return {name: weight.bfloat16() for name, weight in {**weights, **folded}.items()}


@torch.inference_mode()
def encode(net: WanVAE, clips: Tensor) -> Tensor:
    """Return the latents [B, 16, t, h, w] of clips [B, 3, T, H, W] in -1..1."""
    parts = clips.to(memory_format=torch.channels_last_3d).split(16)
    return torch.cat([net.encode(part) for part in parts]).float().contiguous()


@torch.inference_mode()
def psnr(net: WanVAE, count: int) -> float:
    """Return the mean PSNR, in dB, of `count` held-out clips after encoding and decoding."""
    clips = held_out(count)
    decoded = torch.cat([net.decode(encode(net, part)) for part in clips.split(4)]).clamp(-1, 1)
    error = ((decoded - clips) / 2).square().mean((1, 2, 3, 4))
    return float((-10 * error.log10()).mean())


def held_out(count: int) -> Tensor:
    """Return whole clips [B, 3, T, H, W] in -1..1 that nothing was trained on."""
    return _batch(2 * HELD_OUT, count, LENGTH)


def _batch(seed: int, count: int, frames: int, side: int = SIZE) -> Tensor:
    """Return clips [B, 3, frames, side, side] in -1..1: some frames of a drawn clip, and a square around its shape."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(len(CAPTIONS), (count,), generator=generator)
    clips = draw([CAPTIONS[index] for index in chosen], generator)
    start = int(torch.randint(LENGTH - frames + 1, (), generator=generator))
    parts = []
    for picture, mask in zip(clips.frames, clips.masks, strict=True):
        frame = int(torch.randint(LENGTH, (), generator=generator))
        y, x = (_corner(mask[0, frame].sum(1 - axis), side) for axis in (0, 1))
        parts.append(picture[:, start : start + frames, y : y + side, x : x + side])
    return torch.stack(parts) * 2 - 1


def _corner(profile: Tensor, side: int) -> int:
    """Return where a span of `side` pixels begins that is centred on a shape, given its extent along an axis."""
    centre = int((profile * torch.arange(SIZE)).sum() / profile.sum())
    return min(max(centre - side // 2, 0), SIZE - side)


def initialise(net: WanVAE) -> None:
    """Scale by fan-in; residual branches begin small. The host leaves weights uninitialised."""
    torch.manual_seed(0)
    for name, parameter in net.named_parameters():
        if name.endswith("gamma"):
            torch.nn.init.ones_(parameter)
        elif parameter.ndim < 2:
            torch.nn.init.zeros_(parameter)
        else:
            scale = 0.2 if name.endswith(("residual.6.weight", "proj.weight")) else 1.0
            torch.nn.init.normal_(parameter, std=scale * parameter[0].numel() ** -0.5)
