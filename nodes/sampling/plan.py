"""Nodes of the shelf "Sampling": what is decided before a run."""

from typing import Any

import torch
from comfy_api.latest import io

from ...experts.pair import Experts
from ...samplers.distilled import any_distilled
from ...samplers.plan import Plan
from ...samplers.planner import LAST_STEPS, STRENGTH_MODES, make_plan, report
from ...samplers.presets import PRESETS, preset_plan
from ...samplers.provider_schedulers import DISTILLED_ONLY, provider_schedulers
from ...samplers.schedules import SCHEDULERS
from ...samplers.solvers.names import SOLVERS, name_of, options_of
from ...samplers.solvers.names import solver as named_solver
from ..schema import advanced, schema
from ..sockets import WanExperts, WanPlan
from ..text import log_report

CATEGORY = "Wan Duet/Sampling"


def sigmas_of(plan: Plan) -> torch.Tensor:
    """The plan's sigmas as the host takes them, [steps + 1]."""
    return torch.tensor(plan.sigmas, dtype=torch.float32)


def _plan_outputs() -> list[io.Output]:
    return [
        WanPlan.Output(display_name="plan", tooltip="Everything about the run that is known before it."),
        io.Sampler.Output(
            display_name="sampler", tooltip="The solver, for SamplerCustomAdvanced or Wan 2.2 Video Sampler."
        ),
        io.Sigmas.Output(display_name="sigmas", tooltip="The plan's sigmas, for SamplerCustomAdvanced."),
        io.String.Output(display_name="report", tooltip="Which expert does which step, at which sigma and cfg."),
    ]


class StagePlan(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_StagePlan",
            display_name="Wan 2.2 Stage Plan",
            category=CATEGORY,
            description="Plans a run: where the experts change follows from the sigmas and the boundary the model was "
            "trained with, not from a guess. Opens no weights.",
            search_aliases=["scheduler", "sigmas", "boundary", "split steps", "shift", "modelsamplingsd3"],
            inputs=[
                WanExperts.Input("experts", tooltip="The pair to plan for; only its headers are looked at."),
                *_guidance(),
                *_solving(),
                _strength(),
                *_rarely_needed(),
                io.Sampler.Input(
                    "solver", optional=True, tooltip="From Provider Scheduler or another node, in place of sampler."
                ),
            ],
            outputs=_plan_outputs(),
        )

    @classmethod
    def execute(
        cls,
        experts: Experts,
        steps: int,
        cfg_high: float,
        cfg_low: float,
        shift: float,
        sampler: str,
        scheduler: str,
        strength: float,
        boundary: float = 0.0,
        strength_mode: str = LAST_STEPS,
        solver: Any = None,
    ) -> io.NodeOutput:
        plan = make_plan(
            experts,
            steps=steps,
            cfg_high=cfg_high,
            cfg_low=cfg_low,
            shift=shift,
            sampler=name_of(solver) if solver else sampler,
            options=options_of(solver) if solver else {},
            scheduler=scheduler,
            strength=strength,
            boundary=boundary,
            strength_mode=strength_mode,
        )
        return _planned(plan, experts, solver)


def _guidance() -> list[io.Input]:
    return [
        io.Int.Input("steps", default=20, min=1, max=1000, tooltip="Steps of the whole run, both experts."),
        io.Float.Input(
            "cfg_high",
            default=3.5,
            min=0.0,
            max=100.0,
            step=0.1,
            tooltip="Guidance of the high-noise expert. 1: none, and twice as fast; 0 ignores the prompt.",
        ),
        io.Float.Input(
            "cfg_low",
            default=3.5,
            min=0.0,
            max=100.0,
            step=0.1,
            tooltip="Guidance of the low-noise expert. At 1 it skips the negative prompt and is twice as fast.",
        ),
    ]


def _solving() -> list[io.Input]:
    return [
        io.Float.Input(
            "shift",
            default=0.0,
            min=0.0,
            max=100.0,
            step=0.01,
            display_name="shift (0: model's own)",
            tooltip="Time that the run spends at high noise. 0 follows the model: 12 for T2V, 5 for I2V, "
            "or what a ModelSamplingSD3 node has set. Distilled LoRAs want 5.",
        ),
        io.Combo.Input("sampler", options=SOLVERS, default="euler", tooltip="The solver."),
        io.Combo.Input("scheduler", options=SCHEDULERS, default="simple", tooltip="Spacing of the sigmas."),
    ]


