"""The second expert of a run: its own options and conds, opened inside a run that the first one started."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch

from ..host.sampling import (
    CFGGuider,
    EnumHookMode,
    ModelPatcher,
    WrapperExecutor,
    cast_to_load_options,
    cleanup_models,
    create_model_options_clone,
    filter_registered_hooks_on_conds,
    get_all_wrappers,
    get_total_hook_groups_in_conds,
    keyframes_kept,
    mark_in_use,
    point_host_at,
    prepare_model_patcher,
    prepare_sampling,
    preprocess_conds_hooks,
    process_conds,
    split_over_gpus,
)


@dataclass(frozen=True)
class RunInputs:
    """The host's arguments of a run, which the second expert needs when it is opened. Latents are [B, C, T, H, W]."""

    noise: torch.Tensor
    latent_image: torch.Tensor
    device: torch.device
    sigmas: torch.Tensor
    denoise_mask: torch.Tensor | None
    seed: int | None
    latent_shapes: list[Any] | None


class Stage(CFGGuider):
    """Takes the steps `CFGGuider.sample` takes around a sampler, but leaves the sampler to the run it is part of.

    `prepare` sets up options and conds, `load` brings the weights in, `close` undoes whatever was done.
    """

    def __init__(self, patcher: ModelPatcher, conds: dict[str, list[dict]]):
        super().__init__(patcher)
        self.original_conds = conds
        self.loaded = False
        self._undo = ExitStack()

    def prepare(self) -> "Stage":
        """As `CFGGuider.sample` up to `outer_sample`: hooks registered, wrappers merged, nothing loaded."""
        patcher = self.model_patcher
        self.conds = {name: [cond.copy() for cond in conds] for name, conds in self.original_conds.items()}
        preprocess_conds_hooks(self.conds)
        self.model_options = create_model_options_clone(self.model_options)
        self._undo.callback(patcher.restore_hook_patches)
        self._undo.callback(setattr, patcher, "hook_mode", patcher.hook_mode)
        self._undo.callback(lambda: cast_to_load_options(self.model_options, device=patcher.offload_device))
        if get_total_hook_groups_in_conds(self.conds) <= 1:  # weights that never change need no cache
            patcher.hook_mode = EnumHookMode.MinVram
        prepare_model_patcher(patcher, self.conds, self.model_options)
        filter_registered_hooks_on_conds(self.conds, self.model_options)
        return self

    def load(self, run: RunInputs) -> None:
        """As `outer_sample` and `inner_sample` up to the sampler; again when a sampler comes back to this expert."""
        patcher = self.model_patcher
        self.inner_model, self.conds, loaded = prepare_sampling(
            patcher, run.noise.shape, self.conds, self.model_options
        )
        if not self.loaded:
            self._undo.callback(cleanup_models, self.conds, loaded)
            self._undo.callback(patcher.cleanup)
            self._undo.callback(mark_in_use, patcher, False)
            cast_to_load_options(self.model_options, device=run.device, dtype=patcher.model_dtype())
            patcher.pre_run()
            self.conds = self._made_for_this_model(run)
            self.loaded = True
        split_over_gpus(patcher, loaded, self.model_options, self._undo)
        point_host_at(patcher, run.latent_shapes)
        mark_in_use(patcher, True)

    def _made_for_this_model(self, run: RunInputs) -> dict[str, list[dict]]:
        latent_image = run.latent_image
        if torch.count_nonzero(latent_image):  # the host leaves an empty latent as it is
            latent_image = self.inner_model.process_latent_in(latent_image)
        with keyframes_kept(self.conds):
            return process_conds(
                self.inner_model,
                run.noise,
                self.conds,
                run.device,
                latent_image,
                run.denoise_mask,
                run.seed,
                latent_shapes=run.latent_shapes,
            )

    def close(self) -> None:
        """Leave the patcher as it was before `prepare`; safe to call at any point, and twice."""
        self._undo.close()

    def wrapped(self, kind: str, function: Callable, owner: object, known: frozenset[str] = frozenset()) -> Callable:
        """`function` inside this expert's wrappers of one kind, but for those whose keys are in `known`."""
        own = self.model_options["transformer_options"].get("wrappers", {}).get(kind, {})
        chosen = {"wrappers": {kind: {key: list(found) for key, found in own.items() if key not in known}}}
        return WrapperExecutor.new_class_executor(function, owner, get_all_wrappers(kind, chosen)).execute
