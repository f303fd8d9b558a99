"""Cost of a reused evaluation at full size: python3 dev/bench/gpu/cache.py [--quick] [--device cuda]

A transformer of A14B's size with random weights in bf16, at 480p and 720p, 81 frames, one prompt. Milliseconds of a
computed forward and of a reused one (no block, one, eight), with residuals on the device and in pinned memory, peak
memory, and graphs compiled again when the blocks are compiled one by one and a cache takes turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from host import enter, load_pack

GPU = "cpu" not in sys.argv
enter(gpu=GPU)
load_pack()

import comfy.ops  # noqa: E402
import torch  # noqa: E402
from comfy.ldm.wan.model import WanModel  # noqa: E402
from torch import Tensor  # noqa: E402
from wan_duet.cache.block_skip import Gate  # noqa: E402
from wan_duet.cache.residuals import Residuals  # noqa: E402

FULL = {"dim": 5120, "ffn_dim": 13824, "num_heads": 40, "num_layers": 40}
SMALL = {"dim": 256, "ffn_dim": 512, "num_heads": 2, "num_layers": 10}
SIZES = {"480p": (21, 60, 104), "720p": (21, 90, 160)}  # latent frames, height and width
DEPTHS = (0, 1, 8)
KEY = "prompt"


def main() -> int:
    """Measure each size, then the compiler, and print the figures as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="eight blocks of full width, three rounds")
    parser.add_argument("--device", default="cuda", help="cpu: a small model, to see that this runs")
    options = parser.parse_args()
    if options.device != "cpu" and not torch.cuda.is_available():
        sys.exit("this bench needs a GPU and a torch with CUDA; --device cpu shows that it runs")
    torch.set_grad_enabled(False)
    device = torch.device(options.device)
    shape = SMALL if device.type == "cpu" else {**FULL, "num_layers": 10} if options.quick else FULL
    sizes = {"tiny": (3, 16, 16)} if device.type == "cpu" else SIZES
    bench = Bench(shape, device, rounds=3 if options.quick else 15)
    figures: dict[str, Any] = {name: bench.size(latent) for name, latent in sizes.items()}
    figures["recompiles"] = bench.recompiles(next(iter(sizes.values())))
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    print(json.dumps({**figures, "layers": shape["num_layers"], "dim": shape["dim"], "device": name}))
    return 0


class Bench:
    """A network with random weights, and forwards through it."""

    def __init__(self, shape: dict[str, int], device: torch.device, rounds: int):
        self.device, self.rounds = device, rounds
        operations = comfy.ops.disable_weight_init
        kind: dict[str, Any] = {"model_type": "t2v", "in_dim": 16, "dtype": torch.bfloat16, "operations": operations}
        self.net = WanModel(**{**kind, **shape}, device=device).eval()
        for parameter in self.net.parameters():
            parameter.normal_(std=0.02)

    def size(self, latent: tuple[int, int, int]) -> dict[str, Any]:
        """Milliseconds and peak memory at one size; printed as a table."""
        x = torch.randn(1, 16, *latent, device=self.device, dtype=torch.bfloat16)
        found: dict[str, Any] = {"computed_ms": self.milliseconds(lambda: self.forward(x))}
        found["peak_gb"] = self.peak(lambda: self.forward(x))
        for where, offload in (("device", False), ("pinned", True)):
            for depth in DEPTHS:
                store = Residuals(offload, extrapolate=True)
                for sigma in (1.0, 0.9):
                    self.forward(x, depth, store, sigma)
                found[f"hit_f{depth}_{where}_ms"] = self.milliseconds(lambda d=depth, s=store: self.forward(x, d, s))
            store = Residuals(offload, extrapolate=True)
            found[f"miss_{where}_ms"] = self.milliseconds(lambda s=store: self.forward(x, 1, s, time.perf_counter()))
            found[f"peak_{where}_gb"] = self.peak(lambda s=store: self.forward(x, 1, s, time.perf_counter()))
            found["residual_gb"] = round(store.bytes / len(store) / 1e9, 3)
        print(f"{latent}")
        for name, value in found.items():
            print(f"    {name:20s}{value:10.3f}")
        return found

    def forward(self, x: Tensor, depth: int = 0, store: Residuals | None = None, compute: float | None = None) -> None:
        """One forward without a cache, one that computes and keeps (at the sigma `compute`), or one that reuses."""
        timestep, text = torch.full((1,), 700.0, device=self.device), x.new_zeros(1, 512, 4096)

        def decide(_: Tensor | None) -> Tensor | None:
            return None if compute is not None or store is None else store.get(KEY, 0.8, self.device)

        def keep(residual: Tensor) -> None:
            if store is not None and compute is not None:
                store.put(KEY, compute, residual)

        with Gate(self.net, depth, decide, keep) if store is not None else nullcontext():
            self.net(x, timestep, context=text, transformer_options={})

    def milliseconds(self, work: Callable[[], None]) -> float:
        """The median of some rounds after a warm-up."""
        seconds = []
        for number in range(self.rounds + 1):
            self.wait()
            begin = time.perf_counter()
            work()
            self.wait()
            if number:
                seconds.append(time.perf_counter() - begin)
        return round(1000 * statistics.median(seconds), 3)

    def peak(self, work: Callable[[], None]) -> float:
        """Peak memory of the device in GB; 0 without one."""
        if self.device.type != "cuda":
            return 0.0
        torch.cuda.reset_peak_memory_stats(self.device)
        work()
        self.wait()
        return round(torch.cuda.max_memory_allocated(self.device) / 1e9, 3)

    def wait(self) -> None:
        """Until the device has done all it was told."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def recompiles(self, latent: tuple[int, int, int]) -> int:
        """Graphs that are compiled after the first two forwards, when computed and reused ones take turns."""
        x = torch.randn(1, 16, *latent, device=self.device, dtype=torch.bfloat16)
        for block in self.net.blocks:
            block.compile(backend="inductor" if self.device.type == "cuda" else "eager")
        store = Residuals(False, extrapolate=True)
        counters = torch._dynamo.utils.counters
        self.forward(x)
        self.forward(x, 1, store, 1.0)
        before = counters["stats"]["unique_graphs"]
        for number in range(6):
            self.forward(x, 1, store, None if number % 2 else 0.9 - number / 10)
        again = counters["stats"]["unique_graphs"] - before
        print(f"graphs compiled again: {again}")
        return again


if __name__ == "__main__":
    sys.exit(main())
