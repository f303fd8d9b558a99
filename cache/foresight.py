"""What a planned technique has ahead of it in a whole run, and with a target one reuse threshold for both experts."""

from collections.abc import Callable, Mapping

from comfy.model_base import BaseModel
from torch import Tensor

from .planning import Outlook, solved
from .prospect import Prospect
from .settings import Settings
from .stage import Ahead

Part = Callable[[], BaseModel | None]
"""As much of an expert's model as can be looked at while it may be closed; None if that is not possible."""


class Foresight:
    """Looks ahead once for the sigmas of a run, so that what was planned is what is done."""

    def __init__(self, settings: Settings, prospects: Mapping[str, Prospect], parts: Mapping[str, Part]):
        self._settings, self._prospects, self._parts = settings, prospects, parts
        self._sigmas: tuple[float, ...] = ()
        self._ahead: dict[str, Ahead] = {}

    def ahead(self, role: str, sigmas: Tensor, model: BaseModel) -> Ahead:
        """What is ahead of the expert in `role`, whose steps begin now on `model`."""
        if self._sigmas != tuple(sigmas.tolist()):
            self._sigmas, self._ahead = tuple(sigmas.tolist()), self._of_all(role, sigmas, model)
        if role not in self._ahead:  # it could not be looked at before
            self._ahead |= self._chosen({role: self._prospects[role].outlook(sigmas, model)})
        return self._ahead[role]

    def _of_all(self, role: str, sigmas: Tensor, model: BaseModel) -> dict[str, Ahead]:
        found, note = {role: self._prospects[role].outlook(sigmas, model)}, ""
        for other in self._others(role, sigmas):
            part = self._parts[other]()
            if part is None:
                note = f"the {other} expert can't be looked at before it is open: each meets the target for itself"
            else:
                found[other] = self._prospects[other].outlook(sigmas, part)
        return self._chosen(found, note)

    def _others(self, role: str, sigmas: Tensor) -> list[str]:
        """Whom a target takes in besides: the expert that has steps of the run too, if it is not left alone."""
        if not self._settings.target:
            return []
        return [other for other in self._parts if other != role and self._prospects[other].stage(sigmas)[0].own]

    def _chosen(self, looked: Mapping[str, Outlook | None], note: str = "") -> dict[str, Ahead]:
        outlooks = {role: outlook for role, outlook in looked.items() if outlook is not None}
        threshold, target = self._settings.threshold, self._settings.target
        if target:
            threshold = solved(outlooks.values(), target)
        return {
            role: Ahead(dict(zip(outlook.stage.own, outlook.changes, strict=True)), threshold, note)
            for role, outlook in outlooks.items()
        }
