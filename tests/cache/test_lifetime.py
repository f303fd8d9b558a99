"""Nothing outlives its run or crosses the switch, nothing given is changed, and an error leaves no trace."""

import gc
import os
import subprocess
import sys
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.sd
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from comfy.samplers import CFGGuider, ksampler
from safetensors.torch import save_file
from torch import nn
from wan_duet.cache.residuals import Residuals
from wan_duet.cache.run import CacheRun, StepCache, take_off_cache, with_cache
from wan_duet.cache.settings import CacheSettings
from wan_duet.cache.state import Evaluation, StageState
from wan_duet.cache.techniques.base import Technique
from wan_duet.cache.techniques.dual_block import DualBlock
from wan_duet.cache.techniques.seacache import SeaCache
from wan_duet.cache.techniques.teacache import TeaCache
from wan_duet.dev.tiny import transformer
from wan_duet.experts.lora.expert_lora import ExpertLora
from wan_duet.experts.lora.schedule import parse_schedule
from wan_duet.experts.pair import Experts
from wan_duet.experts.variant import HIGH
from wan_duet.samplers.guider import DuetGuider
from wan_duet.tests.cache.models import always, blocks, cached, calls, prompt, sample, sigmas
from wan_duet.tests.samplers.runs import Job, duet_guider, hooked, lora, pair

JOB = Job(steps=16)
BACK_AND_FORTH = Job("heunpp2", steps=16)  # its evaluations change experts three times
REUSE = CacheSettings(1e9, warmup=1, max_consecutive=2)
JOBS = [JOB, Job(steps=12, latent=torch.zeros(1, 16, 5, 12, 8))]
FIRST = DualBlock(1)
TECHNIQUES = {
    FIRST: REUSE,
    TeaCache(): replace(REUSE, target=2.0),
    SeaCache(): replace(REUSE, threshold=0.4),
}
TESTS = Path(__file__).resolve().parents[1]
FRESH = """
import sys
from pathlib import Path
import conftest
import torch
torch.set_num_threads(1)
from wan_duet.tests.cache.test_lifetime import JOBS, expert, films
folder = Path(sys.argv[2]).parent
torch.save(films(expert(0, folder), expert(1, folder), JOBS[int(sys.argv[1])]), sys.argv[2])
"""

BY_THE_HOST = {"total_blocks", "block_type", "block_index"}  # written among the options by ComfyUI 0.8's own models


def expert(seed: int, folder: Path) -> ModelPatcher:
    """One half of a pair, of four blocks, from a file in `folder`."""
    path = folder / f"expert_{seed}.safetensors"
    save_file(transformer(seed, layers=4), path)
    return comfy.sd.load_diffusion_model(str(path))


@pytest.fixture(scope="module")
def high(tmp_path_factory: pytest.TempPathFactory) -> ModelPatcher:
    return expert(0, tmp_path_factory.mktemp("high"))


@pytest.fixture(scope="module")
def low(tmp_path_factory: pytest.TempPathFactory) -> ModelPatcher:
    return expert(1, tmp_path_factory.mktemp("low"))


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> list[weakref.ref]:
    """Every residual that is kept while the test runs, and all that is kept to compare with."""
    found: list[weakref.ref] = []
    put, end = Residuals.put, StageState.end

    def putting(self: Residuals, key: Any, sigma: float, residual: torch.Tensor) -> None:
        found.append(weakref.ref(residual))
        put(self, key, sigma, residual)

    def ending(self: StageState, evaluation: Evaluation) -> None:
        end(self, evaluation)
        kept = self.accumulated if isinstance(self.accumulated, tuple) else (self.accumulated,)
        found.extend(weakref.ref(it) for it in kept if isinstance(it, torch.Tensor))

    monkeypatch.setattr(Residuals, "put", putting)
    monkeypatch.setattr(StageState, "end", ending)
    return found


def guider(high: ModelPatcher, low: ModelPatcher, job: Job, technique: Technique = FIRST) -> DuetGuider:
    return duet_guider(with_cache(pair(high, low), StepCache(technique, TECHNIQUES[technique])), job)


def alive(stored: list[weakref.ref]) -> int:
    gc.collect()
    return sum(kept() is not None for kept in stored)


