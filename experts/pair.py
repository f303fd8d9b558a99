"""The pair of experts as one immutable value: where the weights come from and what is applied to them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from comfy.model_patcher import ModelPatcher

from ..host.patching import is_dynamic, merge_patches
from .handle import Handle
from .lora.expert_lora import ExpertLora, StrengthsAt
from .lora.merge import merge_lora
from .lora.weight_hooks import hook_loras
from .out_of_memory import explain_out_of_memory
from .variant import HIGH, LOW, WanVariant, variant_from_name

AUTO, KEEP_BOTH, ONE_AT_A_TIME = "auto", "keep both", "one at a time"
RESIDENCIES = (AUTO, KEEP_BOTH, ONE_AT_A_TIME)

PatcherEdit = Callable[[ModelPatcher], None]
"""An edit of the clone that is made when an expert is opened: a cache, a shift."""


@dataclass(frozen=True)
class Expert:
    """One transformer as data; what is put on it acts when it is opened."""

    handle: Handle
    """Owner of its weights."""
    changes: tuple[PatcherEdit, ...] = ()
    """Edits of its patcher, in order."""
    loras: tuple[ExpertLora, ...] = ()
    """Its LoRAs, in the order they act: a DoRA scales what those before it made."""
    strengths: StrengthsAt | None = None
    """Strengths of its LoRAs in a run, where any changes while it runs; None: each has one, and is merged."""

    def open(self, keep: bool = True, choose: Callable[[ModelPatcher], ModelPatcher] = lambda it: it) -> ModelPatcher:
        """A fresh clone with all that is put on the expert, or what `choose` takes in its place.

        Without `keep`, weights that nobody else holds go when the clone does: LoRAs are merged for good, no backup.
        """
        thrown_away = not keep and not self.handle.in_memory
        with explain_out_of_memory(f"{self.handle.name} ({self.handle.checkpoint})"):
            patcher = self.handle.open(keep).clone()
            for change in self.changes:
                change(patcher)
            self._add_loras(patcher)
            patcher = choose(patcher)
            if thrown_away and not is_dynamic(patcher):
                merge_patches(patcher)
        return patcher

    def strengths_at(self, sigmas: Sequence[float], sigma: float) -> tuple[float, ...]:
        """The strength of each LoRA at `sigma` of a run over `sigmas`. Raises ValueError where that takes a plan."""
        if self.strengths is None:
            return tuple(lora.constant() for lora in self.loras)
        return tuple(self.strengths(sigmas, sigma))

    @property
    def lora_bytes(self) -> int:
        """Bytes of the LoRAs that are merged, which the host keeps."""
        return 0 if self.strengths is not None else sum(lora.held_bytes for lora in self.loras)

    @property
    def merges_weights(self) -> bool:
        """Say whether any LoRA is merged: the host keeps backups of the weights."""
        return self.strengths is None and any(lora.may_merge for lora in self.loras)

    def _add_loras(self, patcher: ModelPatcher) -> None:
        if self.strengths is not None:
            hook_loras(patcher, self.loras, self.strengths)
            return
        for lora in self.loras:
            merge_lora(patcher, lora)


@dataclass(frozen=True)
class Experts:
    """The high- and the low-noise expert, or a single one (`low` is None) that does every step."""

    high: Expert
    """Expert of the high-noise stage, or the single one."""
    low: Expert | None = None
    """Expert of the low-noise stage."""
    residency: str = AUTO
    """Experts that stay in memory: `auto` (default), `keep both` or `one at a time`."""

    @property
    def variant(self) -> WanVariant:
        """The variant of the pair; a guess by name when neither file is there."""
        known = [expert.handle.checkpoint for expert in self if expert.handle.checkpoint]
        if not known:
            return variant_from_name(self.high.handle.name)
        variant = known[0].variant
        return variant.of_two or variant if self.low else variant

    def __iter__(self) -> Iterator[Expert]:
        return iter((self.high,) if self.low is None else (self.high, self.low))

    def __getitem__(self, role: str) -> Expert:
        return {HIGH: self.high, LOW: self.low or self.high}[role]

    def with_change(self, change: PatcherEdit, role: str | None = None) -> "Experts":
        """The same experts with one more change on each, or only on the one of `role`."""
        changed = (
            replace(expert, changes=(*expert.changes, change)) if role in (None, own) else expert
            for own, expert in zip((HIGH, LOW), self, strict=False)
        )
        return replace(self, **dict(zip((HIGH, LOW), changed, strict=False)))

    def with_lora(self, lora: ExpertLora) -> "Experts":
        """The same experts with one more LoRA, on the expert that it is for."""
        expert = self[lora.role]
        return replace(self, **{lora.role: replace(expert, loras=(*expert.loras, lora))})

    def without(self, kind: type) -> "Experts":
        """The same experts without their changes of one kind."""
        kept = (replace(own, changes=tuple(c for c in own.changes if not isinstance(c, kind))) for own in self)
        return replace(self, **dict(zip((HIGH, LOW), kept, strict=False)))


def check_pair(experts: Experts) -> None:
    """Raise ValueError if the two experts are not halves of one model."""
    if experts.low is None:
        return
    high, low = (expert.handle for expert in experts)
    if high.checkpoint is None or low.checkpoint is None:
        return
    found = f"{HIGH}: {high.name} is {high.checkpoint}; {LOW}: {low.name} is {low.checkpoint}"
    if high.checkpoint.variant != low.checkpoint.variant:
        raise ValueError(f"the two experts are of different kinds. {found}. Choose two halves of one model.")
    if (high.checkpoint.dim, high.checkpoint.layers) != (low.checkpoint.dim, low.checkpoint.layers):
        raise ValueError(f"the two experts have different sizes. {found}. Choose two halves of one model.")
