"""The one door to undocumented names of the host's sampling code; tests/test_host_contract.py binds each of them."""

import importlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import comfy.sampler_helpers
from comfy.hooks import EnumHookMode, HookGroup
from comfy.k_diffusion.sampling import get_sigmas_exponential, get_sigmas_karras, trange
from comfy.model_patcher import ModelPatcher, create_model_options_clone
from comfy.model_sampling import CONST, ModelSamplingDiscreteFlow
from comfy.patcher_extension import CallbacksMP, WrapperExecutor, WrappersMP, get_all_wrappers
from comfy.sampler_helpers import (
    cleanup_models,
    convert_cond,
    get_hooks_from_cond,
    prepare_model_patcher,
    prepare_sampling,
)
from comfy.samplers import (
    KSAMPLER,
    SAMPLER_NAMES,
    SCHEDULER_NAMES,
    CFGGuider,
    KSampler,
    Sampler,
    calculate_sigmas,
    cast_to_load_options,
    filter_registered_hooks_on_conds,
    get_total_hook_groups_in_conds,
    ksampler,
    preprocess_conds_hooks,
    process_conds,
    sampler_object,
)

from .patching import is_dynamic

__all__ = [
    "CONST",
    "KSAMPLER",
    "SAMPLER_NAMES",
    "SCHEDULER_NAMES",
    "CFGGuider",
    "EnumHookMode",
    "KSampler",
    "ModelPatcher",
    "ModelSamplingDiscreteFlow",
    "Sampler",
    "WrapperExecutor",
    "WrappersMP",
    "calculate_sigmas",
    "cast_to_load_options",
    "cleanup_models",
    "convert_cond",
    "create_model_options_clone",
    "filter_registered_hooks_on_conds",
    "for_hooks",
    "get_all_wrappers",
    "get_sigmas_exponential",
    "get_sigmas_karras",
    "get_total_hook_groups_in_conds",
    "keep_schedules_apart",
    "keyframes_kept",
    "ksampler",
    "mark_in_use",
    "outliving_forward",
    "point_host_at",
    "prepare_model_patcher",
    "prepare_sampling",
    "preprocess_conds_hooks",
    "process_conds",
    "sampler_object",
    "split_over_gpus",
    "trange",
    "windows_go_on",
]


def for_hooks(patcher: Any, conds: dict[str, list[dict]]) -> ModelPatcher:
    """The patcher to sample with when `conds` carry hooks: a dynamic one (2026 hosts) can't apply them itself."""
    hooks = HookGroup()
    for cond in conds.values():
        get_hooks_from_cond(cond, hooks)
    if len(hooks) and is_dynamic(patcher):
        return patcher.get_non_dynamic_delegate()
    return patcher


def outliving_forward() -> AbstractContextManager[None]:
    """Allocate what outlives a block or a forward, which hosts from 0.35 on record and replay.

    A tensor that is held for longer would sit at an address that the next replay writes to.
    """
    try:
        pause = importlib.import_module("comfy.model_prefetch").pause_malloc_graph
    except (ImportError, AttributeError):  # hosts that do not record
        return nullcontext()
    return pause()


def mark_in_use(patcher: Any, used: bool) -> None:
    """Tell a 2026 host whether the run needs an expert now: it takes pinned memory from the others first.

    By itself it knows the MODELs on a graph's wires, and experts are none; both would pass for idle.
    """
    if mark := getattr(patcher, "set_in_use_by_current_prompt", None):
        mark(used)


def split_over_gpus(patcher: ModelPatcher, loaded: list[ModelPatcher], options: dict[str, Any], run: ExitStack) -> None:
    """Let a 2026 host split the conds of one evaluation over its GPUs, for this expert too, until `run` ends.

    The host does this for the guider's first expert only, and whoever carries `multigpu_*` options decides the weights.
    """
    prepare_clones = getattr(comfy.sampler_helpers, "prepare_model_patcher_multigpu_clones", None)
    clones = prepare_clones(patcher, loaded, options) if prepare_clones else []
    for clone in clones:
        run.callback(clone.cleanup)
        clone.pre_run()
    if clones and "multigpu_thread_pool" not in options:
        from comfy.multigpu import MultiGPUThreadPool  # only hosts that make such clones have it

        devices = [patcher.load_device, *(clone.load_device for clone in clones)]
        options["multigpu_thread_pool"] = MultiGPUThreadPool(devices)
        run.callback(options["multigpu_thread_pool"].shutdown)


def keep_schedules_apart(patcher: ModelPatcher, sampling: Any) -> None:
    """Keep the sigma table of `sampling`, the patcher's own, out of other runs of its model, and theirs out of it.

    DynamicVRAM (until 0.46) backs buffers up by their path, and at the next load puts them into whatever object is at
    that path by then.
    """
    table = sampling.sigmas

    def put_back(loaded: Any, *_: Any) -> None:
        sampling.sigmas = table
        getattr(loaded, "backup_buffers", {}).pop("model_sampling.sigmas", None)

    patcher.add_callback_with_key(CallbacksMP.ON_LOAD, "wan_duet_schedule", put_back)


@contextmanager
def keyframes_kept(conds: dict[str, list[dict]]) -> Iterator[None]:
    """Let the keyframes of the conds' hooks stay where the run has brought them: `process_conds` starts them over."""
    hooks = [hook for cond in conds.values() for entry in cond if entry.get("hooks") for hook in entry["hooks"].hooks]
    states = [vars(hook.hook_keyframe) for hook in hooks]
    reached = [dict(state) for state in states]
    yield
    for state, before in zip(states, reached, strict=True):
        state.update(before)


def point_host_at(patcher: ModelPatcher, latent_shapes: list[Any] | None) -> None:
    """Renew what the host keeps on a model for the length of a run, when evaluations move to another expert."""
    patcher.model.current_patcher = patcher  # one slot a model: wrong when both experts are clones of one
    if hasattr(patcher.model, "latent_shapes"):  # 2026 hosts
        patcher.model.latent_shapes = latent_shapes


def windows_go_on(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Let the context windows of one expert's options go on at the step that the other's have reached: at a sigma
    between two steps the host leaves them where they were."""
    reached: Any = before.get("context_handler")
    entering: Any = after.get("context_handler")
    if hasattr(reached, "_step") and hasattr(entering, "_step"):
        entering._step = reached._step
