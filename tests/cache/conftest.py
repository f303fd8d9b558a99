"""Models that the tests of a module share, and how much memory the host believes to have."""

from collections.abc import Callable, Iterator

import comfy.model_management
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from wan_duet.tests.cache.models import patcher


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small lose more time to handing work over than they win."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def base() -> ModelPatcher:
    return patcher("base")


@pytest.fixture
def free_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[Iterator[bool] | bool], None]:
    """A function that lets the host batch all prompts, or none, or as an iterator says for each batch in turn."""

    def let(batch: Iterator[bool] | bool) -> None:
        turns = iter(lambda: batch, None) if isinstance(batch, bool) else batch
        monkeypatch.setattr(comfy.model_management, "get_free_memory", lambda *_: 1e15 if next(turns) else 0.0)

    return let
