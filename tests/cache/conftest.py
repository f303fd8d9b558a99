"""Models that the tests of a module share, and how much memory the host believes to have."""

import math
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

import pytest
import torch
from comfy.model_base import BaseModel
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
        turns = repeat(batch) if isinstance(batch, bool) else batch

        def needed(_: BaseModel, shape: list[int], **__: Any) -> float:
            return 0.0 if shape[0] == 1 or next(turns) else math.inf

        monkeypatch.setattr(BaseModel, "memory_required", needed)

    return let
