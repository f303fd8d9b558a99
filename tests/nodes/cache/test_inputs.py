"""The inputs that all cache nodes share: what is left out, and what `regular` stands for, is what the widgets show."""

from typing import Any

import pytest
from comfy_api.latest import io
from wan_duet.cache.run import CacheOn
from wan_duet.cache.settings import CacheSettings
from wan_duet.experts.handle import MissingHandle
from wan_duet.experts.pair import Expert, Experts
from wan_duet.nodes.cache import techniques as nodes

NODES = [node for node in vars(nodes).values() if isinstance(node, type) and issubclass(node, io.ComfyNode)]
WATCHING = [nodes.FirstBlockCache, nodes.DualBlockCache, nodes.SeaCacheNode]
PAIR = Experts(*(Expert(MissingHandle(f"{role}.safetensors", "not there")) for role in ("high", "low")))


def defaults(node: type[io.ComfyNode], *, optional: bool) -> dict[str, Any]:
    inputs = [one for one in node.define_schema().inputs if isinstance(one, io.WidgetInput)]
    return {one.id: one.default for one in inputs if optional or not one.optional}


def settings(node: type[io.ComfyNode], values: dict[str, Any]) -> CacheSettings:
    """The settings of the cache that a node puts on a pair."""
    (experts,) = node.execute(experts=PAIR, **values).args
    (on,) = (change for change in experts.high.changes if isinstance(change, CacheOn))
    return on.source.settings


@pytest.mark.parametrize("node", NODES)
def test_an_input_left_out_is_what_its_widget_shows(node: type[io.ComfyNode]) -> None:
    assert len(NODES) >= 5
    shown, left_out = (settings(node, defaults(node, optional=optional)) for optional in (True, False))
    assert left_out == shown


@pytest.mark.parametrize("node", WATCHING)
def test_the_custom_threshold_begins_at_that_of_regular(node: type[io.ComfyNode]) -> None:
    values = defaults(node, optional=True)
    assert values["acceleration"] == "regular"
    assert settings(node, values) == settings(node, {**values, "acceleration": "custom"})
