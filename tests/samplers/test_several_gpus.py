"""A 2026 host that divides evaluations over GPUs: each expert is divided over its own clones.

Played by a stand-in, which shows what is asked of the host; where the host can do it, it is really done as well.
"""

import importlib
import math
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import comfy.model_management
import comfy.sampler_helpers
import pytest
import torch
from comfy.model_base import BaseModel
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from comfy.samplers import CFGGuider
from comfyui_version import __version__
from safetensors.torch import save_file
from wan_duet.experts.lora.expert_lora import ExpertLora
from wan_duet.experts.lora.schedule import constant, parse_schedule
from wan_duet.experts.pair import Experts
from wan_duet.tests.experts.lora.layouts import LAYOUTS, build
from wan_duet.tests.samplers.runs import Job, duet, duet_guider, pair, plain

BACK_AND_FORTH = Job("euler", given=(1.0, 0.9, 0.8, 0.95, 0.92, 0.7, 0.0))
DIVIDES = hasattr(comfy.sampler_helpers, "prepare_model_patcher_multigpu_clones")
SECOND = torch.device("cpu", 2)  # of the same machine, though the host tells them apart
ROLES = ["high", "high", "low", "high", "high", "low"]


class Clone:
    """An expert's patcher on the second GPU."""

    load_device = SECOND

    def __init__(self, main: ModelPatcher) -> None:
        self.model = main.model
        self.loaded = True
        self.running = False

    def pre_run(self) -> None:
        self.running = True

    def cleanup(self) -> None:
        self.running = False


class Pool:
    """Threads that wait for work, one a GPU."""

    def __init__(self, devices: list[torch.device]) -> None:
        self.devices = devices
        self.open = True

    def shutdown(self) -> None:
        self.open = False


