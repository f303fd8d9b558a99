"""A target is for the whole run: one reuse threshold for both experts, found before the second one is open."""

import gc
import math
import re
import weakref
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from wan_duet.cache.planner import PlannedRun, solve_threshold
from wan_duet.cache.run import StepCache, with_cache
from wan_duet.cache.settings import CacheSettings
from wan_duet.cache.techniques.base import AccumulatedChange, Technique
from wan_duet.cache.techniques.dual_block import DualBlock
from wan_duet.cache.techniques.magcache import AUTHORS, MEASURE, MagCache
from wan_duet.cache.techniques.seacache import SeaCache
from wan_duet.cache.techniques.teacache import E0, E, TeaCache
from wan_duet.dev.tiny import transformer
from wan_duet.experts.checkpoint.contents import read_checkpoint
from wan_duet.experts.handle import FileHandle, ModelHandle
from wan_duet.experts.pair import KEEP_BOTH, ONE_AT_A_TIME, Expert, Experts
from wan_duet.experts.variant import HIGH, LOW
from wan_duet.tests.cache.planned import decide, steps_of
from wan_duet.tests.cache.planned import strip as marks_of
from wan_duet.tests.experts.quantised import made_here
from wan_duet.tests.samplers.runs import Job, duet_guider

JOB = Job(steps=20)
TECHNIQUES = [TeaCache(), TeaCache(signal=E0), MagCache()]
Write = Callable[..., Experts]


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Write]:
    """A function that writes two experts as files, with weights changed by role, and returns the closed pair."""

    def pair(residency: str = KEEP_BOTH, in_dim: int = 16, **changed: dict[str, Tensor]) -> Experts:
        experts = []
        for seed, role in enumerate((HIGH, LOW)):
            path = str(tmp_path / f"{role}.safetensors")
            save_file({**transformer(seed, in_dim=in_dim), **changed.get(role, {})}, path)
            experts.append(Expert(FileHandle(role, path, read_checkpoint(path))))
        return Experts(*experts, residency=residency)

    yield pair


def strips(experts: Experts, technique: Technique, job: Job = JOB, **settings: Any) -> tuple[list[str], str]:
    """The strip of each expert in a run, and the report."""
    said: list[str] = []
    cached = with_cache(experts, StepCache(technique, CacheSettings(**{"threshold": 0.0, **settings})))
    duet_guider(cached, job, say=said.append).sample(**job.arguments)
    return re.findall(r"evaluations computed  (\S+)", said[0]), said[0]


def change(weights: dict[str, Tensor], sigmas: list[float], signal: str) -> list[float]:
    """How the embedding of the timestep changes from step to step, by Wan's own formula."""
    frequencies = 10000 ** (-torch.arange(128, dtype=torch.float64) / 128)
    seen = []
    for sigma in sigmas:
        angles = 1000 * sigma * frequencies
        hidden = torch.cat([angles.cos(), angles.sin()]).float()
        for name in ("time_embedding.0", "time_embedding.2", "time_projection.1")[: 3 if signal == E0 else 2]:
            if name != "time_embedding.0":
                hidden = torch.nn.functional.silu(hidden)
            hidden = weights[f"{name}.weight"] @ hidden + weights[f"{name}.bias"]
        seen.append(hidden)
    return [float((now - before).abs().mean() / before.abs().mean()) for before, now in pairwise(seen)]


def official_teacache(changes: list[float], threshold: float) -> str:
    """The rule of the paper on one expert: first and last step, and wherever the sum reaches the threshold."""
    total, marks, streak = 0.0, "#", 0
    for number, now in enumerate(changes):
        total += now
        reuse = total < threshold and streak < 3 and number < len(changes) - 1
        marks += "." if reuse else "#"
        total, streak = (total, streak + 1) if reuse else (0.0, 0)
    return marks


@pytest.mark.parametrize("signal", [E, E0])
@pytest.mark.parametrize("target", [1.25, 2.0])
def test_teacache_meets_the_target_over_both_experts_with_one_threshold(
    write: Write, signal: str, target: float
) -> None:
    """The experts' weights differ, so that their embeddings do: the oracle knows both, we read one from its file."""
    slow = {f"time_embedding.0.{name}": transformer(1)[f"time_embedding.0.{name}"] * 0.1 for name in ("weight", "bias")}
    found, report = strips(write(low=slow), TeaCache(signal=signal), target=target)
    (said,) = set(re.findall(r"a reuse threshold of (\S+) for the target", report))
    changes = []
    for role, weights in ((HIGH, transformer(0)), (LOW, {**transformer(1), **slow})):
        own = [sigma for sigma in JOB.sigmas[:-1] if JOB.plan.role(sigma) == role]
        changes.append(change(weights, own, signal))
    near = [
        float(said) * share / 100 for share in range(80, 107)
    ]  # it is said in two digits, and tried in steps of 5 %
    tried = {threshold: [official_teacache(seen, threshold) for seen in changes] for threshold in near}
    assert found in tried.values()
    assert "".join(found).count("#") <= JOB.steps / target
    lower = [marks for threshold, marks in tried.items() if threshold < float(said) * 0.9]
    assert all("".join(marks).count("#") > JOB.steps / target for marks in lower)


