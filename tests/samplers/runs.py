"""One sampling job on tiny experts, done by the host alone or by the guider."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import comfy.hooks
import comfy.sample
import comfy.samplers
import comfy.sd
import torch
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from comfy_extras.nodes_context_windows import WanContextWindowsManualNode
from comfy_extras.nodes_custom_sampler import Noise_RandomNoise, SamplerCustomAdvanced
from comfy_extras.nodes_model_advanced import ModelSamplingSD3
from torch import Tensor
from wan_duet.experts.handle import ModelHandle
from wan_duet.experts.pair import Expert, Experts
from wan_duet.samplers.guider import DuetGuider
from wan_duet.samplers.plan import Plan, last_steps, two_phases
from wan_duet.samplers.schedules import schedule_sigmas

SHIFT, BOUNDARY, SEED = 8.0, 0.875, 7
SIZE = (1, 16, 3, 8, 8)  # [B, C, T, H, W]
# One step at a time, three forwards a step (and three switches), options added to the run, own noise, history.
SOLVERS = [
    "euler",
    "heunpp2",
    "euler_cfg_pp",
    "euler_ancestral",
    "dpmpp_2m_sde",
    "dpmpp_2m",
    "res_multistep",
    "uni_pc",
]

Cond = list[list[Any]]


def random(*shape: int, seed: int) -> Tensor:
    """The same numbers for the same seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def prompt(seed: int, *, tokens: int = 8, **values: Any) -> Cond:
    """A CONDITIONING of random text, with further values in its dict."""
    return [[random(1, tokens, 4096, seed=seed), values]]


def lora() -> dict[str, Tensor]:
    """A LoRA of rank 4 on one linear of a tiny expert (dim 128), strong enough to be seen."""
    down, up = random(4, 128, seed=5), random(128, 4, seed=6)
    name = "diffusion_model.blocks.0.self_attn.q"
    return {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}


def hooked(*keyframes: tuple[float, float]) -> Cond:
    """A prompt that brings a LoRA, at strengths that start at given percents of the run."""
    hooks = comfy.hooks.create_hook_lora(lora(), 1.0, 0.0)
    schedule = comfy.hooks.HookKeyframeGroup()
    for percent, strength in keyframes:
        schedule.add(comfy.hooks.HookKeyframe(strength, percent))
    hooks.set_keyframes_on_hooks(schedule)
    return prompt(1, hooks=hooks)


@dataclass(frozen=True)
class Job:
    """What to sample: everything about a run but the models."""

    sampler: str = "euler"
    steps: int = 20
    strength: float = 1.0
    shift: float = SHIFT
    cfg: float = 3.5
    cfg_low: float | None = None
    given: tuple[float, ...] | None = None
    positive: Cond = field(default_factory=lambda: prompt(1))
    negative: Cond = field(default_factory=lambda: prompt(2))
    latent: Tensor = field(default_factory=lambda: torch.zeros(SIZE))
    mask: Tensor | None = None

    @property
    def sigmas(self) -> tuple[float, ...]:
        """The sigmas that were given, or those a plan would make."""
        return self.given or last_steps(schedule_sigmas("simple", self.sampler, self.steps, self.shift), self.strength)

    @property
    def plan(self) -> Plan:
        """The plan for a pair."""
        cfg_low = self.cfg if self.cfg_low is None else self.cfg_low
        return Plan(self.sigmas, self.shift, two_phases(BOUNDARY, self.cfg, cfg_low))

    @property
    def arguments(self) -> dict[str, Any]:
        """What any guider's `sample` takes, fresh for each run: samplers may write into it."""
        return {
            "noise": comfy.sample.prepare_noise(self.latent, SEED),
            "latent_image": self.latent.clone(),
            "sampler": comfy.samplers.sampler_object(self.sampler),
            "sigmas": torch.tensor(self.sigmas),
            "denoise_mask": self.mask,
            "disable_pbar": True,
            "seed": SEED,
        }


def pair(high: ModelPatcher, low: ModelPatcher) -> Experts:
    """Experts from two MODELs."""
    return Experts(Expert(ModelHandle(high, "high")), Expert(ModelHandle(low, "low")))


def shifted(model: ModelPatcher, shift: float = SHIFT) -> ModelPatcher:
    """The MODEL behind the host's own ModelSamplingSD3."""
    return ModelSamplingSD3().patch(model, shift)[0]


