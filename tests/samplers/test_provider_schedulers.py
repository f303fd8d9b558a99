"""The documented scheduler names: one table, which the node, its help page and the runs agree on."""

import os
from pathlib import Path

import comfy.samplers
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from wan_duet.experts.lora.expert_lora import ExpertLora
from wan_duet.experts.lora.schedule import constant
from wan_duet.nodes.sampling.plan import ProviderSchedulerNode as Node
from wan_duet.nodes.sampling.run import Sampler
from wan_duet.remote.contract.contracts import contract
from wan_duet.samplers.guider import DuetGuider
from wan_duet.samplers.planner import make_plan
from wan_duet.samplers.provider_schedulers import UNSUPPORTED, ProviderScheduler, provider_schedulers
from wan_duet.samplers.schedules import SCHEDULERS
from wan_duet.samplers.solvers.names import FLOW_SOLVERS, SOLVERS, WRONG_ON_FLOW, name_of, solver
from wan_duet.tests.samplers.runs import Job, pair
from wan_duet.tests.samplers.test_planner import T2V

PAGE = Path(__file__).resolve().parents[2] / "web" / "docs" / "WanDuet_ProviderScheduler.md"
ROWS = provider_schedulers()
HEAD = "| name | solver | options | scheduler | verdict | what differs |\n|---|---|---|---|---|---|\n"


def table() -> str:
    """The table of the help page."""
    return HEAD + "".join(_line(row) for row in ROWS.values())


def _line(row: ProviderScheduler) -> str:
    options = ", ".join(f"{name} {value}" for name, value in row.options.items())
    return f"| {row.name} | {row.solver} | {options} | {row.scheduler} | {row.verdict} | {row.differs} |\n"


def test_there_are_75() -> None:
    assert len(ROWS) == 75
    verdicts = [row.verdict for row in ROWS.values()]
    assert [verdicts.count(verdict) for verdict in ("exact", "nearest", "distilled only", "unsupported")] == [
        18,
        53,
        3,
        1,
    ]


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.name)
def test_every_name_comes_to_something_this_pack_offers(row: ProviderScheduler) -> None:
    assert row.differs
    if row.verdict == UNSUPPORTED:
        assert not row.solver
        return
    assert row.solver in {*SOLVERS} - {*WRONG_ON_FLOW}
    assert row.scheduler in SCHEDULERS


def test_the_help_page_has_the_table() -> None:
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(HEAD)
    after = rest[rest.index("\n\n") + 1 :]
    if "WAN_DUET_REGENERATE" in os.environ:
        PAGE.write_text(before + table() + after, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == before + table() + after


@pytest.mark.parametrize("name", ROWS)
def test_every_name_runs_on_the_pair_or_is_refused(name: str, high: ModelPatcher, other: ModelPatcher) -> None:
    if ROWS[name].verdict == UNSUPPORTED:
        with pytest.raises(ValueError, match=f"scheduler '{name}' is not supported: it turns an image into noise"):
            Node.execute(name)
        return
    sampler, scheduler, text = Node.execute(name).args
    assert text.startswith(f"{name}: {ROWS[name].solver}")
    experts, job = pair(high, other), Job()
    plan = make_plan(experts, steps=4, cfg_high=1.0, cfg_low=1.0, scheduler=scheduler)
    guider = DuetGuider(experts, plan, say=lambda _: None)
    guider.set_conds(job.positive, job.negative)
    latent = guider.sample(**job.arguments | {"sampler": sampler, "sigmas": torch.tensor(plan.sigmas)})
    assert latent.isfinite().all()
    assert guider.evaluations["high"] > 0
    assert guider.evaluations["low"] > 0


def test_a_name_for_distilled_models_warns_unless_one_is_on() -> None:
    warning = "warning: put a distilled LoRA on both experts"
    assert warning in Node.execute("LCM").args[2]
    assert warning in Node.execute("LCM", T2V).args[2]
    distilled = T2V.with_lora(ExpertLora("wan_lightning.safetensors", "high", constant(1.0)))
    assert warning not in Node.execute("LCM", distilled).args[2]
    assert warning not in Node.execute("UniPC", T2V).args[2]


@pytest.mark.parametrize("name", WRONG_ON_FLOW)
def test_the_sampler_node_refuses_a_solver_that_is_wrong_on_flow(
    name: str, high: ModelPatcher, other: ModelPatcher
) -> None:
    experts = pair(high, other)
    plan = make_plan(experts, steps=4, cfg_high=1.0, cfg_low=1.0)
    given = {"positive": [], "negative": [], "latent": {"samples": torch.zeros(1)}, "seed": 0}
    with pytest.raises(
        ValueError, match=f"Sampler '{name}' is not made for flow models .* use '{WRONG_ON_FLOW[name]}'"
    ):
        Sampler.execute(experts, plan, solver(name), **given)


def test_a_solver_is_known_by_its_function() -> None:
    assert [name_of(solver(name)) for name in FLOW_SOLVERS] == list(FLOW_SOLVERS)
    names = {name: name_of(comfy.samplers.sampler_object(name)) for name in comfy.samplers.SAMPLER_NAMES}
    assert {name: found for name, found in names.items() if name != found} == {"ddim": "euler"}
    assert name_of(comfy.samplers.Sampler()) == "another"


def test_the_remote_contract_takes_the_same_names() -> None:
    scheduler = contract("runware/wan22_animate").parameter("scheduler")
    assert scheduler is not None
    assert scheduler.enum == tuple(ROWS)
