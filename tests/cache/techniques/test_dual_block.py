"""Dual Block Cache beside cache-dit itself: the same decisions, the same results, the same masks."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from wan_duet.cache.block_skip import Gate
from wan_duet.cache.settings import CacheSettings
from wan_duet.cache.state import Batch, ResidualKey, StageState
from wan_duet.cache.step_rules import StepRange, parse_mask
from wan_duet.cache.techniques.dual_block import DualBlock
from wan_duet.tests.cache.toy import STEPS, Toy, hidden

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "dev" / "live" / "dbcache.py"
STORED: dict[str, Any] = json.loads((ROOT / "tests" / "data" / "dbcache.json").read_text(encoding="utf-8"))
SETTINGS = ("first", "threshold", "warmup", "max_consecutive", "mask", "pace")


def ran(first: int, threshold: float, warmup: int, max_consecutive: int, mask: str, pace: float) -> dict[str, Any]:
    """A run of ours over the toy. One more step is planned, because we always compute the last one."""
    net = Toy()
    sigmas = tuple(torch.linspace(1, 0, STEPS + 2).tolist())
    settings = CacheSettings(threshold, max_consecutive, warmup, extrapolate=False)
    stage = StepRange(sigmas, tuple(range(STEPS + 1)), parse_mask(mask, STEPS) + "#")
    state = StageState(settings, DualBlock(first), stage, torch.tensor(sigmas), "")
    key = ResidualKey("prompt", None, 0, (), torch.float64, torch.device("cpu"), ())
    strip, sums = "", []
    for step in range(STEPS):
        evaluation = state.begin(sigmas[step], (), torch.zeros(1))
        evaluation.leader = key.prompt
        batch = Batch(state, evaluation, [key])
        with batch, Gate(net, first, batch.decide, batch.keep):
            sums.append(float(net(hidden(step, pace)).sum()))
        state.end(evaluation)
        strip += "." if batch.reused else "#"
    return {"strip": strip, "sums": sums}


@pytest.mark.parametrize("case", STORED["runs"], ids=lambda case: " ".join(str(case[name]) for name in SETTINGS))
def test_we_decide_what_cache_dit_decides_and_make_the_same_of_it(case: dict[str, Any]) -> None:
    found = ran(**{name: case[name] for name in SETTINGS})
    assert found["strip"] == case["strip"]
    assert found["sums"] == pytest.approx(case["sums"], rel=1e-9, abs=1e-9)


def test_the_runs_are_of_many_kinds() -> None:
    strips = {case["strip"] for case in STORED["runs"]}
    reused = [strip.count(".") for strip in strips]
    assert len(strips) > 20
    assert min(reused) < STEPS / 6 and max(reused) > STEPS / 2


@pytest.mark.parametrize("name", STORED["masks"])
def test_a_named_mask_is_cache_dits(name: str) -> None:
    for steps, marks in STORED["masks"][name].items():
        assert parse_mask(name, int(steps)) == marks


@pytest.mark.live
def test_the_stored_results_are_those_of_cache_dit() -> None:
    variables = {**os.environ, "WAN_DUET_LIVE_PACKAGES": str(Path(os.environ["WAN_DUET_LIVE"], "dbcache"))}
    run = subprocess.run([sys.executable, SCRIPT], env=variables, stdout=subprocess.PIPE, text=True, check=True)
    live = json.loads(run.stdout)
    assert live["masks"] == STORED["masks"]
    for found, stored in zip(live["runs"], STORED["runs"], strict=True):
        assert found["sums"] == pytest.approx(stored["sums"], rel=1e-9, abs=1e-9)
        assert {**found, "sums": None} == {**stored, "sums": None}


def test_blocks_of_another_pack_may_work_in_place() -> None:
    net, kept = Toy(), []
    for block in net.blocks:
        forward = block.forward
        block.forward = lambda x, forward=forward: x.copy_(forward(x))
    expected = net(hidden(0, 0.1))
    with Gate(net, 0, lambda _: None, kept.append):
        net(hidden(0, 0.1))
    with Gate(net, 0, lambda _: kept[0], kept.append):
        assert torch.allclose(net(hidden(0, 0.1)), expected)
