"""A cache on one expert while it is sampled with: the wrappers through which it meets the host."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from comfy.model_base import BaseModel
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import CallbacksMP, WrappersMP
from torch import Tensor

from ..host.compiler import compiled_whole
from .batch import Batch, reuse_output
from .block_skip import Gate, fits
from .evaluation import Evaluation
from .foresight import Foresight
from .planning import Outlook
from .prospect import Prospect
from .report import Log
from .stage import StageState
from .techniques.base import Accumulated, Planned

KEY = "wan_duet_cache"
COMPILED = (
    "torch.compile has the whole model, and this cache must look between its blocks: nothing was reused. Compile block "
    "by block, or take TeaCache, MagCache or SeaCache."
)

Weights = Callable[[Sequence[float], float], tuple[float, ...]]
"""From the sigmas of a run and the one at hand, strengths of LoRAs: where they change, so do the weights."""


class ExpertCache:
    """Follows the evaluations of an expert and leaves blocks out where its technique says so."""

    def __init__(self, prospect: Prospect, weights: Weights, foresight: Foresight):
        self.role, self.settings = prospect.role, prospect.settings
        self.log = Log(self.role)
        self.passed: Outlook | None = None  # what a technique that can't plan has seen in the last run
        self._prospect, self._weights, self._foresight = prospect, weights, foresight
        self._policy: Any = None  # until it is attached
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
        self._policy = self._prospect.technique.policy(patcher.model, self.role)
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
        """Count anew."""
        self.log, self.passed = Log(self.role), None

    def drop(self) -> None:
        """Let go of every tensor, and start anew with the next evaluation."""
        state, self._state = self._state, None
        if state is not None:
            if state.rates and not state.changes:
                rates = [state.rates.get(step, 0.0) for step in state.stage.own]
                self.passed = Outlook(Accumulated(), state.settings, state.stage, rates)
            state.forget()  # the traceback of an error may hold it for long

    def predict(
        self, executor: Any, x: Tensor, timestep: Tensor, model_options: dict[str, Any], seed: int | None
    ) -> Tensor:
        """A PREDICT_NOISE wrapper: one evaluation, decided as far as it can be before any prompt is run."""
        sigmas = model_options.get("transformer_options", {}).get("sample_sigmas")
        if sigmas is None:
            return executor(x, timestep, model_options, seed)
        if self._state is None or self._state.sigmas is not sigmas:
            self._state = self._new_stage(sigmas, executor.class_obj.inner_model)
        state, sigma = self._state, float(timestep.max())
        with self._current(state.begin(sigma, self._weights(state.stage.sigmas, sigma), x)) as evaluation:
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
        """A CALC_COND_BATCH wrapper: the last word before the host may divide the prompts over several GPUs."""
        evaluation, state = self._evaluation, self._state
        if evaluation is not None and state is not None:
            prompts = [cond["uuid"] for entries in conds for cond in entries or () if _active(cond, evaluation.sigma)]
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
        """An APPLY_MODEL wrapper: the model for one batch of prompts, with as few of its blocks as was decided."""

        def run() -> Tensor:
            return executor(x, t, c_concat, c_crossattn, control, transformer_options, **kwargs)

        evaluation, state = self._evaluation, self._state
        if evaluation is None or state is None or not transformer_options.get("uuids"):
            return run()
        network = executor.class_obj.diffusion_model
        layers = len(network.blocks) if fits(network) else 1
        gated = fits(network) and not compiled_whole(network, transformer_options)
        keys = evaluation.keys(x, transformer_options, _hook_strengths(executor.class_obj))
        batch = Batch(state, evaluation, keys)
        try:
            if state.idle or (state.policy.blocks and not gated):
                result, ran = run(), layers
                if not state.idle:
                    self.log.note(COMPILED)
            elif gated:
                with Gate(network, state.policy.blocks, batch.decide, batch.keep) as gate:
                    result = run()
                ran = gate.ran
            else:
                result = reuse_output(batch, run, x, t)
                ran = 0 if batch.reused else layers
        finally:
            batch.end()
        with self._counting:
            self.log.count_blocks(ran * len(keys), layers * len(keys))
            due = batch.reused and self.log.audit_due(self.settings.audit)
        if due:
            truth = run()
            self.log.audit(float((result - truth).norm() / truth.norm()))
        return result

    def _new_stage(self, sigmas: Tensor, model: BaseModel) -> StageState:
        stage, idle = self._prospect.stage(sigmas)
        ahead = None
        if isinstance(self._policy, Planned) and stage.own and not idle:
            ahead = self._foresight.ahead(self.role, sigmas, model)
            self.log.note(ahead.note)
            if self.settings.target:
                self.log.note(f"a reuse threshold of {ahead.threshold:.2g} for the target")
        settings = self._prospect.retaining(self._policy, stage)
        return StageState(settings, self._policy, stage, sigmas, idle, ahead)

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


def _hook_strengths(model: BaseModel) -> tuple[float, ...]:
    """The strengths in force of LoRAs that the batch's prompts bring along, which follow keyframes."""
    hooks = getattr(model.current_patcher, "current_hooks", None)
    return tuple(hook.strength for hook in hooks.hooks) if hooks else ()


def _active(cond: dict[str, Any], sigma: float) -> bool:
    """Whether a prompt takes part at `sigma`: the host leaves it out above its start and below its end."""
    start, end = cond.get("timestep_start"), cond.get("timestep_end")
    return (start is None or sigma <= float(start)) and (end is None or sigma >= float(end))
