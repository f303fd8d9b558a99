"""The solvers by name: the host's and our own, and those that are wrong on a flow model."""

from collections.abc import Mapping
from typing import Any

from ...host.sampling import KSAMPLER, SAMPLER_NAMES, Sampler, ksampler, sampler_object
from .flow_dpmpp import sample_flow_dpmpp
from .flow_unipc import sample_flow_unipc

FLOW_SOLVERS = {"flow_unipc": sample_flow_unipc, "flow_dpmpp": sample_flow_dpmpp}
SOLVERS = [*FLOW_SOLVERS, *SAMPLER_NAMES]

# They take the noise they add from the formulas of diffusion, or end at the last sigma above 0, where diffusion has no
# noise left and flow has: the video comes out too noisy, too flat or unfinished. A toy in the tests shows it of each.
WRONG_ON_FLOW = {
    "ddpm": "euler_ancestral",
    "res_multistep_ancestral": "res_multistep",
    "res_multistep_ancestral_cfg_pp": "res_multistep_cfg_pp",
    "dpmpp_2s_ancestral_cfg_pp": "dpmpp_2s_ancestral",
    "ipndm_v": "ipndm",
    "dpm_fast": "euler",
    "dpm_adaptive": "dpmpp_2m",
}


def solver(name: str, options: dict[str, Any] | None = None) -> Sampler:
    """The SAMPLER of a name in SOLVERS, with options of its own such as `order` or `eta`."""
    if name in FLOW_SOLVERS:
        return KSAMPLER(FLOW_SOLVERS[name], extra_options=options or {})
    return ksampler(name, options) if options else sampler_object(name)


def name_of(sampler: Sampler) -> str:
    """The name a SAMPLER goes by, as far as its function tells; `another` for one of a different kind."""
    function = getattr(sampler, "sampler_function", None)
    name = getattr(function, "__name__", "another").removeprefix("sample_").removesuffix("_function")
    return name.replace("unipc", "uni_pc") if name in ("unipc", "unipc_bh2") else name


def options_of(sampler: Sampler) -> dict[str, Any]:
    """The options that a SAMPLER was made with."""
    return dict(getattr(sampler, "extra_options", {}))


def describe_solver(name: str, options: Mapping[str, Any]) -> str:
    """A solver and its options in words: `flow_unipc, order 3`."""
    return ", ".join([name, *(f"{option} {_short(value)}" for option, value in options.items())])


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def wrong_line(name: str) -> str | None:
    """Error text for a solver that does not sample a flow model; None if it does."""
    if name not in WRONG_ON_FLOW:
        return None
    return f"Sampler '{name}' is not made for flow models and spoils the video: use '{WRONG_ON_FLOW[name]}'."