def _strength() -> io.Input:
    strength = io.Float.Input(
        "strength",
        default=1.0,
        min=0.0,
        max=1.0,
        step=0.01,
        tooltip="For a run that starts from a video or an image: how much of it is regenerated. Below 1 only the last "
        "steps x strength steps run. 0 gives it back, 1 ignores it.",
    )
    return advanced(strength)


def _rarely_needed() -> list[io.Input]:
    boundary = io.Float.Input(
        "boundary",
        default=0.0,
        optional=True,
        min=0.0,
        max=1.0,
        step=0.001,
        display_name="boundary (0: model's own)",
        tooltip="The sigma at which the experts change. 0 follows the model: .875 for T2V, .9 for I2V.",
    )
    strength_mode = io.Combo.Input(
        "strength_mode",
        options=list(STRENGTH_MODES),
        default=LAST_STEPS,
        optional=True,
        tooltip="last steps: strength 0.5 of 20 runs the last 10 (diffusers, fal). all steps: 20 run "
        "from about the same start (ComfyUI's denoise); with few steps a high strength is then full.",
    )
    return [advanced(boundary), advanced(strength_mode)]


class PresetNode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        abouts = "\n".join(f"{name}: {preset.about}." for name, preset in PRESETS.items())
        return schema(
            node_id="WanDuet_Preset",
            display_name="Wan 2.2 Plan Preset",
            category=CATEGORY,
            description="A whole plan under one name. The report gives every value it stands for.",
            search_aliases=["lightning", "turbo", "4 steps", "quality", "preset"],
            inputs=[
                WanExperts.Input("experts", tooltip="The pair to plan for; only its headers are looked at."),
                io.Combo.Input("preset", options=list(PRESETS), default="Balanced 20", tooltip=abouts),
            ],
            outputs=_plan_outputs(),
        )

    @classmethod
    def execute(cls, experts: Experts, preset: str) -> io.NodeOutput:
        values = PRESETS[preset]
        return _planned(preset_plan(values, experts), experts, about=f"{preset}: {values.about}\n")


def _planned(plan: Plan, experts: Experts, solver: Any = None, about: str = "") -> io.NodeOutput:
    """The outputs of a plan node; the solver is the plan's own unless one is given."""
    text = f"{about}{report(plan, experts)}"
    return io.NodeOutput(plan, solver or named_solver(plan.sampler), sigmas_of(plan), log_report(text))


class ProviderSchedulerNode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_ProviderScheduler",
            display_name="Wan 2.2 Provider Scheduler",
            category=CATEGORY,
            description="A scheduler by the name that Runware documents, as the nearest thing this machine can do. "
            "Names that nothing here can honour are refused.",
            search_aliases=["runware", "scheduler name", "unipc", "dpm++", "karras"],
            inputs=[
                io.Combo.Input(
                    "provider_scheduler",
                    options=list(provider_schedulers()),
                    default="UniPC",
                    tooltip="A documented name; the report says how near it comes.",
                ),
                WanExperts.Input(
                    "experts",
                    optional=True,
                    tooltip="With them connected, names for distilled models are checked against their LoRAs.",
                ),
            ],
            outputs=[
                io.Sampler.Output(
                    display_name="sampler", tooltip="For the solver of Stage Plan, or for Wan 2.2 Video Sampler."
                ),
                io.Custom("COMBO").Output(
                    display_name="provider_scheduler", tooltip="For the scheduler of Stage Plan."
                ),
                io.String.Output(display_name="report", tooltip="What the name comes to, and what differs."),
            ],
        )

    @classmethod
    def execute(cls, provider_scheduler: str, experts: Experts | None = None) -> io.NodeOutput:
        found = provider_schedulers()[provider_scheduler]
        found.check()
        lines = [str(found)]
        if found.verdict == DISTILLED_ONLY and not (experts and any_distilled(experts)):
            lines.append("warning: put a distilled LoRA on both experts, or choose another name.")
        return io.NodeOutput(named_solver(found.solver, found.options), found.scheduler, log_report("\n".join(lines)))
