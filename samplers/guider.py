"""One uninterrupted sampling run across both experts."""

import copy
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch

from ..experts.checkpoint.meta_patcher import twin_of, twin_of_checkpoint
from ..experts.handle import FileHandle
from ..experts.memory import can_prefetch, residency
from ..experts.pair import Experts
from ..experts.prefetch import Prefetch
from ..experts.variant import HIGH, LOW
from ..host.memory import release_memory
from ..host.sampling import (
    CFGGuider,
    ModelPatcher,
    Sampler,
    WrappersMP,
    cleanup_models,
    convert_cond,
    create_model_options_clone,
    for_hooks,
    mark_in_use,
    point_host_at,
    prepare_sampling,
    split_over_gpus,
    windows_go_on,
)
from .conds import for_expert, refuse_ignored_frames, refuse_other_size
from .finite import check_given, check_made
from .lora_schedule import on_plan
from .model_options import added, merged
from .observers import following
from .plan import Plan, ignored_negative_line, split_line
from .shift import Shift
from .stage import Run, Stage

log = logging.getLogger("wan_duet")


class DuetGuider(CFGGuider):
    """A CFGGuider that hands every evaluation to the expert, and the cfg, its sigma asks for.

    The sampler never notices: its history, noise and progress run on across the switch. The expert of the first
    sigma leads the run in the host's own way; the other one is a `Stage`, loaded at the first sigma that is its own.
    """

    def __init__(self, experts: Experts, plan: Plan, say: Callable[[str], None] = log.info):
        # CFGGuider's own __init__ would open an expert now; a graph may yet be cancelled, or start below the boundary
        self.experts, self._followers = following(on_plan(experts, plan).with_change(Shift(plan.shift)), plan)
        self.plan = plan
        self.say = say
        self.original_conds: dict[str, list[dict]] = {}
        self.cfg = plan.phases[0].cfg
        self.evaluations: Counter[str] = Counter()
        self._lead = self._role(plan.sigmas[0]) if plan.sigmas else HIGH
        self._active = self._lead
        self._keep, self._why = True, ""
        self._patcher: ModelPatcher | None = None
        self._twin: ModelPatcher | None = None
        self._options: dict[str, Any] | None = None
        self._stages: dict[str, Stage] = {}

    @property
    def model_patcher(self) -> ModelPatcher:
        """The expert that leads the run; a twin without weights while it is closed and should not stay in memory."""
        return self._patcher or self._twin or self._open_lead()

    @property
    def model_options(self) -> dict[str, Any]:
        """The leading expert's options; the host puts the run's own copy here while it samples."""
        return self.model_patcher.model_options if self._options is None else self._options

    @model_options.setter
    def model_options(self, options: dict[str, Any]) -> None:
        self._options = options

    def inner_set_conds(self, conds: dict[str, list]) -> None:
        """Keep the conds; 2026 hosts would choose a patcher by them here, before both experts are known."""
        self.original_conds.update({name: convert_cond(cond) for name, cond in conds.items()})
        self._patcher = self._twin = None
        refuse_ignored_frames(self.original_conds, self.experts)

    def sample(
        self,
        noise: torch.Tensor,
        latent_image: torch.Tensor,
        sampler: Sampler,
        sigmas: torch.Tensor,
        *args: Any,
        **kwargs: Any,
    ) -> torch.Tensor:
        """One run over `sigmas`. Latents are [B, C, T, H, W]; with no sigmas the latent comes back as it is."""
        if len(sigmas) == 0:
            return latent_image
        refuse_other_size(self.original_conds, noise.shape)
        check_given(latent_image)
        given = tuple(sigmas.tolist())
        with ExitStack() as self._after:
            self._begin([self._role(sigma) for sigma in given[:-1] or given])
            # A copy, because uni_pc writes into the sigmas it is given
            samples = super().sample(noise, latent_image, sampler, sigmas.clone(), *args, **kwargs)
            check_made(samples, self._active, len(given) - 1, len(given) - 1)
        self.say(self._what_ran(given))
        return samples

    def outer_sample(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """The host's, inside the second expert's OUTER_SAMPLE wrappers too.

        Only a connected MODEL can carry such wrappers, and it is in memory; a file stays closed until the switch.
        """
        run = super().outer_sample
        self.conds = for_expert(self.conds, self._lead)
        other = LOW if self._lead == HIGH else HIGH
        if self.experts.low is not None and self._keep and self.experts[other].handle.in_memory:
            stage = self._stage(other)
            run = stage.wrapped(WrappersMP.OUTER_SAMPLE, run, stage)
        return run(*args, **kwargs)

    def inner_sample(
        self,
        noise: torch.Tensor,
        latent_image: torch.Tensor,
        device: torch.device,
        sampler: Sampler,
        sigmas: torch.Tensor,
        denoise_mask: torch.Tensor | None,
        callback: Callable | None,
        disable_pbar: bool,
        seed: int | None,
        latent_shapes: list[Any] | None = None,
    ) -> torch.Tensor:
        """The host's, with the sampler inside those SAMPLER_SAMPLE wrappers that only the second expert has."""
        self._run = Run(noise, latent_image, device, sigmas, denoise_mask, seed, latent_shapes)
        for stage in self._stages.values():
            sampler = _in_wrappers_of(stage, sampler, self.model_options)
        given = (noise, latent_image, device, sampler, sigmas, denoise_mask, callback, disable_pbar, seed)
        return super().inner_sample(*given, latent_shapes=latent_shapes)

    def outer_predict_noise(
        self,
        x: torch.Tensor,
        timestep: torch.Tensor,
        model_options: dict[str, Any] | None = None,
        seed: int | None = None,
    ) -> torch.Tensor:
        """The denoised prediction of the expert that `timestep` (the sigma of each sample, [B]) asks for."""
        options = {} if model_options is None else model_options
        sigma = float(timestep.max())
        role = self._role(sigma)
        if role != self._active:
            self._check_before_switch(x, sigma)
            self._switch(role, options)
        self.evaluations[role] += 1
        cfg = self.plan.cfg(sigma)
        if role == self._lead and self._twin is None:
            self.cfg = cfg
            return super().outer_predict_noise(x, timestep, options, seed)
        stage = self._stage(role)
        stage.cfg = cfg
        carried = merged(create_model_options_clone(stage.model_options), added(self.model_options, options))
        return stage.outer_predict_noise(x, timestep, carried, seed)

    def _role(self, sigma: float) -> str:
        return HIGH if self.experts.low is None else self.plan.role(sigma)

    def _open(self, role: str) -> ModelPatcher:
        return self.experts[role].open(self._keep, partial(for_hooks, conds=self.original_conds))

    def _open_lead(self, for_run: bool = False) -> ModelPatcher:
        """Decide on the residency, and open the lead; before a run a twin will do if it is not to stay."""
        self._keep, self._why = residency(self.experts)
        checkpoint = self.experts[self._lead].handle.checkpoint
        if for_run and not self._keep:
            self._patcher = None  # from a run that kept it
        if for_run or self._keep or checkpoint is None:
            self._patcher = self._patcher or self._open(self._lead)
            return self._patcher
        self._twin = twin_of_checkpoint(checkpoint)
        return self._twin

    def _stage(self, role: str) -> Stage:
        if role not in self._stages:
            self._stages[role] = Stage(self._open(role), for_expert(self.original_conds, role))
            self._stages[role].prepare()
        return self._stages[role]

    def _begin(self, roles: list[str]) -> None:
        for role in dict.fromkeys(roles):
            if self.experts[role].handle.checkpoint is None:
                self.experts[role].open()  # raises: nobody wants to hear of a missing file when half the run is done
        if roles[0] != self._lead:
            self._lead, self._patcher = roles[0], None
        self._active, self._twin = self._lead, None
        self.evaluations.clear()
        for follower in self._followers:
            follower.begin()
        self._after.callback(self._forget)
        mark_in_use(self._open_lead(for_run=True), True)
        for role in set(roles) - {self._lead}:
            handle = self.experts[role].handle
            if isinstance(handle, FileHandle) and can_prefetch(handle):
                self._after.enter_context(Prefetch(handle.path))

    def _check_before_switch(self, x: torch.Tensor, sigma: float) -> None:
        starts = self._run.sigmas[:-1].tolist()
        check_made(x, self._active, sum(start > sigma for start in starts), len(starts))

    def _switch(self, role: str, options: dict[str, Any]) -> None:
        """Bring the weights of `role` in; the host makes room by moving the other expert's out."""
        before = self._options_of_active()
        for follower in self._followers:
            follower.leave(self._active)
        if self._keep:
            leaving = self.model_patcher if self._active == self._lead else self._stage(self._active).model_patcher
            leaving.clean_hooks()  # while it idles it would miss the keyframes that pass
            mark_in_use(leaving, False)
        else:
            self._throw_away()
        self._active = role
        if role != self._lead or self._twin is not None:
            self._stage(role).load(self._run)
        else:
            patcher = self.model_patcher
            _, _, loaded = prepare_sampling(patcher, self._run.noise.shape, self.conds, self.model_options)
            split_over_gpus(patcher, loaded, options, self._after)
            point_host_at(patcher, self._run.latent_shapes)
            mark_in_use(patcher, True)
        windows_go_on(before, self._options_of_active())

    def _options_of_active(self) -> dict[str, Any]:
        return self._stages[self._active].model_options if self._active in self._stages else self.model_options

    def _throw_away(self) -> None:
        """Close the active expert and let go of its weights; a twin answers for the lead from then on."""
        if self._active in self._stages:
            self._stages.pop(self._active).close()
        elif self._patcher is not None:
            self._patcher.cleanup()
            cleanup_models(self.conds, self.loaded_models)
            self._twin, self._patcher = twin_of(self._patcher), None
            self.inner_model, self.conds, self.loaded_models = self._twin.model, {}, []
        release_memory()

    def _forget(self) -> None:
        """Keep nothing of a run, whichever way it ended."""
        with ExitStack() as closing:
            while self._stages:
                closing.callback(self._stages.popitem()[1].close)
        self._options = None
        mark_in_use(self._patcher, False)
        for left in ("_run", "conds", "inner_model", "loaded_models"):
            self.__dict__.pop(left, None)
        if not self._keep:
            if self._patcher is not None:
                self._twin, self._patcher = twin_of(self._patcher), None
            release_memory()

    def _what_ran(self, given: tuple[float, ...]) -> str:
        counts = " + ".join(f"{self.evaluations[role]} {role}" for role in (HIGH, LOW) if self.evaluations[role])
        lines = [f"Ran {split_line(self.plan, given)}: {counts} evaluations."]
        if not self._keep:
            lines.append(f"One expert at a time: {self._why}.")
        if given != self.plan.sigmas:
            lines.append(f"The sigmas were not the plan's, which had {split_line(self.plan)}.")
        ignored = ignored_negative_line(self.plan)
        prompts = [cond.get("cross_attn") for cond in self.original_conds.get("negative", [])]
        if ignored and any(prompt is not None and torch.count_nonzero(prompt) for prompt in prompts):
            lines.append(ignored)
        lines += [line for follower in self._followers for line in follower.report()]
        return "\n".join(lines)


def _in_wrappers_of(stage: Stage, sampler: Sampler, options: dict[str, Any]) -> Sampler:
    """The sampler inside the SAMPLER_SAMPLE wrappers of `stage` that the run's own `options` do not share."""
    shared = options["transformer_options"].get("wrappers", {}).get(WrappersMP.SAMPLER_SAMPLE, {})
    wrapped: Any = copy.copy(sampler)
    named = frozenset(shared) - {None}  # wrappers without a key are no two of a kind
    wrapped.sample = stage.wrapped(WrappersMP.SAMPLER_SAMPLE, sampler.sample, sampler, named)
    return wrapped
