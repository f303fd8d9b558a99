"""One schema for every host from 0.3.75 on: what an older host lacks is dropped or put where it will be read."""

import dataclasses
from typing import Any, TypeVar

from comfy_api.latest import io

_SUPPORTED = {field.name for field in dataclasses.fields(io.Schema)}
Widget = TypeVar("Widget", bound=io.WidgetInput)


def schema(**fields: Any) -> io.Schema:
    """An io.Schema with the fields this host knows (`search_aliases` and its like came after 0.3.75)."""
    return io.Schema(**{name: value for name, value in fields.items() if name in _SUPPORTED})


def advanced(widget: Widget) -> Widget:
    """The same widget, folded away under "advanced" where the frontend can."""
    widget.extra_dict = {**(widget.extra_dict or {}), "advanced": True}
    return widget
