"""The state of a stage: what is remembered of its evaluations, and what is decided on the one at hand.

An evaluation is decided for all its prompts; the host may run them in one batch, in several, or on several GPUs.
"""

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .residuals import Residuals
from .settings import OFFLOAD, CacheSettings
from .step_rules import StageProgress, StepRange, reason_to_compute
from .techniques.base import Policy, sample_tokens

PATIENCE = 60.0  # seconds to wait for another GPU's word
UNKNOWN = "other windows or weights"  # than those of the last computed evaluation


class ResidualKey(NamedTuple):
    """The owner of a residual. Equal keys mean: same prompt, window and weights, on tensors of the same kind."""

    prompt: Hashable
    window: tuple[int, ...] | None
    call: int  # of several with this prompt in one evaluation
    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    weights: tuple[float, ...]


class StageForecast(NamedTuple):
    """Forecast of a planning technique: observations at each own step of a stage, and the threshold chosen by them."""

    observed: Mapping[int, float]
    threshold: float
    notes: tuple[str, ...] = ()


@dataclass
class Evaluation:
    """One evaluation. Where no rule forces it, the first prompt to be run decides for all.

    On several GPUs prompts run at the same time: `leader` then names the one that decides, and the others wait.
    """

    sigma: float
    step: int | None  # the own step that starts here
    forced: str | None
    reuse: bool | None
    weights: tuple[float, ...] = ()
    leader: Hashable = None
    lead_key: ResidualKey | None = None
    observed: Any = None
    error: float | None = None  # by the technique's estimate, if it was reused
    reused: bool = False
    figures: list[float] = field(default_factory=list)  # of its residuals, if the technique measures them
    _calls: Counter[Hashable] = field(default_factory=Counter)
    _settled: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def force(self, reason: str) -> None:
        """Compute it in any case; a reason that was there before stays."""
        self.note(reason)
        self.reuse = False

    def note(self, reason: str) -> None:
        """Record why it is computed, or a part of it; a reason that was there before stays."""
        self.forced = self.forced or reason

    def keys(self, x: Tensor, options: Mapping[str, Any], hooks: tuple[float, ...] = ()) -> list[ResidualKey]:
        """Return a key for each prompt in a batch `x` [prompts * B, C, T, H, W], in order; `hooks` are strengths."""
        prompts: Sequence[Hashable] = options["uuids"]
        window = options.get("context_window")
        frames = None if window is None else tuple(window.index_list)
        shape, weights = (len(x) // len(prompts), *x.shape[1:]), (*self.weights, *hooks)
        found = []
        with self._lock:
            if self.leader is None:
                self.leader = prompts[0]
            for prompt in prompts:
                call = self._calls[prompt, frames]
                self._calls[prompt, frames] += 1
                found.append(ResidualKey(prompt, frames, call, shape, x.dtype, x.device, weights))
        return found

    def find_leader(self, keys: Sequence[ResidualKey]) -> int | None:
        """Return the place of the prompt that decides in a batch, in the first of its calls; None if it isn't there."""
        if self._settled.is_set():
            return None
        return next((place for place, key in enumerate(keys) if key.prompt == self.leader), None)

    def settle(self, reuse: bool) -> None:
        """Decide for all prompts; an earlier decision stays."""
        if self.reuse is None:
            self.reuse = reuse
        self._settled.set()

    def may_reuse(self) -> bool:
        """Return the decision, once there is one: another thread may be about to make it."""
        if self.reuse is None and not self._settled.wait(PATIENCE):
            self.force("no word from the other GPU")
        return bool(self.reuse)


class StageState:
    """All that is known within one stage. It goes when the experts change, and when the run ends.

    `idle` says why nothing is reused at all.
    """

    def __init__(
        self,
        settings: CacheSettings,
        policy: Policy,
        steps: StepRange,
        sigmas: Tensor,
        idle: str,
        forecast: StageForecast | None = None,
    ):
        self.settings, self.policy, self.steps, self.sigmas, self.idle = settings, policy, steps, sigmas, idle
        self.forecast = forecast or StageForecast({}, settings.threshold)
        self.residuals = Residuals(settings.device == OFFLOAD, settings.extrapolate)
        self.prompts: set[Hashable] = set()
        self.accumulated: Any = None
        self.accumulated_key: ResidualKey | None = None
        self.rates: dict[int, float] = {}  # of the technique's estimates, by step
        self._progress = StageProgress()

    def begin(self, sigma: float, weights: tuple[float, ...], x: Tensor) -> Evaluation:
        """Start an evaluation of latents `x` [B, C, T, H, W], decided as far as it can be without running a block."""
        step = self.steps.step(sigma)
        why = self.idle or reason_to_compute(self.settings, self.steps, self._progress, sigma, step)
        evaluation = Evaluation(sigma, step, why, False if why else None, weights)
        if self.idle:
            return evaluation
        forecast = None if step is None else self.forecast.observed.get(step)
        evaluation.observed = observed = self.policy.look(x, sigma, forecast)
        if observed is not None:
            evaluation.error = error = self.policy.error(self.accumulated, observed)
            if not why:
                evaluation.settle(error < self.forecast.threshold)
        return evaluation

    def forget(self) -> None:
        """Let go of every tensor."""
        self.residuals.clear()
        self.accumulated = self.accumulated_key = None

    def end(self, evaluation: Evaluation) -> None:
        """Record what really happened."""
        computed = not evaluation.reused
        if computed:
            self.residuals.keep_only(evaluation.sigma)
        if evaluation.lead_key != self.accumulated_key:
            self.accumulated = None
        self.accumulated = self.policy.update(self.accumulated, evaluation.observed, computed)
        self.accumulated_key = evaluation.lead_key
        if evaluation.error is not None and evaluation.step is not None:
            self.rates[evaluation.step] = evaluation.error / (self._progress.streak + 1)
        self._progress.count(computed, evaluation.sigma)


class Batch:
    """One call of the model: what it takes from a stage's residuals, and what it gives to them.

    When the `with` block ends, nobody waits any longer for a leader that did not come to decide.
    """

    def __init__(self, state: StageState, evaluation: Evaluation, keys: Sequence[ResidualKey]):
        self._state, self._evaluation, self._keys = state, evaluation, keys
        self._lead = evaluation.find_leader(keys)
        self.reused = False

    def __enter__(self) -> "Batch":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._lead is not None:
            self._evaluation.settle(False)

    def decide(self, added: Tensor | None) -> Tensor | None:
        """Return the residual in the place of the other blocks, [prompts * B, L, C]; None if they must run."""
        if self._lead is not None:
            self._evaluation.settle(self._decide_for_all(added))
        if not self._evaluation.may_reuse():
            return None
        residuals = self._state.residuals
        found = [residuals.get(key, self._evaluation.sigma, key.device) for key in self._keys]
        known = [residual for residual in found if residual is not None]
        if len(known) < len(found):
            self._evaluation.note(UNKNOWN)
            return None
        self.reused = self._evaluation.reused = True
        return known[0] if len(known) == 1 else torch.cat(known)

    def keep(self, residual: Tensor) -> None:
        """Remember, for each prompt, what the blocks made this time."""
        for key, part in zip(self._keys, residual.chunk(len(self._keys)), strict=True):
            figure = self._state.policy.measure(part, self._state.residuals.latest(key))
            if figure is not None:
                self._evaluation.figures.append(figure)
            self._state.residuals.put(key, self._evaluation.sigma, part)

    def _decide_for_all(self, added: Tensor | None) -> bool:
        if added is None or self._lead is None:
            return False
        state, evaluation, key = self._state, self._evaluation, self._keys[self._lead]
        evaluation.lead_key = key
        evaluation.observed = sample_tokens(added.chunk(len(self._keys))[self._lead])
        if key != state.accumulated_key or key not in state.residuals:
            evaluation.note(UNKNOWN)
            return False
        evaluation.error = error = state.policy.error(state.accumulated, evaluation.observed)
        return error < state.forecast.threshold


def reuse_output(batch: Batch, run: Callable[[], Tensor], x: Tensor, sigma: Tensor) -> Tensor:
    """Return the denoised latents of a batch, by a velocity computed earlier where it may: no block is asked.

    `x` is [prompts * B, C, T, H, W], `sigma` [prompts * B].
    """
    sigma = sigma.view(-1, *[1] * (x.ndim - 1))
    velocity = batch.decide(None)
    if velocity is not None:
        return x - sigma * velocity
    denoised = run()
    batch.keep((x - denoised) / sigma)
    return denoised
