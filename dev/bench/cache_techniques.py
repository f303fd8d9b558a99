"""The step caches that are compared: ours, the host's own, and no cache but fewer steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import folder_paths
from comfy.patcher_extension import WrappersMP
from comfy_extras.nodes_easycache import EasyCacheNode, LazyCacheNode
from torch import Tensor
from wan_duet.cache.run import StepCache, with_cache
from wan_duet.cache.settings import CacheSettings
from wan_duet.cache.techniques.base import Technique
from wan_duet.cache.techniques.dual_block import DualBlock
from wan_duet.cache.techniques.magcache import AUTHORS, MEASURE, MagCache
from wan_duet.cache.techniques.seacache import SeaCache
from wan_duet.cache.techniques.teacache import TeaCache
from wan_duet.experts.handle import ModelHandle
from wan_duet.experts.pair import Expert, Experts

FILES = ("t2v_high.safetensors", "t2v_low.safetensors")
START, END = 0.15, 0.95  # the defaults of the host's nodes
FEWER_STEPS, EASYCACHE = "fewer steps", "EasyCache, cloned"

At = Callable[[float, Experts], Experts]
"""The experts with a cache at a threshold."""


@dataclass(frozen=True)
class Way:
    """A way to save block forwards; without `at` steps are left out. `observes`: what it does depends on the video."""

    name: str
    at: At | None
    ours: bool = False
    observes: bool = True


def ways() -> list[Way]:
    """All of them. Ours are as their nodes set them, but for the threshold."""
    return [
        Way("First Block Cache", partial(_ours, DualBlock(1)), ours=True),
        Way("Dual Block Cache, F2", partial(_ours, DualBlock(2)), ours=True),
        Way("TeaCache", partial(_ours, TeaCache()), ours=True, observes=False),
        Way("MagCache", partial(_ours, MagCache()), ours=True, observes=False),
        Way("MagCache, measured", partial(_ours, MagCache(FILES)), ours=True, observes=False),
        Way("MagCache, retention", partial(_ours, MagCache(retention=AUTHORS)), ours=True, observes=False),
        Way("SeaCache", partial(_ours, SeaCache()), ours=True),
        Way(EASYCACHE, partial(_of_host, EasyCacheNode, _clone_input)),
        Way("EasyCache as it is", partial(_of_host, EasyCacheNode, None)),
        Way("LazyCache", partial(_of_host, LazyCacheNode, None)),
        Way(FEWER_STEPS, None, observes=False),
    ]


def measuring(user_folder: str) -> Callable[[Experts], Experts]:
    """A run that measures MagCache's ratios of these experts, which are kept in `user_folder`."""
    folder_paths.set_user_directory(user_folder)
    return partial(_ours, MagCache(FILES, MEASURE), 0.0)


def _ours(technique: Technique, threshold: float, experts: Experts) -> Experts:
    return with_cache(experts, StepCache(technique, CacheSettings(threshold)))


def _of_host(node: Any, wrapper: Any, threshold: float, experts: Experts) -> Experts:
    return Experts(*(_with_node(node, wrapper, threshold, expert) for expert in experts))


def _with_node(node: Any, wrapper: Any, threshold: float, expert: Expert) -> Expert:
    model = expert.open()
    if wrapper is not None:  # before the node's own, so that it is the outer one
        model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "cloned", wrapper)
    return Expert(ModelHandle(node.execute(model, threshold, START, END, False).args[0], "expert"))


def _clone_input(executor: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """EasyCache adds to the tensor it is given, which in fp32 is the sampler's."""
    return executor(x.clone(), *args, **kwargs)