@pytest.mark.parametrize("technique", TECHNIQUES, ids=lambda technique: technique.name)
@pytest.mark.parametrize("residency", [KEEP_BOTH, ONE_AT_A_TIME])
def test_closed_files_and_open_models_make_the_same_plan(write: Write, technique: Technique, residency: str) -> None:
    files = write(residency)
    models = Experts(*(Expert(ModelHandle(expert.handle.open(), expert.handle.name)) for expert in files))
    found, _ = strips(files, technique, target=2.0)
    assert found == strips(models, technique, target=2.0)[0]
    assert "".join(found).count("#") == 10


@pytest.mark.parametrize("name", ["scaled_fp8", "nvfp4", "mxfp8", "int8"])
def test_packed_files_are_looked_at_too(tmp_path: Path, name: str) -> None:
    experts = []
    for seed, role in enumerate((HIGH, LOW)):
        stored, path = made_here(name, transformer(seed)), str(tmp_path / f"{role}.safetensors")
        save_file(stored.tensors, path, stored.metadata)
        try:
            experts.append(Expert(FileHandle(role, path, read_checkpoint(path))))
        except ValueError as refused:
            pytest.skip(str(refused))
    found, report = strips(Experts(*experts), TeaCache(), target=2.0)
    assert len(set(re.findall(r"a reuse threshold of (\S+) for the target", report))) == 1
    assert "".join(found).count("#") == JOB.steps / 2


