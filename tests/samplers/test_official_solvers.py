"""Our flow solvers against the official Wan schedulers and diffusers', on two closed-form experts."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from wan_duet.samplers.plan import Plan, two_phases
from wan_duet.samplers.schedules import schedule_sigmas
from wan_duet.samplers.solvers.names import FLOW_SOLVERS

ROOT = Path(__file__).resolve().parents[2]
STORED = ROOT / "tests" / "data" / "flow_schedulers.json"
SCRIPT = ROOT / "dev" / "live" / "flow_schedulers.py"
Case = dict[str, Any]

CASES: list[Case] = json.loads(STORED.read_text(encoding="utf-8"))


class Asked(NamedTuple):
    """One evaluation: the expert, and the latent it was asked about."""

    role: str
    x: Tensor


def name(case: Case) -> str:
    options = " ".join(map(str, case["options"].values()))
    return f"{case['source']} {case['solver']} {options} shift {case['shift']:g} {len(case['sigmas']) - 1} steps"


def velocity(x: Tensor, role: str, time: float) -> Tensor:
    """The two fields of dev/live/flow_schedulers.py."""
    if role == "high":
        return 1.1 * torch.tanh(0.7 * x + torch.cos(torch.tensor(3 * time, dtype=torch.float64)))
    return 0.8 * torch.sin(x + 2 * time)


def experts(plan: Plan, truncated: bool, asked: list[Asked]) -> Callable[[Tensor, Tensor], Tensor]:
    """Hands each evaluation to the field its sigma asks for; the official code drops the fraction of a timestep."""

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        exact = sigma[0].item()
        seen = int(exact * 1000) / 1000 if truncated else exact
        asked.append(Asked(plan.role(seen), x))
        return x - exact * velocity(x, asked[-1].role, seen)

    return denoise


def ours(case: Case, truncated: bool = True) -> tuple[Tensor, list[Asked]]:
    """The latent, and every evaluation."""
    plan = Plan(tuple(case["sigmas"]), case["shift"], two_phases(0.875, 1.0, 1.0))
    asked: list[Asked] = []
    x = torch.linspace(-2, 2, 16, dtype=torch.float64).unsqueeze(0)
    sample = FLOW_SOLVERS[case["solver"]]
    latent = sample(experts(plan, truncated, asked), x, torch.tensor(plan.sigmas), disable=True, **case["options"])
    return latent[0], asked


def difference(found: Tensor, stored: list[float]) -> float:
    wanted = torch.tensor(stored, dtype=torch.float64)
    return ((found - wanted).norm() / wanted.norm()).item()


@pytest.mark.parametrize("case", CASES, ids=name)
def test_our_solver_is_the_official_one_across_the_switch(case: Case) -> None:
    latent, asked = ours(case)
    assert {one.role for one in asked} == {"high", "low"}
    assert len(asked) == len(case["sigmas"]) - 1
    assert difference(asked[-1].x[0], case["asked"]) < 1e-5
    assert latent.isfinite().all()
    if case["options"].get("variant") != "bh1":  # of which the official code has no last step
        assert difference(latent, case["latent"]) < 1e-5


@pytest.mark.parametrize("case", CASES, ids=name)
def test_the_official_grid_is_a_scheduler_here(case: Case) -> None:
    scheduler = "wan_dpmpp" if case["solver"] == "flow_dpmpp" else "wan_unipc"
    sigmas = schedule_sigmas(scheduler, case["solver"], len(case["sigmas"]) - 1, case["shift"])
    assert sigmas == pytest.approx(case["sigmas"], abs=2e-7)


def test_what_the_official_code_truncates_can_be_seen() -> None:
    assert max(difference(ours(case, truncated=False)[1][-1].x[0], case["asked"]) for case in CASES) > 1e-4


def test_the_order_and_the_variant_matter() -> None:
    by_options = {str(case["options"]): case["asked"] for case in CASES if case["solver"] == "flow_unipc"}
    assert len({tuple(latent) for latent in by_options.values()}) == len(by_options) == 3


@pytest.mark.parametrize("options", [{"order": 4}, {"order": 0}, {"variant": "bh3"}])
def test_an_option_there_is_not_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"flow_unipc has order 1, 2, 3 and variant bh1, bh2; got"):
        FLOW_SOLVERS["flow_unipc"](lambda x, sigma: x, torch.zeros(1, 1), torch.tensor([1.0, 0.0]), **options)


@pytest.mark.live
def test_the_stored_results_are_those_of_the_official_code() -> None:
    variables = {**os.environ, "WAN_DUET_LIVE_PACKAGES": str(Path(os.environ["WAN_DUET_LIVE"], "flow_schedulers"))}
    run = subprocess.run([sys.executable, SCRIPT], env=variables, stdout=subprocess.PIPE, text=True, check=True)
    for live, stored in zip(json.loads(run.stdout), CASES, strict=True):
        numbers = ("sigmas", "asked", "latent")
        assert {**live, **dict.fromkeys(numbers)} == {**stored, **dict.fromkeys(numbers)}
        for number in numbers:
            assert live[number] == (stored[number] and pytest.approx(stored[number], rel=1e-6, abs=1e-7))
