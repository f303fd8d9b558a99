"""torch.compile around a network: where it has the whole, no block can be left out without compiling again."""

import inspect
from typing import Any

from comfy.patcher_extension import WrappersMP

COMPILE_KEY = "torch.compile"  # the host's key for the wrapper that puts compiled modules in place
NETWORK = "diffusion_model"


def is_compiled_whole(network: Any, transformer_options: dict[str, Any]) -> bool:
    """Return True if `network` is compiled as one, or will be by a wrapper of the host's that runs after ours."""
    if hasattr(network, "_orig_mod"):
        return True
    wrappers = transformer_options.get("wrappers", {}).get(WrappersMP.APPLY_MODEL, {}).get(COMPILE_KEY, [])
    return any(NETWORK in _compiled_modules(wrapper) for wrapper in wrappers)


def _compiled_modules(wrapper: Any) -> Any:
    """Return the names of the modules that a wrapper swaps; the whole network if the host no longer tells."""
    return inspect.getclosurevars(wrapper).nonlocals.get("compiled_module_dict", (NETWORK,))
