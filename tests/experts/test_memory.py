"""What the headers say about memory, and what `auto` makes of it."""

from pathlib import Path

import comfy.model_management
import pytest
from wan_duet.experts import memory
from wan_duet.experts.handle import MissingHandle, ModelHandle
from wan_duet.experts.pair import AUTO, KEEP_BOTH, ONE_AT_A_TIME, Expert, Experts
from wan_duet.tests.samplers.pairs import from_files

GIB = 2**30


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch):
    """Set what the host says is free."""

    def set_free(amount: int) -> None:
        monkeypatch.setattr(comfy.model_management, "get_free_memory", lambda *_: amount)
        monkeypatch.setattr(comfy.model_management, "get_total_memory", lambda *_: 0)

    return set_free


def test_both_experts_take_the_bytes_of_both_files(files: Path) -> None:
    peak = memory.peak(from_files(files, AUTO))
    sizes = [(files / f"{name}.safetensors").stat().st_size for name in ("high", "other")]
    assert peak.ram_both == sum(sizes)
    assert peak.ram_one == max(sizes)
    assert peak.vram > max(sizes)


def test_a_longer_video_needs_more_on_the_gpu(files: Path) -> None:
    experts = from_files(files, AUTO)
    short, long = (memory.peak(experts, 832, 480, frames).vram for frames in (17, 81))
    weights = memory.peak(experts).ram_one
    assert (long - weights) == pytest.approx((short - weights) * 21 / 5, rel=1e-3)


def test_auto_keeps_both_when_they_fit_and_says_what_it_compared(files: Path, free) -> None:
    free(10 * GIB)
    chosen = memory.residency(from_files(files, AUTO))
    assert chosen.keep
    assert "10.7 GB can be spared" in chosen.why


def test_auto_takes_one_at_a_time_when_both_do_not_fit(files: Path, free) -> None:
    free(memory.peak(from_files(files, AUTO)).ram_both - 1)
    assert not memory.residency(from_files(files, AUTO)).keep


def test_an_expert_that_is_in_memory_already_needs_no_more(files: Path, free) -> None:
    experts = from_files(files, AUTO)
    experts.high.open()
    free(memory.peak(experts).ram_one)
    assert memory.residency(experts).keep


@pytest.mark.parametrize("asked", [KEEP_BOTH, ONE_AT_A_TIME])
def test_what_was_asked_for_is_done_whatever_is_free(files: Path, free, asked: str) -> None:
    free(0)
    assert memory.residency(from_files(files, asked)).keep == (asked == KEEP_BOTH)


def test_missing_files_take_nothing(files: Path) -> None:
    gone = Experts(*(Expert(MissingHandle(name, "gone")) for name in ("high", "low")))
    assert memory.peak(gone) == (0, 0, 0)
    assert "0.0 GB" in memory.report(gone)


def test_connected_models_are_kept(files: Path, free) -> None:
    free(0)
    experts = from_files(files, AUTO)
    models = Experts(*(Expert(ModelHandle(expert.open(), "MODEL")) for expert in experts))
    assert memory.residency(models).keep