def with_lora(model: ModelPatcher) -> ModelPatcher:
    """The MODEL behind the host's own LoRA loader."""
    return comfy.sd.load_lora_for_models(model, None, lora(), 1.0, 0.0)[0]


def window_settings() -> dict[str, Any]:
    """The settings of this host's context windows: of two latent frames that overlap by one, all options off."""
    declared = WanContextWindowsManualNode.define_schema().inputs
    options = {each.id: False for each in declared if isinstance(each, io.Boolean.Input)}
    windows = {"context_length": 5, "context_overlap": 4, "context_stride": 1}
    return {**options, **windows, "context_schedule": "standard_static", "fuse_method": "pyramid"}


def in_windows(model: ModelPatcher, **settings: Any) -> ModelPatcher:
    """The MODEL behind the host's own context windows."""
    return WanContextWindowsManualNode.execute(model, **{**window_settings(), **settings}).args[0]


def plain_guider(model: ModelPatcher, job: Job) -> comfy.samplers.CFGGuider:
    """The host's guider on one model."""
    guider = comfy.samplers.CFGGuider(shifted(model, job.shift))
    guider.set_conds(job.positive, job.negative)
    guider.set_cfg(job.cfg)
    return guider


def duet_guider(experts: Experts, job: Job, **settings: Any) -> DuetGuider:
    """Our guider on a pair."""
    guider = DuetGuider(experts, job.plan, **settings)
    guider.set_conds(job.positive, job.negative)
    return guider


def plain(model: ModelPatcher, job: Job) -> Tensor:
    """The host's uninterrupted run on one model."""
    return plain_guider(model, job).sample(**job.arguments)


def duet(experts: Experts, job: Job) -> Tensor:
    """Our run on a pair."""
    return duet_guider(experts, job).sample(**job.arguments)


def two_passes(high: ModelPatcher, low: ModelPatcher, job: Job) -> Tensor:
    """The host's usual graph: one run to the boundary, another one from there, without new noise."""
    switch = job.plan.roles().count("high")
    first, second = plain_guider(high, job), plain_guider(low, job)
    second.set_cfg(job.plan.cfg(0.0))
    arguments, sigmas = job.arguments, torch.tensor(job.sigmas)
    half_way = first.sample(**arguments | {"sigmas": sigmas[: switch + 1]})
    again = {"noise": torch.zeros_like(half_way), "latent_image": half_way, "sigmas": sigmas[switch:]}
    return second.sample(**arguments | again)


def run_in_node(guider: comfy.samplers.CFGGuider, job: Job) -> tuple[Tensor, Tensor]:
    """The two outputs of the host's SamplerCustomAdvanced: the latent, and the last denoised one."""
    arguments = job.arguments
    latent = {"samples": arguments["latent_image"]}
    noise = Noise_RandomNoise(SEED)
    outputs = SamplerCustomAdvanced.execute(noise, guider, arguments["sampler"], arguments["sigmas"], latent)
    sampled, denoised = (output["samples"] for output in outputs.args)
    return sampled, denoised


class Forward(NamedTuple):
    """One forward of a network: its timestep and how many latents went in."""

    timestep: float
    rows: int


@contextmanager
def forwards(model: ModelPatcher) -> Iterator[list[Forward]]:
    """Every forward that really went through the model's network while the block lasts; a cache may skip some."""
    seen: list[Forward] = []
    network = model.model.diffusion_model

    def called(_: torch.nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal timestep
        timestep = inputs[1].max().item()

    def computed(_: torch.nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(Forward(timestep, len(inputs[0])))

    timestep = float("nan")
    hooks = [network.register_forward_pre_hook(called), network.patch_embedding.register_forward_pre_hook(computed)]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def assert_same_run(high: ModelPatcher, low: ModelPatcher, job: Job) -> None:
    """The guider on two models does what the host does on the first, each model the forwards on its own side."""
    with forwards(high) as alone:
        expected = plain(high, job)
    with forwards(high) as by_high, forwards(low) as by_low:
        found = duet(pair(high, low), job)
    assert torch.equal(found, expected)
    assert by_high == [forward for forward in alone if forward.timestep >= BOUNDARY * 1000]
    assert by_low == [forward for forward in alone if forward.timestep < BOUNDARY * 1000]


def relative_difference(found: Tensor, expected: Tensor) -> float:
    """The L2 norm of the difference, relative to what was expected."""
    return ((found - expected).norm() / expected.norm()).item()
