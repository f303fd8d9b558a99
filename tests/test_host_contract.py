"""Every name of the host that the pack uses is there, and takes what we give it, on the host of COMFYUI_PATH."""

import ast
import importlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from comfy.model_patcher import ModelPatcher
from comfy.model_sampling import ModelSamplingDiscreteFlow
from comfy.samplers import CFGGuider
from wan_duet.host import sampling
from wan_duet.samplers.guider import DuetGuider
from wan_duet.samplers.run import DuetRun
from wan_duet.samplers.shift import flow_sampling

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = sorted(path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file() and path.name != "tests")
HOSTS = ("comfy", "comfy_api", "comfy_execution", "comfy_extras", "folder_paths", "server", "execution", "nodes")
AT_RUN_TIME = {"PromptServer.instance", "PromptServer.instance.send_progress_text"}  # bound below, without a server


class Use(NamedTuple):
    """A place in the pack that names something of the host; a call if `positional` is a number."""

    where: str
    module: object
    name: str
    positional: int | None = None
    keywords: tuple[str, ...] = ()
    whole: bool = True  # no *args or **kwargs hide a part of the call

    def __str__(self) -> str:
        return f"{self.where}:{self.name}"

    def check(self) -> None:
        """Raise AttributeError if the host lacks the name, TypeError if it does not take the call."""
        value = self.module
        for name in self.name.split("."):
            if not (inspect.ismodule(value) or inspect.isclass(value)):
                return  # what follows is known at run time only: see METHODS and ATTRIBUTES
            value = getattr(value, name)
        if self.positional is not None and callable(value):
            binds(value, self.positional, self.keywords, self.whole)


def binds(function: Callable, positional: int, keywords: tuple[str, ...], whole: bool = True) -> None:
    """Raise TypeError if the function does not take such arguments."""
    signature = inspect.signature(function)
    bind = signature.bind if whole else signature.bind_partial
    bind(*[None] * positional, **dict.fromkeys(keywords))


def _is_hosts(value: object) -> bool:
    home = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", None) or ""
    return home.split(".")[0] in HOSTS


def _uses(module: object, source: str, where: str) -> Iterator[Use]:
    """Every name of the host in a module, and every call of one, looked up through the module's own names."""
    for node in ast.walk(ast.parse(source)):
        call = node if isinstance(node, ast.Call) else None
        named = call.func if call else node
        if not isinstance(named, ast.Attribute | ast.Name if call else ast.Attribute):
            continue
        name = ast.unparse(named)
        root, *rest = name.split(".")
        if name in AT_RUN_TIME or not all(map(str.isidentifier, rest)) or not _is_hosts(getattr(module, root, None)):
            continue
        if call is None:
            yield Use(where, module, name)
            continue
        keywords = tuple(keyword.arg for keyword in call.keywords if keyword.arg)
        positional = [arg for arg in call.args if not isinstance(arg, ast.Starred)]
        whole = (len(positional), len(keywords)) == (len(call.args), len(call.keywords))
        yield Use(where, module, name, len(positional), keywords, whole)


def uses() -> list[Use]:
    """Every use of the host in the pack, once a file."""
    found: dict[Use, None] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            module = importlib.import_module(".".join(["wan_duet", *(part for part in parts if part != "__init__")]))
            found.update(dict.fromkeys(_uses(module, path.read_text(encoding="utf-8"), "/".join(parts))))
    return list(found)


@pytest.mark.parametrize("use", uses(), ids=str)
def test_the_host_has_what_we_name_and_takes_our_call(use: Use) -> None:
    use.check()


