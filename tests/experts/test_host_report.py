"""What the loader says of this ComfyUI, and when it warns."""

import sys
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import comfy.cli_args
import comfy.ldm.modules.attention
import comfy.model_management
import pytest
import torch
from safetensors.torch import save_file
from wan_duet.dev import dynamic_vram
from wan_duet.dev.tiny import transformer
from wan_duet.experts import host_report
from wan_duet.experts.disk import Disk
from wan_duet.experts.files import load_pair
from wan_duet.experts.handle import MissingHandle
from wan_duet.experts.host_facts import WSL, HostFacts, gather
from wan_duet.experts.host_report import TROUBLES, lines
from wan_duet.experts.pair import Expert, Experts

GB = 10**9
FINE = HostFacts(ram=128 * GB, vram=32 * GB, nvidia=True, capability=(12, 0), torch="2.9.1+cu130", size=29 * GB)
MAPPED = replace(FINE, can_map=True, maps=True, pins=True)
SAGE = replace(FINE, attention="sage")
LARGE = 57 * GB


def warnings(facts: HostFacts) -> list[str]:
    """What to take care of."""
    return [line for line in lines(facts) if line.startswith("take care: ")]


def flags(*names: str) -> frozenset[str]:
    return frozenset(names)


# What goes wrong, words of the warning, and a change that cures it
CASES: list[tuple[HostFacts, str, dict[str, Any]]] = [
    (replace(SAGE, image_to_video=True), "start ComfyUI without --use-sage-attention", {"attention": "pytorch"}),
    (replace(SAGE, weight_dtype="fp8_e5m2"), "start ComfyUI without --use-sage-attention", {"weight_dtype": "default"}),
    (
        replace(SAGE, flags=flags("fp16_accumulation")),
        "set TORCHINDUCTOR_EMULATE_PRECISION_CASTS=1 before ComfyUI starts",
        {"keeps_casts": True},
    ),
    (
        replace(FINE, stored=frozenset({"F8_E4M3", "F32"}), capability=(8, 6)),
        "(compute capability 8.6, 8.9 is needed)",
        {"capability": (8, 9)},
    ),
    (
        replace(FINE, weight_dtype="fp8_e4m3fn", capability=(8, 0)),
        "with weight_dtype fp8_e5m2",
        {"weight_dtype": "fp8_e5m2"},
    ),
    (
        replace(FINE, image_to_video=True, weight_dtype="fp8_e4m3fn_fast"),
        "choose weight_dtype fp8_e4m3fn",
        {"weight_dtype": "fp8_e4m3fn"},
    ),
    (replace(FINE, gguf=True), "fp8 files are faster", {"gguf": False}),
    (replace(MAPPED, disk=Disk(spins=True)), "29 GB fit into memory", {"flags": flags("high_ram")}),
    (replace(MAPPED, disk=Disk(filesystem="fuseblk")), "Mount it with ntfs3", {"disk": Disk(filesystem="ntfs3")}),
    (replace(MAPPED, system=WSL), "start ComfyUI with --fast-disk", {"flags": flags("fast_disk")}),
    (replace(MAPPED, size=LARGE, ram=64 * GB), "start ComfyUI with --disable-pinned-memory", {"pins": False}),
    (replace(FINE, system="Windows", size=LARGE, ram=64 * GB), "with RAMMap", {"ram": 128 * GB}),
    (replace(MAPPED, flags=flags("high_ram"), size=2 * LARGE, ram=96 * GB, pins=False), "114 GB", {"keeps": False}),
    (replace(FINE, vram_state="HIGH_VRAM", size=LARGE), "their 57 GB do not fit", {"keeps": False}),
    (replace(MAPPED, flags=flags("disable_smart_memory")), "reads them again", {"keeps": False}),
    (replace(FINE, flags=flags("cache_none")), "Residency 'one at a time' saves more memory", {"keeps": False}),
    (replace(FINE, can_map=True, torch="2.7.1+cu128"), "PyTorch 2.7.1+cu128 is too old", {"torch": "2.10.0"}),
]


@pytest.mark.parametrize(("facts", "words", "cure"), CASES)
def test_a_known_trouble_is_said_in_one_line_until_it_is_cured(
    facts: HostFacts, words: str, cure: dict[str, Any]
) -> None:
    (warning,) = warnings(facts)
    assert words in warning and "\n" not in warning
    assert warnings(replace(facts, **cure)) == []


def test_every_trouble_has_a_case() -> None:
    met = {trouble for trouble in TROUBLES for facts, *_ in CASES if trouble.applies(facts)}
    assert met == set(TROUBLES)


