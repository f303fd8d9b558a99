"""What the headers say about memory, and what `auto` makes of it."""

from collections.abc import Callable
from pathlib import Path

import comfy.cli_args
import comfy.model_management
import pytest
from wan_duet.experts import memory
from wan_duet.experts.files import load_pair
from wan_duet.experts.handle import MissingHandle
from wan_duet.experts.lora.expert_lora import ExpertLora
from wan_duet.experts.lora.schedule import constant
from wan_duet.experts.pair import AUTO, KEEP_BOTH, ONE_AT_A_TIME, Expert, Experts
from wan_duet.experts.variant import HIGH, LOW
from wan_duet.host import memory as host_memory

# What an ordinary host does, wherever the suite runs; `mapped` is the other kind
pytestmark = pytest.mark.usefixtures("ordinary")
Load = Callable[..., Experts]
A14B = {"dim": 5120, "ffn_dim": 13824, "num_heads": 40, "num_layers": 40}
A14B_BYTES = 28.58e9  # 14.29e9 weights of two bytes


@pytest.fixture
def ordinary(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without DynamicVRAM."""
    monkeypatch.setattr(host_memory, "maps_files", lambda: False)


@pytest.fixture
def pair(put: Callable[..., str]) -> Load:
    """A pair of real size, in name only."""
    put("wan_high_noise.safetensors", **A14B)
    put("wan_low_noise.safetensors", **A14B)

    def load(residency: str = AUTO, weight_dtype: str = "default") -> Experts:
        return load_pair("wan_high_noise.safetensors", "auto", weight_dtype, residency=residency)

    return load


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set how much memory the host calls free, on a machine that has twice as much."""

    def set_free(amount: float) -> None:
        monkeypatch.setattr(comfy.model_management, "get_free_memory", lambda *_: amount)
        monkeypatch.setattr(comfy.model_management, "get_total_memory", lambda *_: 2 * amount)

    return set_free


class Opened:
    """In place of a patcher with 28.6 GB in it."""


@pytest.fixture
def with_lora(tmp_path: Path) -> Load:
    """A function that puts a LoRA file of so many bytes, with nothing in it, on both experts."""
    path = tmp_path / "lora.safetensors"

    def put_on(experts: Experts, size: int = 0) -> Experts:
        with path.open("wb") as file:
            file.truncate(size)
        for role in (HIGH, LOW):
            experts = experts.with_lora(ExpertLora(str(path), role, constant(1.0)))
        return experts

    return put_on


def test_both_experts_take_twice_the_bytes_of_one(pair: Load) -> None:
    peak = memory.peak(pair())
    assert peak.ram_one == pytest.approx(A14B_BYTES, rel=0.01)
    assert peak.ram_both == pytest.approx(2 * A14B_BYTES, rel=0.01)


def test_a_cast_to_fp8_halves_them(pair: Load) -> None:
    assert memory.peak(pair(weight_dtype="fp8_e4m3fn")).ram_one == pytest.approx(A14B_BYTES / 2, rel=0.01)


def test_a_lora_takes_its_own_bytes_too(pair: Load, with_lora: Load) -> None:
    before, after = (memory.peak(with_lora(pair(), size)) for size in (0, 10**9))
    assert after.ram_both - before.ram_both == 2 * 10**9
    assert after.ram_one - before.ram_one == 10**9


def test_a_lora_doubles_a_kept_expert_and_not_one_that_is_thrown_away(pair: Load, with_lora: Load) -> None:
    peak = memory.peak(with_lora(pair()))
    assert peak.ram_both == pytest.approx(4 * A14B_BYTES, rel=0.01)
    assert peak.ram_one == pytest.approx(A14B_BYTES, rel=0.01)


def test_the_gpu_needs_more_for_a_longer_video(pair: Load) -> None:
    short, long = (memory.peak(pair(), frames=frames) for frames in (17, 81))
    weights = short.ram_one
    assert long.vram - weights == pytest.approx((short.vram - weights) * 21 / 5, rel=1e-3)  # latent frames


@pytest.mark.parametrize(("gigabytes", "kept"), [(80, True), (64, False)])
def test_auto_keeps_both_if_the_system_is_left_its_share(
    pair: Load, free: Callable[[float], None], gigabytes: int, kept: bool
) -> None:
    free(gigabytes * 1e9)
    chosen = memory.residency(pair())
    assert chosen.keep == kept
    assert chosen.why == f"both need 57.2 GB more and {gigabytes * 0.84:.1f} GB can be spared"


def test_auto_counts_the_backups_of_loras(pair: Load, with_lora: Load, free: Callable[[float], None]) -> None:
    free(80e9)
    assert not memory.residency(with_lora(pair())).keep


def test_auto_counts_no_expert_twice_that_is_in_memory(
    pair: Load, free: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    experts = pair()
    for expert in experts:
        monkeypatch.setattr(expert.handle, "_read", Opened)
    experts.high.handle.open()
    free(64e9)
    assert memory.residency(experts).why == "both need 28.6 GB more and 53.8 GB can be spared"
    experts.low.handle.open()
    free(0)
    assert memory.residency(experts) == (True, "both are in memory already")


def test_auto_counts_no_backup_twice_that_is_in_memory(
    pair: Load,
    with_lora: Load,
    free: Callable[[float], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    experts = with_lora(pair())
    monkeypatch.setattr(experts.high.handle, "_read", Opened)
    experts.high.handle.open()
    free(70e9)
    assert memory.residency(experts).why.startswith("both need 57.2 GB more")


@pytest.mark.parametrize("asked", [KEEP_BOTH, ONE_AT_A_TIME])
def test_what_was_asked_for_is_done_whatever_is_free(pair: Load, free: Callable[[float], None], asked: str) -> None:
    free(1e9 if asked == KEEP_BOTH else 1e12)
    assert memory.residency(pair(asked)) == (asked == KEEP_BOTH, "asked for")


@pytest.fixture
def mapped(monkeypatch: pytest.MonkeyPatch, ordinary: None) -> None:
    """DynamicVRAM as the host has it when it is on."""
    monkeypatch.setattr(host_memory, "maps_files", lambda: True)


@pytest.mark.usefixtures("mapped")
def test_with_dynamic_vram_both_are_kept_because_the_host_takes_from_the_idle_one(
    pair: Load, free: Callable[[float], None]
) -> None:
    free(1e9)
    assert memory.residency(pair()) == (True, "DynamicVRAM takes memory from the idle one when it is short")
    text = memory.report(pair())
    assert text.startswith("memory: at most 57.2 GB for both, 28.6 GB one at a time, GPU ")
    assert "residency keep both (DynamicVRAM" in text


@pytest.mark.usefixtures("mapped")
def test_a_host_that_was_told_to_hold_everything_gives_nothing_back(
    pair: Load, free: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    free(1e9)
    monkeypatch.setattr(comfy.cli_args.args, "high_ram", True, raising=False)
    assert memory.residency(pair()) == (True, "--high-ram asks for it")
    assert memory.report(pair()).startswith("memory: 57.2 GB for both")


@pytest.mark.usefixtures("mapped")
def test_with_dynamic_vram_a_lora_doubles_nothing(pair: Load, with_lora: Load) -> None:
    assert memory.peak(with_lora(pair())).ram_both == pytest.approx(2 * A14B_BYTES, rel=0.01)


def test_with_dynamic_vram_a_cast_saves_memory_on_the_gpu_only(pair: Load, request: pytest.FixtureRequest) -> None:
    usual = memory.peak(pair(weight_dtype="fp8_e4m3fn"))
    request.getfixturevalue("mapped")
    peak = memory.peak(pair(weight_dtype="fp8_e4m3fn"))
    assert peak.ram_one == pytest.approx(A14B_BYTES, rel=0.01)
    assert peak.vram == usual.vram


def test_the_report_gives_both_modes_the_gpu_and_the_choice(pair: Load, free: Callable[[float], None]) -> None:
    free(64e9)
    text = memory.report(pair())
    assert text.startswith("memory: 57.2 GB for both, 28.6 GB one at a time, GPU ")
    assert text.endswith("residency one at a time (both need 57.2 GB more and 53.8 GB can be spared)")


def test_missing_files_take_nothing() -> None:
    gone = Experts(*(Expert(MissingHandle(name, "gone")) for name in ("high", "low")))
    assert memory.peak(gone) == (0, 0, 0)
    assert memory.report(gone) == "memory: not known while a file is missing"
