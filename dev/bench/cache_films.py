"""Films of the miniature made in this process, as the shipped workflow makes them, with the blocks that ran counted."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

import comfy.sd
import numpy as np
import torch
from comfy.model_patcher import ModelPatcher
from kornia.metrics import ssim
from torch import Tensor
from wan_duet.dev.miniature import lessons
from wan_duet.dev.miniature.clips import CAPTIONS, Caption
from wan_duet.dev.miniature.expert import ShortText
from wan_duet.dev.miniature.studio import Frames, psnr
from wan_duet.dev.tiny_umt5 import shrink_text_encoder
from wan_duet.experts.handle import ModelHandle
from wan_duet.experts.pair import Expert, Experts
from wan_duet.experts.variant import T2V_A14B
from wan_duet.host.sampling import sampler_object
from wan_duet.samplers.guider import DuetGuider
from wan_duet.samplers.plan import Plan, two_phases
from wan_duet.samplers.schedules import schedule_sigmas
from wan_duet.tests.miniature.judge import judge

CFG = 3.5
LATENT = (1, 16, 5, 8, 8)
PACE = 7  # prime to the number of captions, so that seeds in a row have unlike ones

Prepare = Callable[[Experts], Experts]
"""What is done to the experts before a film: a cache put on them, or nothing."""


class Film(NamedTuple):
    """The latents of a film, the block forwards it took, and how many evaluations ran all blocks."""

    latents: Tensor
    blocks: int
    evaluations: int
    said: str


class Marks(NamedTuple):
    """Likeness of a film to the uncached one (dB, 0..1), and the share of its caption that the judge sees in it."""

    psnr: float
    ssim: float
    judge: float


class Films:
    """The miniature's text-to-video pair with its prompts encoded and the decoder at hand."""

    def __init__(self, weights: Path) -> None:
        shrink_text_encoder()
        with tempfile.TemporaryDirectory() as folder:
            contexts, (_, self._negative) = lessons.contexts(Path(folder))
        self._text = ShortText(contexts)
        self._vae = lessons.load_vae(weights / "vae.safetensors")
        self._run = [0, 0]  # forwards of any block, and of a last one
        self.models = [self._expert(weights / f"t2v_{role}.safetensors") for role in ("high", "low")]
        self.layers = len(self.models[0].model.diffusion_model.blocks)

    def _expert(self, file: Path) -> ModelPatcher:
        model = comfy.sd.load_diffusion_model(str(file))
        model.model_options["transformer_options"]["optimized_attention_override"] = self._attention()
        blocks = cast(torch.nn.ModuleList, model.model.diffusion_model.blocks)

        def count(block: torch.nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self._run[0] += len(inputs[0])
            self._run[1] += len(inputs[0]) * (block is blocks[-1])

        for block in blocks:
            block.register_forward_pre_hook(count)
        return model

    @torch.inference_mode()
    def make(self, seed: int, steps: int, prepare: Prepare = lambda experts: experts) -> Film:
        """Sample a film of `steps` Euler steps. Blocks are counted once for a prompt and once for its negative."""
        experts = Experts(*(Expert(ModelHandle(model, "expert")) for model in self.models))
        shift = T2V_A14B.shift
        plan = Plan(schedule_sigmas("simple", "euler", steps, shift), shift, two_phases(T2V_A14B.boundary, CFG, CFG))
        said: list[str] = []
        guider = DuetGuider(prepare(experts), plan, say=said.append)
        guider.set_conds(*([[self._text.rows[i][None], {}]] for i in (self._index(seed), self._negative)))
        noise = torch.randn(LATENT, generator=torch.Generator().manual_seed(seed))
        self._prompts = (self._index(seed), self._negative)
        self._run[:] = 0, 0
        made = guider.sample(
            noise, torch.zeros(LATENT), sampler_object("euler"), torch.tensor(plan.sigmas), disable_pbar=True, seed=seed
        )
        blocks, whole = self._run
        return Film(made, blocks, whole // 2, "\n".join(said))

    @torch.inference_mode()
    def frames(self, film: Film) -> Frames:
        """Decode a film: [T, H, W, 3] in 0..1."""
        decoded = self._vae.decode(film.latents)
        return ((decoded[0] + 1) / 2).clamp(0, 1).permute(1, 2, 3, 0).double().numpy()

    def marks(self, frames: Frames, whole: Frames, seed: int) -> Marks:
        """Compare a film with the uncached one of the same seed and steps."""
        found, expected = (torch.from_numpy(film).float().permute(0, 3, 1, 2) for film in (frames, whole))
        return Marks(psnr(frames, whole), float(ssim(found, expected, 11).mean()), self.agreement(frames, seed))

    def agreement(self, frames: Frames, seed: int) -> float:
        """The share of a film's caption that the judge sees in it."""
        verdict, caption = judge(frames), CAPTIONS[self._index(seed)]
        return float(np.mean([getattr(verdict, name) == getattr(caption, name) for name in Caption.__match_args__]))

    def _attention(self) -> Callable[..., Tensor]:
        """The host's attention, told how many copies the padding of the text stands for."""

        def attend(host: Callable[..., Tensor], q: Tensor, k: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            if k.shape[1] == self._text.rows.shape[1]:
                prompts = [self._prompts[negative] for negative in kwargs["transformer_options"]["cond_or_uncond"]]
                kwargs["mask"] = self._text.bias[prompts, None, None]
            return host(q, k, *args, **kwargs)

        return attend  # a function, because the host copies the options of a model with all that is in them

    def _index(self, seed: int) -> int:
        return seed * PACE % len(CAPTIONS)