class Host:
    """The host's part: new clones at every load, prepared for the guider's own patcher and for everybody who asks."""

    def __init__(self) -> None:
        self.clones: list[Clone] = []
        self.pools: list[Pool] = []

    def load(self, patcher: ModelPatcher) -> list[ModelPatcher]:
        """In place of `get_nested_additional_models`, where the host finds the clones that it loads along."""
        for clone in self.clones:
            clone.loaded &= clone.model is not patcher.model
        self.clones.append(Clone(patcher))
        return []

    def prepare(self, patcher: ModelPatcher, loaded: list[Any], options: dict[str, Any]) -> list[Clone]:
        """Put the clones into the options that decide whose weights are used."""
        (clone,) = (clone for clone in self.clones if clone.loaded and clone.model is patcher.model)
        options["multigpu_clones"] = {patcher.load_device: patcher, clone.load_device: clone}
        return [clone]

    def start_pool(self, devices: list[torch.device]) -> Pool:
        self.pools.append(Pool(devices))
        return self.pools[-1]

    def sample(self, guider: CFGGuider, inner_sample: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        """What `CFGGuider.outer_sample` does around `inner_sample`."""
        with ExitStack() as run:
            for clone in self.prepare(guider.model_patcher, guider.loaded_models, guider.model_options):
                clone.pre_run()
                run.callback(clone.cleanup)
            pool = self.start_pool(list(guider.model_options["multigpu_clones"]))
            guider.model_options["multigpu_thread_pool"] = pool
            run.callback(pool.shutdown)
            return inner_sample(guider, *args, **kwargs)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host()
    inner_sample = CFGGuider.inner_sample
    if not DIVIDES:
        monkeypatch.setitem(sys.modules, "comfy.multigpu", ModuleType("comfy.multigpu"))
        monkeypatch.setattr(
            CFGGuider,
            "inner_sample",
            lambda guider, *args, **kwargs: host.sample(guider, inner_sample, *args, **kwargs),
        )
    module = importlib.import_module("comfy.multigpu")
    monkeypatch.setattr(module, "MultiGPUThreadPool", host.start_pool, raising=False)
    monkeypatch.setattr(comfy.sampler_helpers, "prepare_model_patcher_multigpu_clones", host.prepare, raising=False)
    monkeypatch.setattr(ModelPatcher, "get_nested_additional_models", lambda patcher: host.load(patcher))
    return host


class Split:
    """Looks at the options of every evaluation, where such a host divides it, and leaves it whole."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.seen: list[dict[str, Any]] = []
        self.fail_at = fail_at

    def __call__(self, executor: Any, *args: Any) -> Any:
        options = args[-1]
        pool, clones = options["multigpu_thread_pool"], options["multigpu_clones"]
        on_gpus = [clone.loaded and clone.running for clone in clones.values() if isinstance(clone, Clone)]
        models = {patcher.model for patcher in clones.values()}
        self.seen.append({"models": models, "pool": pool, "ready": pool.open and on_gpus == [True]})
        if len(self.seen) == self.fail_at:
            raise RuntimeError("out of memory")
        return executor(*args[:-1], {key: options[key] for key in options if not key.startswith("multigpu_")})


def on(split: Split, *models: ModelPatcher) -> list[ModelPatcher]:
    """The MODELs, with `split` in every evaluation of theirs."""
    clones = [model.clone() for model in models]
    for clone in clones:
        clone.add_wrapper_with_key(WrappersMP.CALC_COND_BATCH, "split", split)
    return clones


def test_every_evaluation_is_divided_over_clones_of_its_own_expert(
    host: Host, high: ModelPatcher, other: ModelPatcher
) -> None:
    split = Split()
    duet(pair(*on(split, high, other)), BACK_AND_FORTH)
    models = dict(zip(("high", "low"), ({high.model}, {other.model}), strict=True))
    assert [seen["models"] for seen in split.seen] == [models[role] for role in ROLES]
    assert all(seen["ready"] for seen in split.seen)


def test_each_expert_keeps_one_pool_over_its_gpus(host: Host, high: ModelPatcher, other: ModelPatcher) -> None:
    split = Split()
    duet(pair(*on(split, high, other)), BACK_AND_FORTH)
    pools = dict(zip(("high", "low"), host.pools, strict=True))
    assert [seen["pool"] for seen in split.seen] == [pools[role] for role in ROLES]
    assert all(pool.devices == [high.load_device, Clone.load_device] for pool in host.pools)


@pytest.mark.parametrize("fail_at", [None, 2, 3, 4, 6])
def test_pools_and_clones_end_with_the_run(
    fail_at: int | None, host: Host, high: ModelPatcher, other: ModelPatcher
) -> None:
    split = Split(fail_at)
    guider = duet_guider(pair(*on(split, high, other)), BACK_AND_FORTH)
    try:
        guider.sample(**BACK_AND_FORTH.arguments)
    except RuntimeError:
        assert len(split.seen) == fail_at
    assert host.pools
    assert not any(pool.open for pool in host.pools)
    assert not any(clone.running for clone in host.clones)


def test_dividing_changes_nothing_about_the_run(host: Host, high: ModelPatcher, twin: ModelPatcher) -> None:
    found = duet(pair(*on(Split(), high, twin)), BACK_AND_FORTH)
    assert torch.equal(found, plain(*on(Split(), high), BACK_AND_FORTH))


divides = pytest.mark.skipif(not DIVIDES, reason=f"ComfyUI {__version__} divides nothing over GPUs")


@divides
@pytest.mark.parametrize("job", [BACK_AND_FORTH, Job("dpmpp_2m_sde", steps=6), Job("uni_pc", steps=6)])
def test_what_the_host_divides_over_two_devices_makes_the_run_of_one_model(
    job: Job, high: ModelPatcher, twin: ModelPatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = [high.load_device, SECOND]
    monkeypatch.setattr(comfy.model_management, "get_all_torch_devices", lambda **_: devices)
    multigpu = importlib.import_module("comfy.multigpu")
    ran: Counter[torch.device] = Counter()

    def note(executor: Any, *args: Any, **kwargs: Any) -> Any:
        ran[args[5]["multigpu_thread_device"]] += 1
        return executor(*args, **kwargs)

    divided = [multigpu.create_multigpu_deepclones(model, 2) for model in (high, twin)]
    for model in divided:
        model.add_wrapper_with_key(WrappersMP.APPLY_MODEL, "note", note)
    found, ran_by_ours = duet(pair(*divided), job), ran.copy()
    ran.clear()
    assert torch.equal(found, plain(divided[0], job))
    assert ran_by_ours == ran and ran.keys() == set(devices)


@divides
@pytest.mark.parametrize("schedule", ["", "0.5,1;1,0.5"], ids=["merged", "scheduled"])
def test_loras_reach_every_weight_on_both_devices(
    schedule: str, high: ModelPatcher, twin: ModelPatcher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Modulations too, which the host never merges: an object patch of theirs is shared by an expert's clones."""
    (layout,) = (layout for layout in LAYOUTS if layout.name == "lightx2v_diff_m")
    shapes = {name: weight.shape for name, weight in high.model.state_dict().items()}
    save_file(build(layout, shapes)[0], tmp_path / "lora.safetensors")

    def with_lora(*models: ModelPatcher) -> Experts:
        experts = pair(*models)
        for role in ("high", "low"):
            strength = parse_schedule(schedule).on(role)
            path = str(tmp_path / "lora.safetensors")
            row = ExpertLora(path, role, strength if schedule else constant(1.0))
            experts = experts.with_lora(row)
        return experts

    monkeypatch.setattr(BaseModel, "memory_required", lambda _, shape, **__: 0.0 if shape[0] == 1 else math.inf)
    whole = duet(with_lora(high, twin), BACK_AND_FORTH)
    assert not torch.equal(whole, plain(high, BACK_AND_FORTH))
    devices = [high.load_device, SECOND]
    monkeypatch.setattr(comfy.model_management, "get_all_torch_devices", lambda **_: devices)
    multigpu = importlib.import_module("comfy.multigpu")
    divided = [multigpu.create_multigpu_deepclones(model, 2) for model in (high, twin)]
    assert torch.equal(duet(with_lora(*divided), BACK_AND_FORTH), whole)
