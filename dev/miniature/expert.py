"""Training of the miniature's experts: the host's Wan transformers, each on its side of the boundary, on latents."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from ...experts.variant import HIGH, WanVariant

TEXT_LENGTH = 512
LAYERS, DIM, FFN_DIM = 8, 128, 128
BATCH, DROPPED = 16, 0.1  # clips a step; the part of them whose caption is replaced


@dataclass(frozen=True)
class Lessons:
    """Training data of an expert, N clips: normalised latents [N, 16, T, H, W], the index of each one's prompt in
    `contexts` [P, 512, 4096], and the indices of the prompts that stand for no caption. I2V also has `concat`,
    [N, 20, T, H, W]: mask and image latents, as the host appends them."""

    latents: Tensor
    prompts: Tensor
    contexts: Tensor
    dropped: tuple[int, ...]
    concat: Tensor | None = None


def network(in_dim: int) -> torch.nn.Module:
    """Return an untrained expert: 16 channels in for T2V, 36 for I2V."""
    from comfy.ldm.wan.model import WanModel
    from comfy.ops import disable_weight_init

    return WanModel(
        model_type="t2v",
        in_dim=in_dim,
        dim=DIM,
        ffn_dim=FFN_DIM,
        num_heads=DIM // 128,
        num_layers=LAYERS,
        operations=disable_weight_init,
        dtype=torch.float32,
    )


def initialise(net: torch.nn.Module, seed: int) -> None:
    """Scale by fan-in; residual branches begin small and the head at zero. The host leaves weights uninitialised."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in net.named_parameters():
        with torch.no_grad():
            if name.endswith("modulation"):
                parameter.normal_(std=DIM**-0.5, generator=generator)
                if parameter.shape[1] == 6:
                    parameter[:, (2, 5)] += 0.5  # the gates of the residual branches
            elif "norm" in name and name.endswith("weight"):
                parameter.fill_(1)
            elif parameter.ndim < 2 or name == "head.head.weight":
                parameter.zero_()
            else:
                scale = 0.2 if name.startswith("time_projection") else 1.0
                parameter.normal_(std=scale * parameter[0].numel() ** -0.5, generator=generator)


def widen(weights: dict[str, Tensor], in_dim: int) -> dict[str, Tensor]:
    """Return T2V weights for an expert that takes more channels and does not look at them yet."""
    old = weights["patch_embedding.weight"]
    new = old.new_zeros(old.shape[0], in_dim, *old.shape[2:])
    new[:, : old.shape[1]] = old
    return {**weights, "patch_embedding.weight": new}


class ShortText:
    """Contexts without the copies of their padding: the same attention at a fiftieth of the keys.

    The host pads text with zeros after the encoder, so the padding's n keys and values are all alike, and n equal
    keys weigh as much as one of them with log(n) added to its logit.
    """

    def __init__(self, contexts: Tensor) -> None:
        used = contexts.abs().amax(2).ne(0).sum(1)
        width = int(used.max()) + 1
        place = torch.arange(width)
        bias = torch.full((len(contexts), width), -math.inf)
        bias[place < used[:, None]] = 0
        bias[torch.arange(len(contexts)), used] = (contexts.shape[1] - used).log()
        self.rows, self.bias = contexts[:, :width], bias

    def options(self, prompts: Tensor) -> dict[str, Callable[..., Tensor]]:
        """Return the transformer options for a batch of these prompts, for which the context is `rows[prompts]`."""
        from comfy.ldm.modules.attention import attention_pytorch

        bias = self.bias[prompts, None, None]

        def attend(_: object, q: Tensor, k: Tensor, v: Tensor, heads: int, **__: object) -> Tensor:
            mask = bias.to(q) if k.shape[1] != q.shape[1] else None
            with sdpa_kernel(SDPBackend.MATH):  # whose backward is the fastest on a CPU at this size
                return attention_pytorch(q, k, v, heads, mask=mask)

        return {"optimized_attention_override": attend}


class Lesson:
    """The flow-matching loss of one expert: velocity from noise to clip, on the sigmas that its stage visits."""

    def __init__(self, net: torch.nn.Module, lessons: Lessons, variant: WanVariant, role: str, seed: int) -> None:
        self.net, self.lessons, self.variant, self.role, self.seed = net, lessons, variant, role, seed
        self.text = ShortText(lessons.contexts)

    def __call__(self, step: int) -> Tensor:
        """Return the loss of the batch that belongs to `step`."""
        generator = torch.Generator().manual_seed(self.seed * 10**7 + step)
        chosen = torch.randint(len(self.lessons.latents), (BATCH,), generator=generator)
        clips, prompts = self.lessons.latents[chosen], self.lessons.prompts[chosen]
        dropped = torch.tensor(self.lessons.dropped)
        nothing = dropped[torch.randint(len(dropped), (BATCH,), generator=generator)]
        prompts = torch.where(torch.rand(BATCH, generator=generator) < DROPPED, nothing, prompts)
        sigmas = self.sigmas(torch.rand(BATCH, generator=generator))
        noise = torch.randn(clips.shape, generator=generator)
        mixed = torch.lerp(clips, noise, sigmas[:, None, None, None, None])
        if self.lessons.concat is not None:
            mixed = torch.cat([mixed, self.lessons.concat[chosen]], 1)
        velocity = self._forward(mixed, sigmas * 1000, prompts)
        return (velocity.cpu() - (noise - clips)).square().mean()

    def sigmas(self, uniform: Tensor) -> Tensor:
        """Spread over the expert's side of the boundary as evenly spaced timesteps are after the shift."""
        shift, boundary = self.variant.shift, self.variant.boundary
        switch = boundary / (shift - (shift - 1) * boundary)  # the timestep that the shift moves to the boundary
        unshifted = switch + (1 - switch) * uniform if self.role == HIGH else switch * uniform
        return shift * unshifted / (1 + (shift - 1) * unshifted)

    def _forward(self, mixed: Tensor, timesteps: Tensor, prompts: Tensor) -> Tensor:
        device = next(self.net.parameters()).device
        options = self.text.options(prompts)
        with torch.autocast(device.type, torch.bfloat16):
            rows = self.text.rows[prompts].to(device)
            return self.net(mixed.to(device), timesteps.to(device), rows, transformer_options=options).float()
