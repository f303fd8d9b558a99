"""A host that records what a forward allocates and replays it: nothing that is held for longer is in the record.

ComfyUI's compiler does so from 0.35 on; a stand-in plays it here, on whatever host this is.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
from comfy.model_patcher import ModelPatcher
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from wan_duet.cache.techniques.base import Technique
from wan_duet.cache.techniques.dual_block import DualBlock
from wan_duet.cache.techniques.teacache import TeaCache
from wan_duet.tests.cache.models import always, blocks, cached, sample


class Record(TorchDispatchMode):
    """The addresses that are allocated while it is open, but for those of the times when it is paused."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.paused = False, False
        self.addresses: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for address in _addresses(found) - _addresses((args, kwargs)):
            if self.open and not self.paused:
                self.addresses.add(address)
            else:
                self.addresses.discard(address)
        return found

    @contextmanager
    def pause(self, sync: bool = False) -> Iterator[None]:
        """What the host calls `pause_malloc_graph`."""
        outer, self.paused = self.paused, True
        try:
            yield
        finally:
            self.paused = outer

    def held(self) -> int:
        """How many recorded addresses are still in use."""
        return len(self.addresses & _addresses([it for it in gc.get_objects() if type(it) in (Tensor, nn.Parameter)]))


def _addresses(values: Any) -> set[int]:
    tensors = [value for value in tree_iter(values) if isinstance(value, Tensor)]
    return {tensor.untyped_storage().data_ptr() for tensor in tensors if not tensor.is_meta}


@contextmanager
def recorded(model: ModelPatcher, record: Record) -> Iterator[list[int]]:
    """Record each forward from first block to head, and count what is held after each block but the host's own."""
    held: list[int] = []
    network = model.model.diffusion_model

    def begin(*_: Any) -> None:
        record.addresses.clear()
        record.open = True

    def hosts_own(block: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        record.addresses -= _addresses(output)
        held.append(record.held())

    def end(head: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        record.open = False
        record.addresses -= _addresses(inputs)
        held.append(record.held())

    hooks = [blocks(model)[0].register_forward_pre_hook(begin), network.head.register_forward_pre_hook(end)]
    hooks += [block.register_forward_hook(hosts_own) for block in blocks(model)]
    try:
        with record:
            yield held
    finally:
        for hook in hooks:
            hook.remove()


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Record:
    record = Record()
    module = ModuleType("comfy.model_prefetch")
    module.__dict__.update(vars(sys.modules.get("comfy.model_prefetch", module)), pause_malloc_graph=record.pause)
    monkeypatch.setitem(sys.modules, "comfy.model_prefetch", module)
    return record


@pytest.mark.parametrize("technique", [DualBlock(1), TeaCache()], ids=lambda it: type(it).__name__)
@pytest.mark.parametrize("extrapolate", [False, True])
def test_what_a_cache_holds_is_not_in_the_record(
    base: ModelPatcher, record: Record, technique: Technique, extrapolate: bool
) -> None:
    model = cached(base, technique, **always(extrapolate=extrapolate))
    with recorded(model, record) as held:
        sample(model, steps=3)
    assert held and not any(held)


def test_the_record_sees_what_is_held(base: ModelPatcher, record: Record) -> None:
    kept = []
    with recorded(base, record) as held:
        hook = blocks(base)[0].register_forward_hook(lambda *call: kept.append(call[-1].clone()))
        sample(base, steps=2)
        hook.remove()
    assert any(held)