def films(high: ModelPatcher, low: ModelPatcher, job: Job) -> list[torch.Tensor]:
    """What each technique makes of a job on these models."""
    return [guider(high, low, job, technique).sample(**job.arguments) for technique in TECHNIQUES]


def test_two_runs_are_those_of_two_fresh_processes(high: ModelPatcher, low: ModelPatcher, tmp_path: Path) -> None:
    """Other noise, other length, size and number of steps, on models that have run before."""
    paths = [tmp_path / f"{number}.pt" for number in range(len(JOBS))]
    variables = {**os.environ, "COMFYUI_PATH": str(Path(comfy.sd.__file__).parents[1])}
    commands = [[sys.executable, "-c", FRESH, str(number), str(path)] for number, path in enumerate(paths)]
    fresh = [subprocess.Popen(command, cwd=TESTS, env=variables) for command in commands]
    found = [[films(high, low, job) for job in JOBS] for _ in range(2)]
    assert [process.wait(120) for process in fresh] == [0] * len(JOBS)
    for number, path in enumerate(paths):
        for expected, *again in zip(torch.load(path), *(films[number] for films in found), strict=True):
            assert all(torch.equal(film, expected) for film in again)


def test_a_guider_that_ran_before_makes_what_a_new_one_makes(high: ModelPatcher, low: ModelPatcher) -> None:
    expected = [guider(high, low, job).sample(**job.arguments) for job in JOBS]
    reused = guider(high, low, JOB)
    for job, film in zip([*JOBS, *JOBS], [*expected, *expected], strict=True):
        assert torch.equal(reused.sample(**job.arguments), film)


@pytest.mark.parametrize("technique", TECHNIQUES, ids=lambda technique: technique.name)
def test_nothing_is_left_after_a_run(high: ModelPatcher, low: ModelPatcher, stored: list, technique: Technique) -> None:
    made = guider(high, low, JOB, technique)
    made.sample(**JOB.arguments)
    assert stored and alive(stored) == 0


@pytest.mark.parametrize("job", [JOB, BACK_AND_FORTH], ids=["once", "three times"])
def test_nothing_crosses_the_switch(
    high: ModelPatcher, low: ModelPatcher, stored: list, monkeypatch: pytest.MonkeyPatch, job: Job
) -> None:
    """When an expert leaves, what it made is gone at once, and the next one begins by computing."""
    left: list[int] = []
    leave = CacheRun.leave

    def leaving(self: CacheRun, role: str) -> None:
        leave(self, role)
        left.append(alive(stored))

    monkeypatch.setattr(CacheRun, "leave", leaving)
    with calls([blocks(high)[-1], blocks(low)[-1]]) as ran:
        guider(high, low, job).sample(**job.arguments)
    assert left and set(left) == {0}
    assert all(ran)


def strips(job: Job, experts: Experts, settings: CacheSettings) -> list[str]:
    """The strip of each expert, by the report of a run."""
    said: list[str] = []
    experts = with_cache(experts, StepCache(DualBlock(1), settings))
    duet_guider(experts, job, say=said.append).sample(**job.arguments)
    return [line.split()[-1] for line in said[0].splitlines() if "evaluations computed" in line]


def test_where_a_lora_changes_its_strength_the_step_is_computed(
    high: ModelPatcher, low: ModelPatcher, tmp_path: Path
) -> None:
    settings = replace(REUSE, max_consecutive=99)
    plain = strips(JOB, pair(high, low), settings)
    assert [strip.count("#") for strip in plain] == [2, 2]
    by_prompt = Job(steps=16, positive=hooked((0.0, 1.0), (0.3, 0.5)))
    assert strips(by_prompt, pair(high, low), settings)[0].count("#") > 2
    save_file(lora(), tmp_path / "lora.safetensors")
    row = ExpertLora(str(tmp_path / "lora.safetensors"), HIGH, parse_schedule("1,0.5;1"))
    assert strips(JOB, pair(high, low).with_lora(row), settings)[0].count("#") == 3


def test_each_stage_computes_its_warm_up_and_its_last_step(high: ModelPatcher, low: ModelPatcher) -> None:
    found = strips(JOB, pair(high, low), replace(REUSE, warmup=3, max_consecutive=99))
    assert [strip[:3] + strip[-1] for strip in found] == ["####", "####"]
    assert [set(strip[3:-1]) for strip in found] == [{"."}, {"."}]