def test_the_uses_are_really_found() -> None:
    assert {use.name for use in uses()} >= {
        "io.ComfyNode",
        "io.Hidden.unique_id",
        "comfy.model_management.OOM_EXCEPTION",
    }
    assert {use.name for use in uses() if use.positional is not None} >= {
        "detect_unet_config",
        "comfy.sd.load_diffusion_model",
        "folder_paths.get_full_path",
        "SamplerCustomAdvanced.execute",
        "prepare_sampling",
        "process_conds",
        "io.Combo.Input",
        "io.Custom",
        "ExecutionBlocker",
        "WanExperts.Input",
    }


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("KSampler.VANISHED", AttributeError),
        ("comfy.sampler_helpers.vanished(1)", AttributeError),
        ("prepare_sampling(1, 2, 3, 4, vanished=5)", TypeError),
        ("prepare_sampling()", TypeError),
        ("process_conds(1, *rest, vanished=5)", TypeError),
    ],
)
def test_what_the_host_has_lost_is_seen(source: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        for use in _uses(sampling, source, "here"):
            use.check()


# What we call on the host's objects, where no module name leads to the class: positional arguments, keywords
METHODS: list[tuple[type, str, int, tuple[str, ...]]] = [
    (ModelPatcher, "clone", 1, ()),
    (ModelPatcher, "model_size", 1, ()),
    (ModelPatcher, "model_dtype", 1, ()),
    (ModelPatcher, "get_model_object", 2, ()),
    (ModelPatcher, "add_object_patch", 3, ()),
    (ModelPatcher, "add_patches", 3, ()),
    (ModelPatcher, "add_weight_wrapper", 3, ()),
    (ModelPatcher, "add_wrapper", 3, ()),
    (ModelPatcher, "add_wrapper_with_key", 4, ()),
    (ModelPatcher, "remove_wrappers_with_key", 3, ()),
    (ModelPatcher, "add_callback_with_key", 4, ()),
    (ModelPatcher, "remove_callbacks_with_key", 3, ()),
    (ModelPatcher, "patch_weight_to_device", 2, ("device_to", "inplace_update")),
    (ModelPatcher, "pre_run", 1, ()),
    (ModelPatcher, "cleanup", 1, ()),
    (ModelPatcher, "clean_hooks", 1, ()),
    (ModelPatcher, "restore_hook_patches", 1, ()),
    (CFGGuider, "__init__", 2, ()),
    (CFGGuider, "set_conds", 3, ()),
    (CFGGuider, "sample", 5, ("denoise_mask", "callback", "disable_pbar", "seed")),
    (CFGGuider, "inner_sample", 10, ("latent_shapes",)),
    (CFGGuider, "outer_predict_noise", 5, ()),
    (ModelSamplingDiscreteFlow, "set_parameters", 1, ("shift", "multiplier")),
]
# What we read or set on them
ATTRIBUTES = {
    ModelPatcher: (
        *("model", "model_options", "load_device", "offload_device", "hook_mode"),
        *("patches", "patches_uuid", "object_patches", "backup"),
    ),
    CFGGuider: ("model_patcher", "model_options", "original_conds", "cfg"),
    ModelSamplingDiscreteFlow: ("shift", "multiplier", "sigmas"),
}
NEWER = {"is_dynamic", "get_non_dynamic_delegate"}  # asked for with hasattr


@pytest.mark.parametrize(("owner", "name", "positional", "keywords"), METHODS)
def test_the_hosts_method_takes_our_call(owner: type, name: str, positional: int, keywords: tuple[str, ...]) -> None:
    binds(getattr(owner, name), positional, keywords)


@pytest.mark.parametrize(("owner", "name"), [(owner, name) for owner, names in ATTRIBUTES.items() for name in names])
def test_the_hosts_object_has_what_we_read(owner: type, name: str) -> None:
    device = torch.device("cpu")
    patcher = ModelPatcher(torch.nn.Linear(1, 1), load_device=device, offload_device=device)
    made = {ModelPatcher: patcher, CFGGuider: CFGGuider(patcher), ModelSamplingDiscreteFlow: flow_sampling(1.0)}
    assert hasattr(made[owner], name)


def test_the_tables_hold_all_that_the_pack_uses_of_a_patcher() -> None:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for name in PACKAGES for path in (ROOT / name).rglob("*.py")]
    reads = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    used = {node.attr for node in reads if ast.unparse(node.value).endswith("patcher")}
    known = {name for owner, name, *_ in METHODS if owner is ModelPatcher} | {*ATTRIBUTES[ModelPatcher]} | NEWER
    assert used <= known


@pytest.mark.parametrize("name", ["sample", "outer_sample", "inner_sample", "outer_predict_noise", "inner_set_conds"])
def test_our_method_takes_every_call_that_the_hosts_own_takes(name: str) -> None:
    theirs = inspect.signature(getattr(CFGGuider, name)).parameters.values()
    ours = {**vars(DuetGuider), **vars(DuetRun)}[name]
    binds(ours, len(theirs), ())
    required = [parameter for parameter in theirs if parameter.default is parameter.empty]
    binds(ours, len(required), tuple(p.name for p in theirs if p.default is not p.empty))


def test_progress_text_takes_a_text_and_a_node_id() -> None:
    server = importlib.import_module("server")
    assert "PromptServer.instance = self" in inspect.getsource(server.PromptServer.__init__)
    binds(server.PromptServer.send_progress_text, 3, ())
