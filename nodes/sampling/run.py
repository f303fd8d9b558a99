"""Nodes of the shelf "Sampling": the run that follows a plan."""

from functools import partial
from typing import Any

from comfy_api.latest import io
from comfy_extras.nodes_custom_sampler import Noise_RandomNoise, SamplerCustomAdvanced

from ...experts.pair import Experts
from ...samplers.guider import DuetGuider
from ...samplers.plan import Plan
from ...samplers.solvers.names import name_of, wrong_line
from ..schema import advanced, schema
from ..sockets import WanExperts, WanPlan
from ..text import log_report, show
from .plan import CATEGORY, sigmas_of

MAX_SEED = 2**53 - 1  # what a number in the browser can hold


class Guider(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_Guider",
            display_name="Wan 2.2 Guider (Duet)",
            category=CATEGORY,
            description="Runs both experts as one model under SamplerCustomAdvanced: one uninterrupted run, one noise, "
            "one progress bar; the expert changes where the plan says.",
            search_aliases=["guider", "cfg guider", "dual model", "dual sampler", "moe sampler"],
            inputs=[
                WanExperts.Input("experts", tooltip="The pair to sample with."),
                WanPlan.Input("plan", tooltip="The plan of the run."),
                io.Conditioning.Input("positive", tooltip="What the video should show."),
                io.Conditioning.Input("negative", tooltip="What it should not; unused by an expert whose cfg is 1."),
            ],
            outputs=[io.Guider.Output(display_name="guider", tooltip="For SamplerCustomAdvanced.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, experts: Experts, plan: Plan, positive: list, negative: list) -> io.NodeOutput:
        guider = DuetGuider(experts, plan, say=partial(show, node_id=cls.hidden.unique_id))
        guider.set_conds(positive, negative)
        return io.NodeOutput(guider)


class Sampler(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_Sampler",
            display_name="Wan 2.2 Video Sampler (Duet)",
            category=CATEGORY,
            description="The whole run in one node: noise, guider and sampler.",
            search_aliases=[
                "wan2.2",
                "wan22",
                "t2v",
                "text to video",
                "ksampler advanced",
                "wan moe ksampler",
                "dual sampler",
                "two samplers",
            ],
            inputs=[
                WanExperts.Input("experts", tooltip="The pair to sample with."),
                WanPlan.Input("plan", tooltip="The plan of the run."),
                io.Sampler.Input("sampler", tooltip="The solver, from the plan node or any other."),
                io.Conditioning.Input("positive", tooltip="What the video should show."),
                io.Conditioning.Input("negative", tooltip="What it should not; unused by an expert whose cfg is 1."),
                io.Latent.Input("latent", tooltip="An empty latent, or one to start from at a strength below 1."),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=MAX_SEED,
                    control_after_generate=True,
                    tooltip="The same seed gives the same video.",
                ),
                advanced(
                    io.Int.Input(
                        "count",
                        default=1,
                        min=1,
                        max=64,
                        optional=True,
                        tooltip="Results with this seed and those after it, made one after the other.",
                    )
                ),
            ],
            outputs=[
                io.Latent.Output(
                    display_name="latent",
                    is_output_list=True,
                    tooltip="The finished video, still as a latent; one for each of the count.",
                ),
                io.String.Output(display_name="report", tooltip="What really ran: evaluations of each expert."),
            ],
        )

    @classmethod
    def execute(
        cls,
        experts: Experts,
        plan: Plan,
        sampler: Any,
        positive: list,
        negative: list,
        latent: dict,
        seed: int,
        count: int = 1,
    ) -> io.NodeOutput:
        if problem := wrong_line(name_of(sampler)):
            raise ValueError(problem)
        said: list[str] = []
        guider = DuetGuider(experts, plan, say=said.append)
        guider.set_conds(positive, negative)
        results = [_sampled(guider, plan, sampler, latent, seed + number) for number in range(count)]
        text = "\n".join(said) or "No step to do: the latent came back as it was."
        return io.NodeOutput(results, log_report(text))


def _sampled(guider: DuetGuider, plan: Plan, sampler: Any, latent: dict, seed: int) -> dict:
    """One run from `latent` by the host's SamplerCustomAdvanced; without steps nothing is opened."""
    if not plan.sigmas:
        return latent
    return SamplerCustomAdvanced.execute(Noise_RandomNoise(seed), guider, sampler, sigmas_of(plan), latent).args[0]
