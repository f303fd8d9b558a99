"""One evaluation: what is decided for all its prompts, whichever way the host divides them."""

import threading
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

PATIENCE = 60.0  # seconds to wait for another GPU's word


class Key(NamedTuple):
    """Whose residual it is. Equal keys mean: the same prompt, window and weights, on tensors of the same kind."""

    prompt: Hashable
    window: tuple[int, ...] | None
    call: int  # of several with this prompt in one evaluation
    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    weights: tuple[float, ...]


@dataclass
class Evaluation:
    """Where the guards don't force it, the first prompt to be run decides for all.

    On several GPUs prompts run at the same time: `leader` then names the one that decides, and the others wait.
    """

    sigma: float
    forced: str | None
    reuse: bool | None
    weights: tuple[float, ...] = ()
    leader: Hashable = None
    lead_key: Key | None = None
    seen: Any = None
    error: float | None = None  # by the technique's estimate, if it was reused
    reused: bool = False
    ratios: list[float] = field(default_factory=list)  # of its residuals' sizes to the ones before, where measured
    _calls: Counter[Hashable] = field(default_factory=Counter)
    _settled: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def force(self, reason: str) -> None:
        """Compute it in any case; a reason that was there before stays."""
        self.note(reason)
        self.reuse = False

    def note(self, reason: str) -> None:
        """Say why it is computed, or a part of it; a reason that was there before stays."""
        self.forced = self.forced or reason

    def keys(self, x: torch.Tensor, options: Mapping[str, Any], hooks: tuple[float, ...] = ()) -> list[Key]:
        """A key for each prompt in a batch `x` [prompts * B, C, T, H, W], in its order; `hooks` are strengths too."""
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
                found.append(Key(prompt, frames, call, shape, x.dtype, x.device, weights))
        return found

    def leads(self, keys: Sequence[Key]) -> int | None:
        """The place in the batch of the prompt that decides, in the first of its calls; None if it is not there."""
        if self._settled.is_set():
            return None
        return next((place for place, key in enumerate(keys) if key.prompt == self.leader), None)

    def settle(self, reuse: bool) -> None:
        """Say it for all prompts; what was said before stays."""
        if self.reuse is None:
            self.reuse = reuse
        self._settled.set()

    def may_reuse(self) -> bool:
        """What was decided, once it is: another thread may be about to."""
        if self.reuse is None and not self._settled.wait(PATIENCE):
            self.force("no word from the other GPU")
        return bool(self.reuse)
