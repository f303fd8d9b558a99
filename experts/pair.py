"""The pair of experts as one immutable value: where the weights come from and what is applied to them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from comfy.model_patcher import ModelPatcher

from ..host.patching import is_dynamic, merge_patches
from .handle import Handle
from .shortage import memory_for
from .variant import HIGH, LOW, WanVariant, variant_from_name

AUTO, KEEP_BOTH, ONE_AT_A_TIME = "auto", "keep both", "one at a time"
RESIDENCIES = (AUTO, KEEP_BOTH, ONE_AT_A_TIME)

Change = Callable[[ModelPatcher], None]
"""Something applied to a clone when an expert is opened: a LoRA, a cache, a shift."""


@dataclass(frozen=True)
class Expert:
    """One transformer: a handle on its weights and the changes to make when it is opened."""

    handle: Handle
    changes: tuple[Change, ...] = ()

    def open(self, keep: bool = True, choose: Callable[[ModelPatcher], ModelPatcher] = lambda it: it) -> ModelPatcher:
        """A fresh clone with every change applied, or what `choose` takes in its place.

        Without `keep`, weights that nobody else holds go when the clone does: LoRAs are merged for good, no backup.
        """
        thrown_away = not keep and not self.handle.in_memory
        with memory_for(f"{self.handle.name} ({self.handle.checkpoint})"):
            patcher = self.handle.open(keep).clone()
            for change in self.changes:
                change(patcher)
            patcher = choose(patcher)
            if thrown_away and not is_dynamic(patcher):
                merge_patches(patcher)
        return patcher

    @property
    def change_bytes(self) -> int:
        """Bytes that the changes hold themselves, such as a LoRA's tensors."""
        return sum(getattr(change, "held_bytes", 0) for change in self.changes)

    @property
    def merges_weights(self) -> bool:
        """Whether any change patches weights, of which the host keeps backups."""
        return any(getattr(change, "merges_weights", False) for change in self.changes)


@dataclass(frozen=True)
class Experts:
    """The high- and the low-noise expert, or a single one (`low` is None) that does every step."""

    high: Expert
    low: Expert | None = None
    residency: str = AUTO

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

    def with_change(self, change: Change, role: str | None = None) -> "Experts":
        """The same experts with one more change on each, or only on the one of `role`."""
        changed = (
            replace(expert, changes=(*expert.changes, change)) if role in (None, own) else expert
            for own, expert in zip((HIGH, LOW), self, strict=False)
        )
        return replace(self, **dict(zip((HIGH, LOW), changed, strict=False)))

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
