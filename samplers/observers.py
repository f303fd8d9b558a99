"""Changes to experts that follow a run: they are told of its plan, of switches and of its end."""

from collections.abc import Hashable
from dataclasses import replace
from typing import Protocol, runtime_checkable

from ..experts.pair import Change, Experts
from ..experts.variant import HIGH, LOW
from .plan import Plan


class Follower(Protocol):
    """Something on one expert or both that follows the runs of a guider."""

    def on(self, role: str) -> Change:
        """The change that puts it on the expert in `role`."""
        ...

    def begin(self) -> None:
        """A run begins."""
        ...

    def leave(self, role: str) -> None:
        """The evaluations go on with another expert."""
        ...

    def report(self) -> list[str]:
        """What there is to say when the run is over."""
        ...


class Followed(Protocol):
    """What a node makes of it, before there is a plan: plain data."""

    def follow(self, plan: Plan, experts: Experts) -> Follower:
        """The follower of one guider; raises ValueError if it does not fit the plan."""
        ...


@runtime_checkable
class Follows(Protocol):
    """The change on one expert that stands for it until then."""

    @property
    def followed(self) -> Followed: ...


def following(experts: Experts, plan: Plan) -> tuple[Experts, list[Follower]]:
    """The experts with every change that follows a run brought to this plan, and the followers."""
    followers: dict[Hashable, Follower] = {}
    brought = {}
    for role, expert in zip((HIGH, LOW), experts, strict=False):
        changes = []
        for change in expert.changes:
            if isinstance(change, Follows):
                if change.followed not in followers:
                    followers[change.followed] = change.followed.follow(plan, experts)
                change = followers[change.followed].on(role)
            changes.append(change)
        brought[role] = replace(expert, changes=tuple(changes))
    return replace(experts, **brought), list(followers.values())
