"""Memory of a pair, kept and one at a time: python3 dev/bench/residency.py [--quick]

Peak anonymous memory over the idle host, in units of one expert's bytes as held; every mode in a fresh process.
Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from memory import anonymous, watched

from host import enter, load_pack

enter()
load_pack()

import comfy.model_management  # noqa: E402
import comfy.sample  # noqa: E402
import comfy.sd  # noqa: E402
import torch  # noqa: E402
from comfy_extras.nodes_model_advanced import ModelSamplingSD3  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from torch import Tensor  # noqa: E402
from wan_duet.dev.tiny import lora_on_blocks, transformer  # noqa: E402
from wan_duet.experts.checkpoint.contents import read_checkpoint  # noqa: E402
from wan_duet.experts.handle import FileHandle  # noqa: E402
from wan_duet.experts.lora.expert_lora import ExpertLora  # noqa: E402
from wan_duet.experts.lora.schedule import constant  # noqa: E402
from wan_duet.experts.pair import KEEP_BOTH, ONE_AT_A_TIME, Expert, Experts  # noqa: E402
from wan_duet.experts.prefetch import Prefetch  # noqa: E402
from wan_duet.host.memory import release_memory  # noqa: E402
from wan_duet.host.sampling import sampler_object  # noqa: E402
from wan_duet.samplers.guider import DuetGuider  # noqa: E402
from wan_duet.samplers.plan import Plan, two_phases  # noqa: E402
from wan_duet.samplers.schedules import schedule_sigmas  # noqa: E402

SHIFT, BOUNDARY, STEPS, SEED, RANK = 8.0, 0.875, 4, 7, 64
LATENT = (1, 16, 3, 8, 8)  # [B, C, T, H, W]: the weights are what is measured
MODES = (
    "one at a time",
    "one at a time, LoRA",
    "keep both",
    "keep both, LoRA",
    "stock two loaders",
    "five runs",
    "opening",
)
ROLES = ("high", "low")
MB = 2**20


def main() -> int:
    """Run every mode in a process of its own, print the table and, as the last line, the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="experts of 0.2 GB in place of 1.1 GB")
    parser.add_argument("--mode", choices=MODES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.mode:
        print(json.dumps(measure(options.mode, options.folder)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), dim=640 if options.quick else 1408, layers=10 if options.quick else 12)
        found = {mode: in_a_fresh_process(mode, folder) for mode in MODES}
    print(json.dumps(summary(found)))
    return 0


def write_files(folder: Path, *, dim: int, layers: int) -> None:
    """Two experts in fp32, and a rank-64 LoRA on every linear of the blocks for each."""
    for seed, role in enumerate(ROLES):
        weights = transformer(seed, dim=dim, layers=layers)
        save_file(weights, folder / f"{role}.safetensors")
        save_file(lora_on_blocks(weights, seed, rank=RANK), folder / f"{role}_lora.safetensors")


def in_a_fresh_process(mode: str, folder: str) -> dict[str, float | str]:
    """Result of `measure` when nothing else has run before it."""
    command = [sys.executable, __file__, "--mode", mode, "--folder", folder]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(run.stdout.splitlines()[-1])
    print(f"{mode:20s}", "   ".join(f"{name} {value}" for name, value in found.items()), flush=True)
    return found


def summary(found: dict[str, dict]) -> dict[str, object]:
    """The figures of the last line."""
    return {
        "rss_one_ratio": found["one at a time"]["ratio"],
        "rss_one_lora_ratio": found["one at a time, LoRA"]["ratio"],
        "rss_both_ratio": found["keep both"]["ratio"],
        "rss_both_lora_ratio": found["keep both, LoRA"]["ratio"],
        "rss_stock_ratio": found["stock two loaders"]["ratio"],
        "growth_mb": found["five runs"]["growth_mb"],
        "latents_equal": found["one at a time"]["latent"] == found["keep both"]["latent"],
    }


def measure(mode: str, folder: Path) -> dict[str, float | str]:
    """Peak memory of one run, or what five runs or an opening come to."""
    torch.set_grad_enabled(False)
    if mode == "five runs":
        return five_runs(folder)
    if mode == "opening":
        return opening(folder)
    with watched() as memory:
        latent, held = stock(folder) if mode.startswith("stock") else duet(folder, mode)
    return {
        "ratio": round(memory["peak"] / held, 3),
        "held_mb": round(held / MB),
        "mapped_mb": round(memory["mapped"] / MB),
        "latent": hashlib.sha256(latent.numpy().tobytes()).hexdigest()[:12],
    }


def duet(folder: Path, mode: str) -> tuple[Tensor, int]:
    """One run through the guider: the latent, and one expert's bytes as held."""
    guider = our_guider(folder, ONE_AT_A_TIME if mode.startswith("one") else KEEP_BOTH, lora=mode.endswith("LoRA"))
    return run(guider), guider.experts.high.handle.held_bytes


def stock(folder: Path) -> tuple[Tensor, int]:
    """The usual graph: two loaders, two passes."""
    models = [comfy.sd.load_diffusion_model(str(folder / f"{role}.safetensors")) for role in ROLES]
    high, low = (ModelSamplingSD3().patch(model, SHIFT)[0] for model in models)
    switch = plan().roles().count("high")
    rest = {
        "steps": STEPS,
        "cfg": 3.5,
        "sampler_name": "euler",
        "scheduler": "simple",
        "disable_pbar": True,
        "seed": SEED,
    }
    prompts = dict(zip(("positive", "negative"), conds(), strict=True))
    latent, noise = torch.zeros(LATENT), comfy.sample.prepare_noise(torch.zeros(LATENT), SEED)
    latent = comfy.sample.sample(high, noise, latent_image=latent, last_step=switch, **prompts, **rest)
    empty = torch.zeros(LATENT)
    latent = comfy.sample.sample(
        low, empty, latent_image=latent, start_step=switch, disable_noise=True, **prompts, **rest
    )
    return latent, models[0].model_size()


def five_runs(folder: Path) -> dict[str, float | str]:
    """Growth from the first of five runs, one at a time, to the last; two are interrupted, one in each stage."""
    guider = our_guider(folder, ONE_AT_A_TIME)
    run(guider)
    first = anonymous()
    for stop_at in (None, 0, STEPS - 1, None):
        with suppress(comfy.model_management.InterruptProcessingException):
            run(guider, stop_at)
    release_memory()
    return {"growth_mb": round((anonymous() - first) / MB)}


def opening(folder: Path) -> dict[str, float | str]:
    """Seconds to open a file that the page cache does not hold, and one that was read ahead."""
    path = folder / "low.safetensors"
    seconds = {}
    for ahead in (False, True):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if ahead:
            with Prefetch(str(path)) as reading:
                while reading.bytes_read < path.stat().st_size:
                    time.sleep(0.01)
        begin = time.perf_counter()
        comfy.sd.load_diffusion_model(str(path))
        seconds["prefetched_s" if ahead else "cold_s"] = round(time.perf_counter() - begin, 2)
        release_memory()
    return seconds


def our_guider(folder: Path, residency: str, lora: bool = False) -> DuetGuider:
    """The guider on the pair of files."""
    experts = []
    for role in ROLES:
        path = str(folder / f"{role}.safetensors")
        rows = (ExpertLora(str(folder / f"{role}_lora.safetensors"), role, constant(1.0)),) if lora else ()
        experts.append(Expert(FileHandle(role, path, read_checkpoint(path)), loras=rows))
    guider = DuetGuider(Experts(*experts, residency), plan(), say=lambda _: None)
    guider.set_conds(*conds())
    return guider


def run(guider: DuetGuider, stop_at: int | None = None) -> Tensor:
    """One run, interrupted after the step `stop_at`."""

    def stop(step: int, *_: object) -> None:
        if step == stop_at:
            raise comfy.model_management.InterruptProcessingException

    latent = torch.zeros(LATENT)
    noise = comfy.sample.prepare_noise(latent, SEED)
    sigmas = torch.tensor(guider.plan.sigmas)
    return guider.sample(noise, latent, sampler_object("euler"), sigmas, callback=stop, disable_pbar=True, seed=SEED)


def plan() -> Plan:
    """Four steps of euler: three high, one low."""
    return Plan(schedule_sigmas("simple", "euler", STEPS, SHIFT), SHIFT, two_phases(BOUNDARY, 3.5, 3.5))


def conds() -> list[list]:
    """A positive and a negative prompt of random text."""
    generator = torch.Generator().manual_seed(SEED)
    return [[[torch.randn(1, 24, 4096, generator=generator), {}]] for _ in ("positive", "negative")]


if __name__ == "__main__":
    sys.exit(main())