@pytest.mark.parametrize("facts", [FINE, MAPPED, SAGE, HostFacts(ram=8 * GB)], ids=["fine", "mapped", "sage", "CPU"])
def test_an_ordinary_machine_gets_two_lines(facts: HostFacts) -> None:
    assert [line.split(":")[0] for line in lines(facts)] == ["weights", "attention"]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (MAPPED, "read from the files as the GPU needs them, pinned copies while memory is free (DynamicVRAM)"),
        (replace(MAPPED, pins=False), "read from the files as the GPU needs them, no pinned copies (DynamicVRAM)"),
        (
            replace(MAPPED, flags=flags("fast_disk")),
            "read from the files whenever the GPU needs them (DynamicVRAM, --fast-disk)",
        ),
        (FINE, "on the GPU as far as they fit, the rest in main memory"),
        (
            replace(FINE, can_map=True, vram_state="NO_VRAM", flags=flags("novram")),
            "in main memory, on the GPU only while they are used; DynamicVRAM is off (--novram)",
        ),
        (
            replace(FINE, can_map=True, flags=flags("disable_dynamic_vram")),
            "on the GPU as far as they fit, the rest in main memory; DynamicVRAM is off (--disable-dynamic-vram)",
        ),
        (
            replace(FINE, can_map=True),
            "on the GPU as far as they fit, the rest in main memory; DynamicVRAM is off (see the log of its start)",
        ),
        (HostFacts(vram_state="DISABLED", can_map=True, flags=flags("cpu")), "in main memory, for the CPU"),
    ],
)
def test_the_first_line_says_where_weights_are(facts: HostFacts, expected: str) -> None:
    assert lines(facts)[0] == f"weights: {expected}"


def test_the_second_line_names_attention_and_what_is_switched_on_besides() -> None:
    assert lines(SAGE)[1] == "attention: SageAttention"
    fast = replace(FINE, compiles=True, flags=flags("fp16_accumulation", "fp8_matrix_mult"))
    assert lines(fast)[1] == "attention: PyTorch, Comfy Compiler, fp16 accumulation, fp8 products"
    assert lines(replace(FINE, attention="of_tomorrow"))[1] == "attention: of_tomorrow"


# What is gathered on the real host


@pytest.fixture
def pair(put: Callable[..., str]) -> Experts:
    put("wan_i2v_high_noise.safetensors", in_dim=36)
    put("wan_i2v_low_noise.safetensors", in_dim=36)
    return load_pair("wan_i2v_high_noise.safetensors", "auto", "fp8_e5m2")


def test_this_host_is_seen_as_it_is(pair: Experts) -> None:
    facts = gather(pair)
    assert (facts.vram_state, facts.nvidia, facts.capability, facts.maps) == (
        "DISABLED",
        False,
        None,
        dynamic_vram.wanted() is not None,
    )
    assert facts.attention in comfy.ldm.modules.attention.optimized_attention.__name__
    assert facts.attention in host_report.ATTENTION
    assert facts.ram == comfy.model_management.get_total_memory(torch.device("cpu"))
    assert "cpu" in facts.flags and "cache_none" not in facts.flags


def test_the_files_are_seen_as_they_are(pair: Experts) -> None:
    facts = gather(pair)
    assert facts.image_to_video and facts.stored == {"BF16"} and facts.weight_dtype == "fp8_e5m2"
    assert facts.size == sum(expert.handle.held_bytes for expert in pair)
    assert facts.fp8 and not facts.e4m3 and not facts.gguf


def test_a_file_that_stores_fp8_is_seen(folder: Any) -> None:
    for name, seed in (("a_high.safetensors", 0), ("a_low.safetensors", 1)):
        weights = {key: weight.bfloat16() for key, weight in transformer(seed, layers=1).items()}
        key = "blocks.0.ffn.0.weight"
        save_file({**weights, key: weights[key].to(torch.float8_e4m3fn)}, folder / name)
    facts = gather(load_pair("a_high.safetensors", "auto"))
    assert facts.stored == {"BF16", "F8_E4M3"}
    assert facts.e4m3 and facts.fp8 and not facts.image_to_video


def test_switches_are_seen_as_the_host_has_parsed_them(pair: Experts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comfy.cli_args.args, "cache_none", True)
    monkeypatch.setattr(comfy.cli_args.args, "fast", {comfy.cli_args.PerformanceFeature.Fp16Accumulation})
    monkeypatch.setenv("TORCHINDUCTOR_EMULATE_PRECISION_CASTS", "1")
    monkeypatch.setattr(comfy.model_management, "MAX_PINNED_MEMORY", 1.0)
    facts = gather(pair)
    assert {"cache_none", "fp16_accumulation"} <= facts.flags
    assert facts.keeps_casts and facts.pins
    monkeypatch.setattr(comfy.cli_args.args, "disable_pinned_memory", True)
    assert not gather(pair).pins


def test_comfy_compiler_is_asked_for_this_device(pair: Experts, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.device] = []
    compiler = SimpleNamespace(malloc_graph_enabled=lambda device: asked.append(device) or True)
    monkeypatch.setitem(sys.modules, "comfy.model_prefetch", compiler)
    assert gather(pair).compiles
    assert asked == [comfy.model_management.get_torch_device()]
    monkeypatch.setitem(sys.modules, "comfy.model_prefetch", SimpleNamespace())
    assert not gather(pair).compiles


def test_wsl_is_told_from_linux(pair: Experts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.uname", lambda: SimpleNamespace(release="6.6.87.2-microsoft-standard-WSL2"))
    assert gather(pair).system == WSL


def test_files_that_are_not_there_are_reported_too() -> None:
    gone = Experts(*(Expert(MissingHandle(f"{name}.gguf", "gone")) for name in ("high", "low")))
    assert gather(gone).gguf
    assert len(host_report.report(gone).splitlines()) == 3