@pytest.mark.parametrize(
    ("technique", "call", "block"),
    [(FIRST, 1, 0), (FIRST, 12, 0), (FIRST, 4, 3), (SeaCache(), 4, 0)],
    ids=lambda value: getattr(value, "name", str(value)),
)
@pytest.mark.parametrize(
    "error", [comfy.model_management.InterruptProcessingException(), torch.cuda.OutOfMemoryError("no memory")], ids=str
)
def test_an_interrupt_within_a_block_leaves_no_trace(
    high: ModelPatcher,
    low: ModelPatcher,
    stored: list,
    technique: Technique,
    call: int,
    block: int,
    error: BaseException,
) -> None:
    expected = guider(high, low, JOB, technique).sample(**JOB.arguments)
    hooks = [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in high.model.modules()]
    made, seen = guider(high, low, JOB, technique), []

    def interrupt(*_: Any) -> None:
        seen.append(None)
        if len(seen) == call:
            raise error

    stopping = [blocks(model)[block].register_forward_hook(interrupt) for model in (high, low)]
    try:
        with pytest.raises(type(error)):
            made.sample(**JOB.arguments)
    finally:
        for hook in stopping:
            hook.remove()
    for model in (high, low):
        network = model.model.diffusion_model
        assert type(network.blocks) is nn.ModuleList and type(network.head).__module__.startswith("comfy.")
    assert hooks == [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in high.model.modules()]
    assert alive(stored) == 0
    assert torch.equal(made.sample(**JOB.arguments), expected)


@pytest.mark.parametrize("technique", [DualBlock(1), TeaCache(), SeaCache()], ids=lambda technique: technique.name)
def test_what_a_model_is_given_stays_as_it_was(base: ModelPatcher, technique: Technique) -> None:
    """In fp32, where nothing is copied on the way: latents, timesteps, texts, and the options' own entries."""
    model, kept = cached(base, technique, **always(mask="#..#..##")), []

    def look(executor: Any, *args: Any, **kwargs: Any) -> Any:
        options = args[5] if len(args) > 5 else kwargs["transformer_options"]
        given = [arg for arg in (*args, *kwargs.values(), *options.values()) if isinstance(arg, torch.Tensor)]
        before, entries = [tensor.clone() for tensor in given], dict(options)
        result = executor(*args, **kwargs)
        names = {**entries, **options}.keys() - BY_THE_HOST
        unlike = [name for name in names if options.get(name) is not entries.get(name)]
        aliased = any(result.data_ptr() == tensor.data_ptr() for tensor in given)
        kept.append(all(map(torch.equal, given, before)) and not unlike and not aliased)
        return result

    wrappers = model.wrappers[WrappersMP.APPLY_MODEL]
    model.wrappers[WrappersMP.APPLY_MODEL] = {"look": [look], **wrappers}
    sample(model)
    assert kept == [True] * 8


def test_another_size_in_the_middle_of_a_run_is_computed_and_no_more(base: ModelPatcher) -> None:
    """The host's EasyCache skips every later step once the shape has changed, whatever its threshold."""
    computed: list[bool] = []

    def solver(model: Any, x: torch.Tensor, sigmas: torch.Tensor, extra_args: Any, **_: Any) -> torch.Tensor:
        for step, sigma in enumerate(sigmas[:-1]):
            size = x if step < 4 else x[..., :6]
            with calls([blocks(base)[-1]]) as ran:
                model(size, sigma * x.new_ones([1]), **extra_args)
            computed.append(ran[0] > 0)
        return x

    def run(threshold: float) -> list[bool]:
        computed.clear()
        sampler = ksampler("euler")
        sampler.sampler_function = solver
        made = CFGGuider(cached(base, threshold=threshold, max_consecutive=99))
        made.set_conds(prompt("base", 1), prompt("base", 2))
        latent = torch.ones(1, 16, 3, 8, 8)
        made.sample(latent, latent * 0, sampler, sigmas(), disable_pbar=True)
        return list(computed)

    assert run(1e-9) == [True] * 8
    assert run(1e9) == [True, False, False, False, True, False, False, True]


def test_models_that_bring_no_cache_are_left_as_they_are(base: ModelPatcher) -> None:
    assert take_off_cache([base, base]) == ([base, base], None)
