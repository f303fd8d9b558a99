"""The host's TorchCompileModel on the MODEL list: a run compiles both experts."""

from typing import Any

import pytest
import torch
from comfy.samplers import sampler_object
from comfy_extras.nodes_torch_compile import TorchCompileModel
from wan_duet.dev import dynamic_vram
from wan_duet.dev.server import Server
from wan_duet.experts import files as pairs
from wan_duet.experts.pair import Experts
from wan_duet.nodes.experts.pair import ExpertsFromModels
from wan_duet.samplers.guider import DuetGuider
from wan_duet.samplers.planner import make_plan
from wan_duet.tests.nodes.graph import Graph, Runner

Files = dict[str, str]
pytestmark = pytest.mark.skipif(
    dynamic_vram.wanted() is not None, reason="on a CPU under DynamicVRAM, the host's own run of a compiled MODEL fails"
)


def test_on_the_list_wire_it_leaves_the_video_as_it_was(run: Runner, graph: Graph, files: Files) -> None:
    experts = graph.load(files["high"])
    models = graph.add("WanDuet_ModelsFromExperts", experts=experts)
    compiled = graph.add("TorchCompileModel", model=models[2], backend="cudagraphs")  # needs no C++ compiler
    joined = graph.add("WanDuet_ExpertsFromModels", models=compiled)
    saved = [graph.save(graph.sample(pair, graph.plan(pair, steps=2))) for pair in (experts, joined)]
    result = run(graph)
    torch.testing.assert_close(*map(result.latent, saved))


@pytest.fixture
def pair(server: Server, files: Files, monkeypatch: pytest.MonkeyPatch) -> Experts:
    """The server's pair in this process."""
    folder = str(server.base / "models" / "diffusion_models")
    monkeypatch.setattr(pairs.folder_paths, "get_full_path", lambda _, name: f"{folder}/{name}")
    return pairs.load_pair(files["high"], files["low"])


class Compiled(torch.nn.Module):
    """In the place of a compiled net: counts its calls."""

    def __init__(self, net: torch.nn.Module):
        super().__init__()
        self.net = net
        self.dtype = net.dtype
        self.calls = 0

    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        self.calls += 1
        return self.net(*args, **kwargs)


def test_a_run_calls_the_compiled_net_of_each_expert(pair: Experts, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Compiled] = []

    def compile_(model: torch.nn.Module, **settings: object) -> Compiled:
        compiled.append(Compiled(model))
        return compiled[-1]

    monkeypatch.setattr(torch, "compile", compile_)
    models = [
        TorchCompileModel.execute(expert.open(), "inductor").result[0] for expert in pair
    ]  # as the list wire does
    experts: Experts = ExpertsFromModels.execute(models=models).result[0]
    guider = DuetGuider(experts, make_plan(experts, steps=4, cfg_high=1.0, cfg_low=1.0))
    guider.set_conds([[torch.zeros(1, 4, 4096), {}]], [[torch.zeros(1, 4, 4096), {}]])
    latent = torch.zeros(1, 16, 1, 8, 8)
    guider.sample(latent, latent, sampler_object("euler"), torch.tensor(guider.plan.sigmas))
    assert guider.plan.roles() == ["high", "high", "high", "low"]
    assert [net.calls for net in compiled] == [3, 1]
