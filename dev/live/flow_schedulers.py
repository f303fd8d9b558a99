"""What the official Wan schedulers and diffusers' make of a closed-form pair: the oracle of our own solvers.

python3 dev/live/flow_schedulers.py > tests/data/flow_schedulers.json

The pair is two velocity fields that change places at the boundary; tests/samplers/closed_form.py has the same two.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

LIVE = Path(__file__).resolve().parent
INSIDE = "WAN_DUET_LIVE_PACKAGES"  # names the packages' folder to the process that `main` starts
BOUNDARY = 875
SHIFTS, STEPS = (5.0, 12.0), (8, 20, 40)
SOLVERS = (
    ("wan", "flow_unipc", {"order": 2, "variant": "bh2"}),
    ("wan", "flow_unipc", {"order": 3, "variant": "bh2"}),
    ("wan", "flow_unipc", {"order": 2, "variant": "bh1"}),
    ("wan", "flow_dpmpp", {}),
    ("diffusers", "flow_unipc", {"order": 2, "variant": "bh2"}),
    ("diffusers", "flow_unipc", {"order": 3, "variant": "bh2"}),
)


def main() -> int:
    """Set up what is pinned and go on in the development environment, or print the results there."""
    if packages := os.environ.get(INSIDE):
        sys.path.insert(0, packages)
        print(json.dumps(results(Path(packages)), indent=1))
        return 0
    sys.path.insert(0, str(LIVE.parent))
    from environment import prepare, prepare_live

    with redirect_stdout(sys.stderr):
        env, packages = prepare(), prepare_live() / Path(__file__).stem
    variables = {**os.environ, INSIDE: str(packages)}
    return subprocess.run([str(env.python), __file__], env=variables).returncode


def results(packages: Path) -> list[dict[str, Any]]:
    """One entry for each solver, shift and number of steps: sigmas, the last latent asked about, and that at the end.

    The official bh1 takes its last step to infinity: there is no latent at its end.
    """
    import torch

    modules = ("fm_solvers_unipc", "fm_solvers")
    official = {name: from_file(packages / "wan" / "utils" / f"{name}.py") for name in modules}
    found = []
    for source, solver, options in SOLVERS:
        for shift in SHIFTS:
            for steps in STEPS:
                scheduler = made(official, source, solver, options, shift, steps)
                x = torch.linspace(-2, 2, 16, dtype=torch.float64).unsqueeze(0)
                asked = x
                for t in scheduler.timesteps:
                    asked = x
                    x = scheduler.step(velocity(x, float(t)), t, x, return_dict=False)[0]
                found.append(
                    {
                        "source": source,
                        "solver": solver,
                        "options": options,
                        "shift": shift,
                        "sigmas": scheduler.sigmas.tolist(),
                        "asked": asked[0].tolist(),
                        "latent": x[0].tolist() if x.isfinite().all() else None,
                    }
                )
    return found


def made(official: dict[str, ModuleType], source: str, solver: str, options: dict, shift: float, steps: int) -> Any:
    """The scheduler, set up as the official pipelines set theirs up."""
    if source == "diffusers":
        from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

        flow = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": shift}
        scheduler: Any = UniPCMultistepScheduler(solver_order=options["order"], solver_type=options["variant"], **flow)
        scheduler.set_timesteps(steps)
    elif solver == "flow_unipc":
        unipc = official["fm_solvers_unipc"].FlowUniPCMultistepScheduler
        usual = {"num_train_timesteps": 1000, "shift": 1, "use_dynamic_shifting": False}
        scheduler = unipc(solver_order=options["order"], solver_type=options["variant"], **usual)
        scheduler.set_timesteps(steps, device="cpu", shift=shift)
    else:
        module = official["fm_solvers"]
        scheduler = module.FlowDPMSolverMultistepScheduler(
            num_train_timesteps=1000, shift=1, use_dynamic_shifting=False
        )
        module.retrieve_timesteps(scheduler, device="cpu", sigmas=module.get_sampling_sigmas(steps, shift))
    return scheduler


def velocity(x: Any, t: float) -> Any:
    """Two fields, of which neither is a model of anything: high noise at and above the boundary, low below it."""
    import torch

    time = t / 1000
    if t >= BOUNDARY:
        return 1.1 * torch.tanh(0.7 * x + torch.cos(torch.tensor(3 * time, dtype=torch.float64)))
    return 0.8 * torch.sin(x + 2 * time)


def from_file(path: Path) -> ModuleType:
    """A module of its own: the package's __init__ wants all that the whole model needs."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"no module in {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main())
