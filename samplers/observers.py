"""Observers of a guider's runs: they are told of its plan, of switches and of its end."""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Protocol

from ..experts.pair import Experts, PatcherEdit
from ..experts.variant import HIGH, LOW
from .plan import Plan


class RunObserver(Protocol):
    """Something on one expert or both that a guider tells of its runs."""

    def on(self, role: str) -> PatcherEdit:
        """Return the change that puts it on the expert in `role`."""
        ...

    def begin(self) -> None:
        """Begin a run."""
        ...

    def leave(self, role: str) -> None:
        """Leave the expert in `role`: the evaluations go on with another one."""
        ...

    def report(self) -> list[str]:
        """Return the lines to say when the run is over."""
        ...


@dataclass(frozen=True)
class ObservedChange(ABC):
    """A change on the expert in `role` that a guider replaces by an observer's; other samplers apply it as it is.

    Changes of one `source`, the settings that a node made, share an observer.
    """

    source: Hashable
    role: str

    @abstractmethod
    def observe(self, plan: Plan, experts: Experts) -> RunObserver:
        """Return an observer of one guider's runs; raises ValueError if it does not fit the plan."""


def observe_runs(experts: Experts, plan: Plan) -> tuple[Experts, list[RunObserver]]:
    """Return the experts with every observed change replaced by its observer's for this plan, and the observers."""
    observers: dict[Hashable, RunObserver] = {}
    brought = {}
    for role, expert in zip((HIGH, LOW), experts, strict=False):
        changes = []
        for change in expert.changes:
            if isinstance(change, ObservedChange):
                if change.source not in observers:
                    observers[change.source] = change.observe(plan, experts)
                change = observers[change.source].on(role)
            changes.append(change)
        brought[role] = replace(expert, changes=tuple(changes))
    return replace(experts, **brought), list(observers.values())
