"""One forward of a Wan transformer in which all blocks but the first few can be left out.

The gate changes the network's block list in place for that time, not the host's `blocks_replace` patches: the side
branches of VACE, S2V and Animate run inside the block loop, between the blocks, where no patch of a block can leave
them out. It works on every class whose forward loops over `blocks` and then calls `head`.
"""

import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import partial
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from ..host.sampling import outliving_forward

Decide = Callable[[Tensor | None], Tensor | None]
"""From what the first blocks added, [B, L, C] (None if no block ran), the residual to take for the rest, or None."""

_open: ContextVar["Gate | None"] = ContextVar("wan_duet_gate", default=None)  # each thread has its own
_swapping = threading.Lock()


def fits(network: Any) -> bool:
    """Return True if the gate knows this network: it has a plain list of blocks and a head."""
    return isinstance(getattr(network, "blocks", None), nn.ModuleList) and isinstance(
        getattr(network, "head", None), nn.Module
    )


class Gate:
    """A `with` block in which `network` asks `decide` after its first `depth` blocks whether the rest must run.

    Where all of them ran, `keep` gets what those after the first `depth` added, side branches between them included.
    The network's block list and head are changed places with for the time, and are back when the block ends.
    """

    def __init__(self, network: nn.Module, depth: int, decide: Decide, keep: Callable[[Tensor], None]):
        self.network, self.depth, self.decide, self.keep = network, depth, decide, keep
        self.ran = 0
        self._entered: Tensor | None = None  # the hidden state that the first block was given
        self._added: Tensor | None = None  # what the first blocks made of it
        self._before: Tensor | None = None  # the hidden state that the block after them was given
        self._reused: Tensor | None = None

    def __enter__(self) -> "Gate":
        with _swapping:
            for name, stand_in in (("blocks", _Blocks), ("head", _Head)):
                found: Any = self.network._modules[name]
                if not isinstance(found, _StandIn):
                    found = self.network._modules[name] = stand_in(found)
                found.__dict__["users"] += 1
        self._outer = _open.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _open.reset(self._outer)
        with _swapping:
            for name in ("blocks", "head"):
                found: Any = self.network._modules[name]
                found.__dict__["users"] -= 1
                if not found.users:
                    self.network._modules[name] = found.real

    def through(self, blocks: list[nn.Module]) -> Iterator[Callable[..., Tensor]]:
        """Yield the blocks to call, one after the other; it ends early where the rest is left out."""
        for number, block in enumerate(blocks):
            if number == self.depth:
                with outliving_forward():
                    self._reused = self.decide(self._added)
                if self._reused is not None:
                    return
            self.ran += 1
            yield partial(self._call, number, block)

    def _call(self, number: int, block: Callable[..., Tensor], x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if number == 0 and self.depth:
            self._entered = x
        if number == self.depth:
            with outliving_forward():
                self._before = x.clone()  # blocks of other packs work in place
        out = block(x, *args, **kwargs)
        if number == self.depth - 1 and self._entered is not None:
            with outliving_forward():
                self._added = out - self._entered
            self._entered = None
        return out

    def at_head(self, x: Tensor) -> Tensor:
        """Return what the head is to see for the hidden state `x` it is given."""
        if self._reused is not None:
            return x + self._reused
        if self._before is not None:  # else another pack's patch took the place of the block
            with outliving_forward():
                self.keep(x - self._before)
            self._before = None
        return x


class _StandIn:
    """A module that shares the children of the one whose place it takes, under the same names."""

    real: nn.Module
    users: int

    def _take_place_of(self, real: nn.Module) -> None:
        self.__dict__.update(real=real, users=0)  # not as a child
        for shared in ("_modules", "_parameters", "_buffers"):
            self.__dict__[shared] = getattr(real, shared)


class _Blocks(nn.ModuleList, _StandIn):
    def __init__(self, real: nn.Module):
        super().__init__()
        self._take_place_of(real)

    def __iter__(self) -> Iterator[Any]:
        gate = _open.get()
        blocks: list[Any] = list(self._modules.values())
        return iter(blocks) if gate is None else gate.through(blocks)


class _Head(nn.Module, _StandIn):
    def __init__(self, real: nn.Module):
        super().__init__()
        self._take_place_of(real)

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> Tensor:
        gate = _open.get()
        return self.real(x if gate is None else gate.at_head(x), *args, **kwargs)
