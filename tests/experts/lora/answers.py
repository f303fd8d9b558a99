"""What the experts of a run say, and whether two runs say the same."""

import comfy.samplers
import torch
from wan_duet.experts.pair import Experts
from wan_duet.samplers.guider import DuetGuider
from wan_duet.samplers.plan import Phase, Plan, two_phases

SIGMAS = (1.0, 0.95, 0.5, 0.2, 0.0)
HIGH, LOW = slice(0, 2), slice(2, 4)  # of the answers: two sigmas each side of the boundary
PAIR = two_phases(0.875, 2.0, 2.0)

Answers = list[torch.Tensor]


def answers(
    experts: Experts,
    sigmas: tuple[float, ...] = SIGMAS,
    phases: tuple[Phase, ...] = PAIR,
    asked: tuple[float, ...] = (),
) -> Answers:
    """What the experts say about one and the same latent at every sigma of a run, or at those `asked` for."""
    said = []

    def ask(model, x, given, extra_args, callback, disable, **options):
        for sigma in asked or given[:-1].tolist():
            said.append(model(x, torch.full((x.shape[0],), sigma), **extra_args))
        return x

    guider = DuetGuider(experts, Plan(sigmas, 5.0, phases), say=lambda text: None)
    context = torch.randn(1, 4, 4096, generator=torch.Generator().manual_seed(3))
    guider.set_conds([[context, {}]], [[-context, {}]])
    noise = torch.randn(1, 16, 1, 4, 4, generator=torch.Generator().manual_seed(4))
    guider.sample(noise, torch.zeros_like(noise), comfy.samplers.KSAMPLER(ask), torch.tensor(sigmas), disable_pbar=True)
    return said


def same(first: Answers, second: Answers) -> bool:
    return len(first) == len(second) and all(map(torch.equal, first, second))


def changed(first: Answers, second: Answers) -> bool:
    return all((a - b).abs().max() > 1e-4 for a, b in zip(first, second, strict=True))
