"""A cache on one expert during a run: the wrappers through which it meets the host."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ..host.compiler import is_compiled_whole
from ..host.models import BaseModel
from ..host.patching import CallbacksMP, WrappersMP
from .block_skip import Gate, fits
from .planner import ExpertSchedule, PlannedRun, ThresholdPlanner
from .report import CacheLog
from .state import Batch, Evaluation, StageState, reuse_output
from .techniques.base import AccumulatedChange, Policy

KEY = "wan_duet_cache"
COMPILED = (
    "torch.compile has the whole model, and this cache must look between its blocks: nothing was reused. Compile block "
    "by block, or take TeaCache, MagCache or SeaCache."
)

Strengths = Callable[[Sequence[float], float], tuple[float, ...]]
"""From the sigmas of a run and the one at hand, strengths of LoRAs: where they change, so do the weights."""


class ExpertCache:
    """Wraps the evaluations of an expert, and leaves blocks out where its technique allows it."""

    def __init__(self, schedule: ExpertSchedule, strengths: Strengths, planner: ThresholdPlanner):
        self.role, self.settings = schedule.role, schedule.settings
        self.log = CacheLog(self.role)
        self.passed: PlannedRun | None = None  # what a technique that can't plan has observed in the last run
        self._schedule, self._strengths, self._planner = schedule, strengths, planner
        self._policy: Policy | None = None  # until it is attached
        self._state: StageState | None = None
        self._evaluation: Evaluation | None = None
        self._counting = threading.Lock()

    def attach(self, patcher: ModelPatcher) -> None:
        """Put the wrappers on `patcher`, a clone, in the place of another cache's.

        Raises ValueError beside the host's own caches, and if the technique is not made for the model.
        """
        if "easycache" in patcher.model_options.get("transformer_options", {}):
            raise ValueError(
                f"the {self.role} expert has ComfyUI's EasyCache or LazyCache on it too. Remove one of both."
            )
        self._policy = self._schedule.technique.policy(patcher.model, self.role)
        wrappers = {
            WrappersMP.PREDICT_NOISE: self.predict,
            WrappersMP.CALC_COND_BATCH: self.calculate,
            WrappersMP.APPLY_MODEL: self.apply,
        }
        detach(patcher)
        for kind, wrapper in wrappers.items():
            patcher.add_wrapper_with_key(kind, KEY, wrapper)
        patcher.add_callback_with_key(CallbacksMP.ON_CLEANUP, KEY, lambda _: self.drop())

    def begin(self) -> None:
        """Start a new count."""
        self.log, self.passed = CacheLog(self.role), None

    def drop(self) -> None:
        """Let go of every tensor; the next evaluation starts from nothing."""
        state, self._state = self._state, None
        if state is not None:
            if state.rates and not state.forecast.observed:
                rates = [state.rates.get(step, 0.0) for step in state.steps.own]
                self.passed = PlannedRun(AccumulatedChange(), state.settings, state.steps, rates)
            state.forget()  # the traceback of an error may hold it for long

    def predict(
        self, executor: Any, x: Tensor, timestep: Tensor, model_options: dict[str, Any], seed: int | None
    ) -> Tensor:
        """Wrap PREDICT_NOISE: one evaluation, decided as far as it can be before any prompt is run."""
        sigmas = model_options.get("transformer_options", {}).get("sample_sigmas")
        if sigmas is None:
            return executor(x, timestep, model_options, seed)
        if self._state is None or self._state.sigmas is not sigmas:
            self._state = self._start_stage(sigmas, executor.class_obj.inner_model)
        state, sigma = self._state, float(timestep.max())
        with self._current(state.begin(sigma, self._strengths(state.steps.sigmas, sigma), x)) as evaluation:
            result = executor(x, timestep, model_options, seed)
        state.end(evaluation)
        self.log.count(evaluation, state.residuals.bytes)
        return result

    def calculate(
        self,
        executor: Any,
        model: BaseModel,
        conds: list[list[dict[str, Any]] | None],
        x: Tensor,
        timestep: Tensor,
        model_options: dict[str, Any],
    ) -> list[Tensor]:
        """Wrap CALC_COND_BATCH: the last word before the host may divide the prompts over several GPUs."""
        evaluation, state = self._evaluation, self._state
        if evaluation is not None and state is not None:
            prompts = [cond["uuid"] for entries in conds for cond in entries or () if _is_on(cond, evaluation.sigma)]
            if not state.prompts.issuperset(prompts):
                evaluation.force("new prompt")
                state.prompts.update(prompts)
            if "multigpu_clones" in model_options and evaluation.leader is None and prompts:
                evaluation.leader = prompts[-1]  # which is also the first to be run where there is one GPU
        return executor(model, conds, x, timestep, model_options)

    def apply(
        self,
        executor: Any,
        x: Tensor,
        t: Tensor,
        c_concat: Any,
        c_crossattn: Any,
        control: Any,
        transformer_options: dict[str, Any],
        **kwargs: Any,
    ) -> Tensor:
        """Wrap APPLY_MODEL: the model for one batch of prompts, with as few of its blocks as was decided."""

        def run() -> Tensor:
            return executor(x, t, c_concat, c_crossattn, control, transformer_options, **kwargs)

        evaluation, state = self._evaluation, self._state
        if evaluation is None or state is None or not transformer_options.get("uuids"):
            return run()
        network = executor.class_obj.diffusion_model
        keys = evaluation.keys(x, transformer_options, _hook_strengths(executor.class_obj))
        with Batch(state, evaluation, keys) as batch:
            result, ran = self._run(state, batch, network, transformer_options, run, x, t)
        if self._count(batch, ran * len(keys), _layers(network) * len(keys)):
            truth = run()
            self.log.audit(float((result - truth).norm() / truth.norm()))
        return result

    def _run(
        self,
        state: StageState,
        batch: Batch,
        network: Any,
        options: dict[str, Any],
        run: Callable[[], Tensor],
        x: Tensor,
        sigma: Tensor,
    ) -> tuple[Tensor, int]:
        """Run a batch in the way that the network and the technique allow; returns the number of blocks that ran."""
        if state.idle:
            return run(), _layers(network)
        if fits(network) and not is_compiled_whole(network, options):
            with Gate(network, state.policy.blocks, batch.decide, batch.keep) as gate:
                result = run()
            return result, gate.ran
        if state.policy.blocks:
            self.log.note(COMPILED)
            return run(), _layers(network)
        result = reuse_output(batch, run, x, sigma)
        return result, 0 if batch.reused else _layers(network)

    def _count(self, batch: Batch, ran: int, total: int) -> bool:
        """Count the blocks of a batch; returns True if an audit of it is due."""
        with self._counting:
            self.log.count_blocks(ran, total)
            return batch.reused and self.log.audit_due(self.settings.audit)

    def _start_stage(self, sigmas: Tensor, model: BaseModel) -> StageState:
        if self._policy is None:
            raise RuntimeError("the cache is not attached to an expert")
        steps, idle = self._schedule.steps(sigmas)
        forecast = None if idle or not steps.own else self._planner.forecast(self.role, sigmas, model)
        for note in forecast.notes if forecast else ():
            self.log.note(note)
        settings = self._schedule.settings_for(self._policy, steps)
        return StageState(settings, self._policy, steps, sigmas, idle, forecast)

    @contextmanager
    def _current(self, evaluation: Evaluation) -> Iterator[Evaluation]:
        """Let the other wrappers see the evaluation; after an error nothing of this stage is left."""
        outer, self._evaluation = self._evaluation, evaluation
        try:
            yield evaluation
        except BaseException:  # an interrupt and a lack of memory too: what is half computed must not be reused
            self.drop()
            raise
        finally:
            self._evaluation = outer


def detach(patcher: ModelPatcher) -> None:
    """Take a cache off `patcher`, a clone."""
    for kind in (WrappersMP.PREDICT_NOISE, WrappersMP.CALC_COND_BATCH, WrappersMP.APPLY_MODEL):
        patcher.remove_wrappers_with_key(kind, KEY)
    patcher.remove_callbacks_with_key(CallbacksMP.ON_CLEANUP, KEY)
    patcher.model_options.pop(KEY, None)


def _layers(network: Any) -> int:
    """Return how many blocks the network counts as."""
    return len(network.blocks) if fits(network) else 1


def _hook_strengths(model: BaseModel) -> tuple[float, ...]:
    """Return the strengths in force of LoRAs that the batch's prompts bring along, which follow keyframes."""
    hooks = getattr(model.current_patcher, "current_hooks", None)
    return tuple(hook.strength for hook in hooks.hooks) if hooks else ()


def _is_on(cond: dict[str, Any], sigma: float) -> bool:
    """Return True if a prompt takes part at `sigma`: the host leaves it out above its start and below its end."""
    start, end = cond.get("timestep_start"), cond.get("timestep_end")
    return (start is None or sigma <= float(start)) and (end is None or sigma >= float(end))
