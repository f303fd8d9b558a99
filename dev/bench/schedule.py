"""A LoRA whose strength changes from step to step, done three ways: python3 dev/bench/schedule.py [--quick]

As the pack does it (functions on the weights), as the host's hooks do it (merged anew at every change), and beside
both a constant strength, merged once. One expert, a rank-64 LoRA on every linear of its blocks, four strengths.
Time is that of whole runs on loaded weights, as ratios of interleaved runs; memory is the peak of a fresh process
over the idle host, in units of the expert's bytes. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from memory import watched

from host import enter, load_pack

enter()
load_pack()

import comfy.hooks  # noqa: E402
import comfy.sample  # noqa: E402
import torch  # noqa: E402
from comfy.utils import load_torch_file  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from wan_duet.dev.tiny import lora_on_blocks, transformer  # noqa: E402
from wan_duet.experts.checkpoint.contents import read_checkpoint  # noqa: E402
from wan_duet.experts.handle import FileHandle  # noqa: E402
from wan_duet.experts.lora.expert_lora import ExpertLora  # noqa: E402
from wan_duet.experts.lora.schedule import constant, parse_schedule  # noqa: E402
from wan_duet.experts.pair import Expert, Experts  # noqa: E402
from wan_duet.host.sampling import sampler_object  # noqa: E402
from wan_duet.samplers.guider import DuetGuider  # noqa: E402
from wan_duet.samplers.plan import Phase, Plan  # noqa: E402
from wan_duet.samplers.schedules import schedule_sigmas  # noqa: E402

WAYS = ("merged", "functions", "hooks")
STRENGTHS = (1.0, 0.75, 0.5, 0.25)
STEPS, SHIFT, SEED, RANK = 8, 8.0, 7, 64
LATENT = (1, 16, 3, 16, 16)  # [B, C, T, H, W]: 192 tokens; a 480p video has 32760, and neither way costs more for it


def main() -> int:
    """Measure memory in fresh processes, then time side by side; the ratios are the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smaller expert, three runs of each")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_grad_enabled(False)
    if options.way:
        print(json.dumps(peak(options.way, options.folder)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), dim=256 if options.quick else 512, layers=4 if options.quick else 8)
        memory = {way: in_a_fresh_process(way, folder) for way in WAYS}
        runs = times(Path(folder), rounds=3 if options.quick else 15)
    report(memory, runs)
    return 0


def write_files(folder: Path, *, dim: int, layers: int) -> None:
    """An expert in fp32, and its LoRA."""
    weights = transformer(0, dim=dim, layers=layers)
    save_file(weights, folder / "expert.safetensors")
    save_file(lora_on_blocks(weights, 1, rank=RANK), folder / "lora.safetensors")


def in_a_fresh_process(way: str, folder: str) -> float:
    """The peak of one run when nothing else has run before it."""
    command = [sys.executable, __file__, "--way", way, "--folder", folder]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def peak(way: str, folder: Path) -> float:
    """Peak anonymous memory of a run, in units of the expert's bytes."""
    made = guider(way, folder)
    with watched() as memory:
        run(made)
    return round(memory["peak"] / made.experts.high.handle.held_bytes, 3)


def times(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of every run; the ways take turns, each first run is a warm-up."""
    made = {way: guider(way, folder) for way in WAYS}
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(rounds + 1):
        for way in WAYS:
            begin = time.process_time()
            run(made[way])
            if number:
                seconds[way].append(time.process_time() - begin)
    return seconds


def guider(way: str, folder: Path) -> DuetGuider:
    """The expert alone, with the LoRA on it in one of the three ways."""
    path, lora = str(folder / "expert.safetensors"), str(folder / "lora.safetensors")
    loras = {
        "merged": (ExpertLora(lora, "high", constant(1.0)),),
        "functions": (ExpertLora(lora, "high", parse_schedule(",".join(map(str, STRENGTHS)))),),
        "hooks": (),
    }[way]
    experts = Experts(Expert(FileHandle(way, path, read_checkpoint(path)), loras=loras))
    made = DuetGuider(experts, plan(), say=lambda _: None)
    made.set_conds(*conds(hooks(lora) if way == "hooks" else None))
    return made


def plan() -> Plan:
    """Eight steps on a single expert."""
    return Plan(schedule_sigmas("simple", "euler", STEPS, SHIFT), SHIFT, (Phase("high", 3.5),))


def hooks(lora: str) -> comfy.hooks.HookGroup:
    """The host's way: a keyframe for each strength, half-way between the sigmas it changes at."""
    weights: Any = load_torch_file(lora)
    group = comfy.hooks.create_hook_lora(weights, 1.0, 0.0)
    keyframes = comfy.hooks.HookKeyframeGroup()
    sigmas = plan().sigmas
    for number, strength in enumerate(STRENGTHS):
        step = number * STEPS // len(STRENGTHS)
        between = (sigmas[step] + sigmas[step - 1]) / 2
        percent = 1 - between / (SHIFT - (SHIFT - 1) * between) if step else 0.0
        keyframes.add(comfy.hooks.HookKeyframe(strength, percent, guarantee_steps=0))
    group.set_keyframes_on_hooks(keyframes)
    return group


def conds(group: comfy.hooks.HookGroup | None) -> list[list]:
    """A positive and a negative prompt of random text, both with the hooks."""
    generator = torch.Generator().manual_seed(SEED)
    extra = {} if group is None else {"hooks": group}
    return [[[torch.randn(1, 24, 4096, generator=generator), dict(extra)]] for _ in ("positive", "negative")]


def run(made: DuetGuider) -> torch.Tensor:
    """One run."""
    latent = torch.zeros(LATENT)
    noise = comfy.sample.prepare_noise(latent, SEED)
    sigmas = torch.tensor(made.plan.sigmas)
    return made.sample(noise, latent, sampler_object("euler"), sigmas, disable_pbar=True, seed=SEED)


def report(memory: dict[str, float], seconds: dict[str, list[float]]) -> None:
    """A table, and the ratios as the last line."""
    ratios = {way: statistics.median(map(float.__truediv__, seconds[way], seconds["merged"])) for way in WAYS}
    print("way         peak memory   time over merged")
    for way in WAYS:
        print(f"{way:12s}{memory[way]:8.3f}{ratios[way]:18.3f}")
    figures = {f"{way}_rss_ratio": memory[way] for way in WAYS}
    figures |= {f"{way}_over_merged": round(ratios[way], 3) for way in WAYS[1:]}
    print(json.dumps({**figures, "pairs": len(seconds["merged"])}))


if __name__ == "__main__":
    sys.exit(main())
