"""The pair of experts as one immutable value: where the weights come from and what is applied to them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from comfy.model_patcher import ModelPatcher

from .handle import Handle
from .kind import HIGH, LOW, Kind, kind_from_name

Change = Callable[[ModelPatcher], None]
"""Something applied to a clone when an expert is opened: a LoRA, a cache, a shift."""


@dataclass(frozen=True)
class Expert:
    """One transformer: a handle on its weights and the changes to make when it is opened."""

    handle: Handle
    changes: tuple[Change, ...] = ()

    def open(self) -> ModelPatcher:
        """A fresh clone with every change applied; the handle's own patcher stays as it is."""
        patcher = self.handle.open().clone()
        for change in self.changes:
            change(patcher)
        return patcher


@dataclass(frozen=True)
class Experts:
    """The high- and the low-noise expert, or a single one (`low` is None) that does every step."""

    high: Expert
    low: Expert | None = None

    @property
    def kind(self) -> Kind:
        """What the pair is; a guess by name when neither file is there."""
        known = [expert.handle.checkpoint for expert in self if expert.handle.checkpoint]
        return known[0].kind if known else kind_from_name(self.high.handle.name)

    def __iter__(self) -> Iterator[Expert]:
        return iter((self.high,) if self.low is None else (self.high, self.low))

    def __getitem__(self, role: str) -> Expert:
        return {HIGH: self.high, LOW: self.low or self.high}[role]

    def with_change(self, change: Change, role: str | None = None) -> "Experts":
        """The same experts with one more change on each, or only on the one of `role`."""
        return Experts(
            *(
                replace(expert, changes=(*expert.changes, change)) if role in (None, own) else expert
                for own, expert in zip((HIGH, LOW), self, strict=False)
            )
        )


def check_pair(experts: Experts) -> None:
    """Raise ValueError if the two experts are not halves of one model."""
    if experts.low is None:
        return
    high, low = (expert.handle for expert in experts)
    if high.checkpoint is None or low.checkpoint is None:
        return
    found = f"{HIGH}: {high.name} is {high.checkpoint}; {LOW}: {low.name} is {low.checkpoint}"
    if high.checkpoint.kind != low.checkpoint.kind:
        raise ValueError(f"the two experts are of different kinds. {found}. Choose two halves of one model.")
    if (high.checkpoint.dim, high.checkpoint.layers) != (low.checkpoint.dim, low.checkpoint.layers):
        raise ValueError(f"the two experts have different sizes. {found}. Choose two halves of one model.")
