"""One call of the model within an evaluation: a prompt, or several that the host runs as one batch."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .evaluation import Evaluation, Key
from .stage import StageState
from .techniques.base import sampled
from .techniques.magcache import Measuring, ratio

UNKNOWN = "other windows or weights"  # than those of the last computed evaluation


class Batch:
    """What one call of the model takes from a stage's residuals, and what it gives to them."""

    def __init__(self, state: StageState, evaluation: Evaluation, keys: Sequence[Key]):
        self._state, self._evaluation, self._keys = state, evaluation, keys
        self._lead = evaluation.leads(keys)
        self.reused = False

    def decide(self, added: Tensor | None) -> Tensor | None:
        """The residual that takes the place of the other blocks, [prompts * B, L, C]; None if they must run."""
        if self._lead is not None:
            self._evaluation.settle(self._says_leader(added))
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
            if isinstance(self._state.policy, Measuring):
                before = self._state.residuals.latest(key)
                self._evaluation.ratios.append(1.0 if before is None else ratio(part, before.to(part.device)))
            self._state.residuals.put(key, self._evaluation.sigma, part)

    def end(self) -> None:
        """Let nobody wait for a leader that did not come to decide."""
        if self._lead is not None:
            self._evaluation.settle(False)

    def _says_leader(self, added: Tensor | None) -> bool:
        if added is None or self._lead is None:
            return False
        state, evaluation, key = self._state, self._evaluation, self._keys[self._lead]
        evaluation.lead_key, evaluation.seen = key, sampled(added.chunk(len(self._keys))[self._lead])
        if key != state.since_key or key not in state.residuals:
            evaluation.note(UNKNOWN)
            return False
        evaluation.error = error = state.policy.error(state.since, evaluation.seen)
        return error < state.threshold


def reuse_output(batch: Batch, run: Callable[[], Tensor], x: Tensor, sigma: Tensor) -> Tensor:
    """The denoised latents of a batch, by a velocity computed earlier where the batch may: no block is asked.

    `x` is [prompts * B, C, T, H, W], `sigma` [prompts * B].
    """
    sigma = sigma.view(-1, *[1] * (x.ndim - 1))
    velocity = batch.decide(None)
    if velocity is not None:
        return x - sigma * velocity
    denoised = run()
    batch.keep((x - denoised) / sigma)
    return denoised