def test_the_second_expert_is_still_closed_when_the_first_is_planned(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    experts, opened = write(ONE_AT_A_TIME), []
    read, part = FileHandle._read, FileHandle.part
    monkeypatch.setattr(FileHandle, "_read", lambda self: (opened.append(f"open {self.name}"), read(self))[1])
    monkeypatch.setattr(
        FileHandle, "part", lambda self, modules: (opened.append(f"look at {self.name}"), part(self, modules))[1]
    )
    strips(experts, TeaCache(), target=2.0)
    assert opened == ["open high", "look at low", "open low"]
    opened.clear()
    strips(experts, TeaCache(), threshold=0.2)
    strips(experts, TeaCache(), target=2.0, low_only=True)
    assert opened == ["open high", "open low"] * 2


def test_an_expert_that_cant_be_looked_at_before_meets_the_target_for_itself(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FileHandle, "part", lambda self, modules: None)
    found, report = strips(write(), TeaCache(), target=2.0)
    assert "the low expert can't be looked at before it is open" in report
    assert [strip.count("#") for strip in found] == [len(strip) // 2 for strip in found]


def test_an_expert_without_a_step_need_not_be_looked_at(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FileHandle, "part", lambda self, modules: None)
    (low,), report = strips(write(), TeaCache(), Job(given=JOB.sigmas[-7:]), target=2.0, force=True)
    assert "can't be looked at" not in report
    assert low.count("#") == 3


def test_an_expert_that_is_left_alone_does_not_count(write: Write) -> None:
    """Else the low one would have to make up for it."""
    (high, low), _ = strips(write(), TeaCache(), target=1.5, low_only=True)
    assert set(high) == {"#"}
    assert low.count("#") == int(len(low) / 1.5)


@pytest.mark.parametrize("strength", [1.0, 0.3])
def test_a_run_of_one_expert_alone_is_planned_too(write: Write, strength: float) -> None:
    """All above the boundary, or all below it: the other expert has no steps."""
    given = JOB.sigmas[:7] if strength == 1.0 else JOB.sigmas[-7:]
    job = Job(given=given)
    found, _ = strips(write(), TeaCache(), job, target=2.0, force=True)
    assert [strip.count("#") for strip in found] == [3]


@pytest.mark.parametrize("technique", TECHNIQUES[:2], ids=lambda technique: technique.name)
def test_a_single_expert_meets_the_target(write: Write, technique: Technique) -> None:
    found, _ = strips(Experts(write().high), technique, target=2.0)
    assert [strip.count("#") for strip in found] == [10]


@pytest.mark.parametrize("technique", [DualBlock(1), SeaCache()], ids=lambda technique: technique.name)
def test_a_technique_that_cant_plan_tells_one_threshold_for_both_experts(write: Write, technique: Technique) -> None:
    experts = write()
    _, report = strips(experts, technique, threshold=0.0, target=1.4, max_consecutive=1)
    (told,) = re.findall(r"A reuse threshold of about (\S+) would have come near the target", report)
    found, _ = strips(experts, technique, threshold=float(told) * 1.1, max_consecutive=1)
    assert abs("".join(found).count("#") - JOB.steps / 1.4) <= 4


@pytest.mark.parametrize("technique", [TeaCache(), DualBlock(1)], ids=lambda technique: technique.name)
def test_a_pair_dies_with_its_last_owner(write: Write, technique: Technique) -> None:
    """At once: weights of some GB must not wait for the garbage collector."""
    experts = with_cache(write(), StepCache(technique, CacheSettings(0.2, target=2.0)))
    guider = duet_guider(experts, JOB)
    guider.sample(**JOB.arguments)
    handles = [weakref.ref(expert.handle) for expert in experts]
    gc.collect()
    gc.disable()
    try:
        del experts, guider
        assert [handle() for handle in handles] == [None, None]
    finally:
        gc.enable()


@pytest.mark.parametrize(("target", "high", "low"), [(2.0, "###", "##"), (5.0, "###", "##")])
def test_the_authors_retention_computes_the_first_fifth_of_each_stage(
    write: Write, target: float, high: str, low: str
) -> None:
    """Of 11 and of 9 steps; what is retained is saved elsewhere, as far as that goes."""
    found, _ = strips(write(), MagCache(retention=AUTHORS), target=target)
    plain, _ = strips(write(), MagCache(), target=target)
    assert [strip[: len(kept) + 1] for strip, kept in zip(found, (high, low), strict=True)] == [f"{high}.", f"{low}."]
    assert [strip[:2] for strip in plain] == ["#.", "#."]


def test_on_i2v_the_authors_retention_computes_all_of_the_high_expert_and_a_tenth_of_the_low_one(write: Write) -> None:
    (high, low), _ = strips(write(in_dim=36), MagCache(retention=AUTHORS), target=1.25)
    assert set(high) == {"#"}
    assert low.startswith("#.")
    assert (high + low).count("#") == 16


def test_magcache_knows_the_curve_of_the_other_expert(write: Write) -> None:
    """The published sizes drift less on the high expert, which is therefore reused more often."""
    (high, low), report = strips(write(), MagCache(), target=2.0)
    assert (high + low).count("#") == JOB.steps / 2
    assert len(set(re.findall(r"a reuse threshold of (\S+) for the target", report))) == 1
    assert high.count(".") / len(high) > 0.5 > low.count(".") / len(low)


def test_a_run_that_measures_saves_nothing_on_purpose_and_one_too_short_for_it_says_so(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("folder_paths.get_user_directory", lambda: str(tmp_path))
    technique = MagCache(("high", "low"), MEASURE)
    _, report = strips(write(), technique)
    assert "ratios measured" in report and "saved nothing" not in report
    _, report = strips(write(), technique, Job(steps=8))
    assert "saved nothing: every evaluation had to be computed" in report and "ratios measured" not in report


@pytest.mark.parametrize("target", [1.2, 1.5, 2.0, 2.5])
def test_a_target_is_met_by_the_lowest_threshold_that_does(target: float) -> None:
    changes = [math.inf, *(0.01 * (1 + step % 7) for step in range(39))]
    settings = CacheSettings(0.0, max_consecutive=5)
    threshold = solve_threshold([PlannedRun(AccumulatedChange(), settings, steps_of(40), changes)], target)
    assert sum(decide(AccumulatedChange(), changes, settings, steps_of(40), threshold)) <= 40 / target
    assert sum(decide(AccumulatedChange(), changes, settings, steps_of(40), threshold * 0.95)) > 40 / target


def test_a_target_beyond_what_the_guards_allow_is_met_as_nearly_as_can_be() -> None:
    changes = [math.inf, *[0.01] * 19]
    settings = CacheSettings(0.0, max_consecutive=1)
    threshold = solve_threshold([PlannedRun(AccumulatedChange(), settings, steps_of(20), changes)], 5.0)
    assert marks_of(decide(AccumulatedChange(), changes, settings, steps_of(20), threshold)) == "#." * 9 + "##"[:2]
