"""One uninterrupted run across both experts: what begins when sampling does, and ends with it."""

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import torch

from ..experts.checkpoint.meta_patcher import twin_of
from ..experts.pair import Experts
from ..experts.variant import HIGH, LOW
from ..host.memory import release_memory
from ..host.sampling import (
    CFGGuider,
    ModelPatcher,
    Sampler,
    WrappersMP,
    cleanup_models,
    create_model_options_clone,
    mark_in_use,
    point_host_at,
    prepare_sampling,
    split_over_gpus,
    windows_go_on,
)
from .conds import for_expert
from .finite import check_made
from .model_options import additions, merge_options
from .observers import RunObserver
from .plan import Plan
from .stage import RunInputs, Stage


class DuetRun(CFGGuider):
    """A CFGGuider for one run, which hands every evaluation to the expert, and the cfg, that its sigma asks for.

    The sampler never notices: its history, noise and progress run on across the switch. The expert of the first
    sigma leads the run in the host's own way; the other one is a `Stage`, loaded at the first sigma that is its own.
    Without `keep` an expert is closed as soon as the evaluations leave it, and a twin without weights leads on.
    """

    def __init__(
        self,
        experts: Experts,
        plan: Plan,
        *,
        lead: str,
        patcher: ModelPatcher,
        conds: dict[str, list[dict]],
        keep: bool,
        open_expert: Callable[[str], ModelPatcher],
        observers: Sequence[RunObserver] = (),
    ):
        super().__init__(patcher)
        self.experts, self.plan, self.keep = experts, plan, keep
        self.original_conds = conds
        self.lead = self.active = lead
        self.lead_is_closed = False
        self.evaluations: Counter[str] = Counter()
        self._open, self._observers = open_expert, observers
        self._stages: dict[str, Stage] = {}
        self._ending = ExitStack()
        mark_in_use(patcher, True)

    def outer_sample(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """The host's, inside the second expert's OUTER_SAMPLE wrappers too.

        Only a connected MODEL can carry such wrappers, and it is in memory; a file stays closed until the switch.
        """
        run = super().outer_sample
        self.conds = for_expert(self.conds, self.lead)
        other = LOW if self.lead == HIGH else HIGH
        if self.experts.low is not None and self.keep and self.experts[other].handle.in_memory:
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
        self._inputs = RunInputs(noise, latent_image, device, sigmas, denoise_mask, seed, latent_shapes)
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
        role = HIGH if self.experts.low is None else self.plan.role(sigma)
        if role != self.active:
            self._check_before_switch(x, sigma)
            self._switch(role, options)
        self.evaluations[role] += 1
        cfg = self.plan.cfg(sigma)
        if self._leads(role):
            self.cfg = cfg
            return super().outer_predict_noise(x, timestep, options, seed)
        stage = self._stage(role)
        stage.cfg = cfg
        carried = merge_options(create_model_options_clone(stage.model_options), additions(self.model_options, options))
        return stage.outer_predict_noise(x, timestep, carried, seed)

    def close(self) -> None:
        """Let go of all that the run has opened, whichever way it ended; a lead that is kept stays in its patcher."""
        with self._ending, ExitStack() as closing:
            while self._stages:
                closing.callback(self._stages.popitem()[1].close)
        mark_in_use(self.model_patcher, False)
        self.inner_model, self.conds, self.loaded_models = None, {}, []
        if not self.keep:
            self._close_lead()
            self.model_options = self.model_patcher.model_options
            release_memory()

    def _leads(self, role: str) -> bool:
        return role == self.lead and not self.lead_is_closed

    def _stage(self, role: str) -> Stage:
        if role not in self._stages:
            self._stages[role] = Stage(self._open(role), for_expert(self.original_conds, role))
            self._stages[role].prepare()
        return self._stages[role]

    def _check_before_switch(self, x: torch.Tensor, sigma: float) -> None:
        starts = self._inputs.sigmas[:-1].tolist()
        check_made(x, self.active, sum(start > sigma for start in starts), len(starts))

    def _switch(self, role: str, options: dict[str, Any]) -> None:
        """Bring the weights of `role` in; the host makes room by moving the other expert's out."""
        before = self._options_of_active()
        for observer in self._observers:
            observer.leave(self.active)
        if self.keep:
            leaving = self.model_patcher if self.active == self.lead else self._stage(self.active).model_patcher
            leaving.clean_hooks()  # while it idles it would miss the keyframes that pass
            mark_in_use(leaving, False)
        else:
            self._throw_away()
        self.active = role
        if self._leads(role):
            patcher = self.model_patcher
            _, _, loaded = prepare_sampling(patcher, self._inputs.noise.shape, self.conds, self.model_options)
            split_over_gpus(patcher, loaded, options, self._ending)
            point_host_at(patcher, self._inputs.latent_shapes)
            mark_in_use(patcher, True)
        else:
            self._stage(role).load(self._inputs)
        windows_go_on(before, self._options_of_active())

    def _options_of_active(self) -> dict[str, Any]:
        return self._stages[self.active].model_options if self.active in self._stages else self.model_options

    def _throw_away(self) -> None:
        """Close the active expert and let go of its weights; a twin answers for the lead from then on."""
        if self.active in self._stages:
            self._stages.pop(self.active).close()
        elif not self.lead_is_closed:
            self.model_patcher.cleanup()
            cleanup_models(self.conds, self.loaded_models)
            self._close_lead()
        release_memory()

    def _close_lead(self) -> None:
        """Put a twin without weights in the lead's place, which answers what the host asks from here on."""
        if not self.lead_is_closed:
            self.model_patcher, self.lead_is_closed = twin_of(self.model_patcher), True
        self.inner_model, self.conds, self.loaded_models = self.model_patcher.model, {}, []


def _in_wrappers_of(stage: Stage, sampler: Any, options: dict[str, Any]) -> Sampler:
    """The sampler inside the SAMPLER_SAMPLE wrappers of `stage` that the run's own `options` do not share.

    They find their expert's options beside the run's, and noise that they change is not the run's: a second pass of
    the host's would have none.
    """
    shared = options["transformer_options"].get("wrappers", {}).get(WrappersMP.SAMPLER_SAMPLE, {})
    named = frozenset(shared) - {None}  # wrappers without a key are no two of a kind
    lacking = {key: value for key, value in stage.model_options.items() if key not in options}

    def sample(model: Any, sigmas: Any, extra_args: dict[str, Any], callback: Any, noise: Any, *rest: Any) -> Any:
        def run(model: Any, sigmas: Any, extra_args: dict[str, Any], callback: Any, _: Any, *rest: Any) -> Any:
            passed = extra_args["model_options"]
            own = {key: value for key, value in passed.items() if lacking.get(key, options) is not value}
            return sampler.sample(model, sigmas, {**extra_args, "model_options": own}, callback, noise, *rest)

        wrapped = stage.wrapped(WrappersMP.SAMPLER_SAMPLE, run, sampler, named)
        both = {**extra_args, "model_options": {**lacking, **extra_args["model_options"]}}
        return wrapped(model, sigmas, both, callback, noise.clone(), *rest)

    wrapped: Any = copy.copy(sampler)
    wrapped.sample = sample
    return wrapped
