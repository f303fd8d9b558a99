"""Both experts as one guider."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch

from ..experts.checkpoint.meta_patcher import twin_of_checkpoint
from ..experts.handle import FileHandle
from ..experts.memory import Residency, can_prefetch, residency
from ..experts.pair import Experts
from ..experts.prefetch import Prefetch
from ..experts.variant import HIGH, LOW
from ..host.sampling import CFGGuider, ModelPatcher, Sampler, convert_cond, for_hooks
from .conds import refuse_ignored_frames, refuse_other_size
from .finite import check_given, check_made
from .lora_schedule import resolve_loras
from .observers import observe_runs
from .plan import Plan, ignored_negative_line, split_line
from .run import DuetRun
from .shift import Shift

log = logging.getLogger("wan_duet")


class DuetGuider(CFGGuider):
    """The guider of a pair: it answers the host between runs, and a `DuetRun` takes its place in each.

    Weights are opened when they are needed. Where they are not to stay, a twin without weights answers.
    """

    def __init__(self, experts: Experts, plan: Plan, say: Callable[[str], None] = log.info):
        # CFGGuider's own __init__ would open an expert now; a graph may yet be cancelled, or start below the boundary
        self.experts, self._observers = observe_runs(resolve_loras(experts, plan).with_change(Shift(plan.shift)), plan)
        self.plan = plan
        self.say = say
        self.original_conds: dict[str, list[dict]] = {}
        self.cfg = plan.phases[0].cfg
        self.evaluations: Counter[str] = Counter()
        self._lead = self._role(plan.sigmas[0]) if plan.sigmas else HIGH
        self._patcher: ModelPatcher | None = None
        self._is_twin = False
        self._options: dict[str, Any] | None = None

    @property
    def model_patcher(self) -> ModelPatcher:
        """The expert that leads the next run; a twin without weights if it should not stay in memory."""
        if self._patcher is None:
            checkpoint, keep = self.experts[self._lead].handle.checkpoint, residency(self.experts).keep
            self._is_twin = checkpoint is not None and not keep
            twin = twin_of_checkpoint(checkpoint) if checkpoint is not None and not keep else None
            self._patcher = twin or self._open(self._lead, keep)
        return self._patcher

    @property
    def model_options(self) -> dict[str, Any]:
        """The leading expert's options, or those that somebody has put in their place for the next run."""
        return self.model_patcher.model_options if self._options is None else self._options

    @model_options.setter
    def model_options(self, options: dict[str, Any]) -> None:
        self._options = options

    def inner_set_conds(self, conds: dict[str, list]) -> None:
        """Keep the conds; 2026 hosts would choose a patcher by them here, before both experts are known."""
        self.original_conds.update({name: convert_cond(cond) for name, cond in conds.items()})
        self._patcher = None
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
        """Sample once over `sigmas`. Latents are [B, C, T, H, W]; with no sigmas the latent comes back as it is."""
        if len(sigmas) == 0:
            return latent_image
        refuse_other_size(self.original_conds, noise.shape)
        check_given(latent_image)
        given = tuple(sigmas.tolist())
        roles = [self._role(sigma) for sigma in given[:-1] or given]
        self._refuse_missing(roles)
        decided = residency(self.experts)
        with self._running(roles[0], decided.keep) as run, self._prefetching(roles):
            # A copy, because uni_pc writes into the sigmas it is given
            samples = run.sample(noise, latent_image, sampler, sigmas.clone(), *args, **kwargs)
            check_made(samples, run.active, len(given) - 1, len(given) - 1)
        self.say(self._what_ran(given, decided))
        return samples

    def _role(self, sigma: float) -> str:
        return HIGH if self.experts.low is None else self.plan.role(sigma)

    def _open(self, role: str, keep: bool) -> ModelPatcher:
        return self.experts[role].open(keep, partial(for_hooks, conds=self.original_conds))

    def _refuse_missing(self, roles: Sequence[str]) -> None:
        """Raise for a missing file now: nobody wants to hear of it when half the run is done."""
        for role in dict.fromkeys(roles):
            if self.experts[role].handle.checkpoint is None:
                self.experts[role].open()

    @contextmanager
    def _prefetching(self, roles: Sequence[str]) -> Iterator[None]:
        """Read the second expert's file into the page cache meanwhile, if there is room."""
        with ExitStack() as reading:
            for role in {*roles} - {roles[0]}:
                handle = self.experts[role].handle
                if isinstance(handle, FileHandle) and can_prefetch(handle):
                    reading.enter_context(Prefetch(handle.path))
            yield

    @contextmanager
    def _running(self, lead: str, keep: bool) -> Iterator[DuetRun]:
        """A run that `lead` leads; nothing of it stays but the lead's patcher, if it is to be kept."""
        if lead != self._lead or self._is_twin or not keep:
            self._patcher, self._is_twin = None, False
        self._lead = lead
        for observer in self._observers:
            observer.begin()
        self._patcher = self._patcher or self._open(lead, keep)
        run = DuetRun(
            self.experts,
            self.plan,
            lead=lead,
            patcher=self._patcher,
            conds=self.original_conds,
            keep=keep,
            open_expert=partial(self._open, keep=keep),
            observers=self._observers,
        )
        run.model_options = self.model_options
        self._patcher = None
        try:
            yield run
        finally:
            run.close()
            self._patcher, self._is_twin, self._options = run.model_patcher, not keep, None
            self.evaluations = run.evaluations

    def _what_ran(self, given: tuple[float, ...], decided: Residency) -> str:
        counts = " + ".join(f"{self.evaluations[role]} {role}" for role in (HIGH, LOW) if self.evaluations[role])
        lines = [f"Ran {split_line(self.plan, given)}: {counts} evaluations."]
        if not decided.keep:
            lines.append(f"One expert at a time: {decided.why}.")
        if given != self.plan.sigmas:
            lines.append(f"The sigmas were not the plan's, which had {split_line(self.plan)}.")
        ignored = ignored_negative_line(self.plan)
        prompts = [cond.get("cross_attn") for cond in self.original_conds.get("negative", [])]
        if ignored and any(prompt is not None and torch.count_nonzero(prompt) for prompt in prompts):
            lines.append(ignored)
        lines += [line for observer in self._observers for line in observer.report()]
        return "\n".join(lines)
