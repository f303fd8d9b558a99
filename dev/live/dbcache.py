"""Decisions and outputs of cache-dit on six small blocks: the oracle of Dual Block Cache and of its masks.

python3 dev/live/dbcache.py > tests/data/dbcache.json
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from packages import from_file, run

ROOT = Path(__file__).resolve().parents[2]
MASKS = ("slow", "medium", "fast", "ultra")
RUNS = [
    {"first": first, "threshold": threshold, "warmup": warmup, "max_consecutive": most, "mask": mask, "pace": pace}
    for first, warmup, mask in ((1, 1, ""), (1, 4, ""), (3, 2, ""), (2, 1, "slow"), (1, 1, "fast"))
    for threshold in (0.02, 0.08, 0.2)
    for most in (1, 3)
    for pace in (0.02, 0.08)
]


def results(_: Path) -> dict[str, Any]:
    """Masks by name and number of steps, and for each run which steps were computed and what came out."""
    sys.path.insert(0, str(ROOT / "dev"))
    from cpu_torchvision import register_torchvision_operators

    register_torchvision_operators()
    import cache_dit

    def marks(mask: list[int]) -> str:
        return "".join("#" if computed else "." for computed in mask)

    named = {
        name: {steps: marks(cache_dit.steps_mask(total_steps=steps, mask_policy=name)) for steps in range(12, 61)}
        for name in MASKS
    }
    return {"masks": named, "runs": [{**case, **ran(**case)} for case in RUNS]}


def ran(first: int, threshold: float, warmup: int, max_consecutive: int, mask: str, pace: float) -> dict[str, Any]:
    """One run of cache-dit over the toy."""
    import cache_dit

    toy = from_file(ROOT / "tests" / "cache" / "toy.py")
    net = toy.Toy()
    blocks = list(net.blocks)
    config = cache_dit.DBCacheConfig(
        Fn_compute_blocks=first,
        Bn_compute_blocks=0,
        residual_diff_threshold=threshold,
        max_warmup_steps=warmup,
        max_continuous_cached_steps=max_consecutive,
        num_inference_steps=toy.STEPS,
        steps_computation_mask=cache_dit.steps_mask(total_steps=toy.STEPS, mask_policy=mask) if mask else None,
    )
    adapter = cache_dit.BlockAdapter(
        transformer=net, blocks=net.blocks, forward_pattern=cache_dit.ForwardPattern.Pattern_3
    )
    cache_dit.enable_cache(adapter, cache_config=config)
    strip, sums = "", []
    for step in range(toy.STEPS):
        before = blocks[-1].ran
        sums.append(float(net(hidden_states=toy.hidden(step, pace)).sum()))
        strip += "#" if blocks[-1].ran > before else "."
    return {"strip": strip, "sums": sums}


if __name__ == "__main__":
    sys.exit(run(__file__, results))
