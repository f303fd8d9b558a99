"""Named plans: each is a run the host can do, and the official ones add no noise of their own."""

import pytest
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor
from wan_duet.nodes.sampling.plan import PresetNode
from wan_duet.samplers.guider import DuetGuider
from wan_duet.samplers.presets import PRESETS, PlanPreset, preset_plan
from wan_duet.samplers.solvers.names import solver
from wan_duet.tests.samplers.runs import Job, pair


def run(preset: PlanPreset, high: ModelPatcher, low: ModelPatcher, seed: int) -> tuple[Tensor, int]:
    """The latent from one and the same noise, and the number of evaluations."""
    experts, job = pair(high, low), Job()
    plan = preset_plan(preset, experts)
    guider = DuetGuider(experts, plan)
    guider.set_conds(job.positive, job.negative)
    given = {"sampler": solver(preset.sampler), "sigmas": torch.tensor(plan.sigmas), "seed": seed}
    return guider.sample(**job.arguments | given), guider.evaluations.total()


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_takes_its_steps_and_draws_no_noise(name: str, high: ModelPatcher, other: ModelPatcher) -> None:
    latent, evaluations = run(PRESETS[name], high, other, seed=1)
    assert evaluations == PRESETS[name].steps
    assert torch.equal(latent, run(PRESETS[name], high, other, seed=2)[0])


def test_the_first_preset_is_the_official_text_to_video_run(high: ModelPatcher, other: ModelPatcher) -> None:
    preset = PRESETS["Quality 40"]
    plan = preset_plan(preset, pair(high, other))
    assert (plan.roles().count("high"), plan.roles().count("low")) == (26, 14)
    assert (plan.cfg(1.0), plan.cfg(0.0), plan.shift) == (4.0, 3.0, 12.0)


def test_a_preset_is_one_row(high: ModelPatcher, other: ModelPatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    row = PlanPreset(6, 2.0, 1.0, 5.0, "heun", "beta", about="a preset of this test's own")
    monkeypatch.setitem(PRESETS, "Toy 6", row)
    (choice,) = (one for one in PresetNode.define_schema().inputs if one.id == "preset")
    assert "Toy 6" in choice.as_dict()["options"] and "Toy 6: a preset of this test's own." in str(choice.tooltip)
    plan, _, sigmas, report = PresetNode.execute(pair(high, other), "Toy 6").args
    assert (len(sigmas), plan.shift, plan.cfg(1.0), plan.cfg(0.0)) == (7, 5.0, 2.0, 1.0)
    assert report.startswith("Toy 6: a preset of this test's own") and "heun / beta" in report
