"""Runs of the official Wan schedulers and diffusers' on a closed-form pair: the oracle of our own solvers.

python3 dev/live/flow_schedulers.py > tests/data/flow_schedulers.json

The pair is two velocity fields that change places at the boundary; tests/samplers/closed_form.py has the same two.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from packages import from_file, run

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


if __name__ == "__main__":
    sys.exit(run(__file__, results))
