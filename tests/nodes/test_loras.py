"""LoRA rows in graphs on a real server."""

import os
import tempfile
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from wan_duet.dev.client import PromptError
from wan_duet.dev.server import Server
from wan_duet.tests.nodes.graph import Graph, Node, Runner

HIGH = "wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors"
ROW = {"strength": 1.0, "expert": "both", "schedule": "", "low_file": "auto", "remote_id": ""}


@pytest.fixture(scope="session")
def put_lora(server: Server) -> Iterator[Callable[..., str]]:
    """A function that puts a LoRA for so many blocks where the server finds it, and returns its name there."""
    loras = server.base / "models" / "loras"
    loras.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="test-", dir=loras) as folder:

        def put(name: str, blocks: int) -> str:
            names = [
                f"transformer.blocks.{block}.attn1.to_q.lora_{half}.weight" for block in range(blocks) for half in "AB"
            ]
            save_file({key: torch.ones((2, 128) if "_A" in key else (128, 2)) for key in names}, Path(folder, name))
            return os.path.join(Path(folder).name, name)

        yield put


def apply(graph: Graph, *rows: dict) -> Node:
    """Rows in a chain, and the list on the official pair."""
    loras: Node | None = None
    for row in rows:
        chain = {} if loras is None else {"loras": loras}
        loras = graph.add("WanDuet_Lora", **{**ROW, **row, **chain})
    return graph.add("WanDuet_ApplyLoras", experts=graph.load(HIGH), loras=loras)


def test_the_report_is_a_dry_run_of_the_whole_chain(run: Runner, graph: Graph, put_lora: Callable) -> None:
    high, low = put_lora("pan_HIGH_e10.safetensors", 2), put_lora("pan_LOW_e20.safetensors", 1)
    shown = graph.show(apply(graph, {"file": low}, {"file": high, "expert": "high", "strength": 0.0})[1])
    text = run(graph).text(shown)
    assert f"high: {high} at 1: 4 of 4 keys read, 2 of 2 weights changed" in text
    assert f"low: {low} at 1: 2 of 2 keys read, 1 of 1 weights changed" in text
    assert f"LoRA 2: {high}" in text
    assert "not loaded: its strength is 0" in text


def test_a_missing_file_is_accepted_and_said_by_apply(run: Runner, graph: Graph) -> None:
    graph.show(apply(graph, {"file": "gone.safetensors", "low_file": "gone_too.safetensors"})[1])
    with pytest.raises(PromptError, match=r"^WanDuet_ApplyLoras .*gone\.safetensors is not in models/loras"):
        run(graph)


def test_a_file_that_changed_on_disk_is_looked_at_again(run: Runner, graph: Graph, put_lora: Callable) -> None:
    file = put_lora("tilt.safetensors", 1)
    applied = apply(graph, {"file": file})
    shown = graph.show(applied[1])
    assert "2 of 2 keys read" in run(graph).text(shown)
    assert applied.id in run(graph).cached()
    put_lora("tilt.safetensors", 2)
    assert "4 of 4 keys read" in run(graph).text(shown)


def test_a_run_with_loras_ends_in_another_latent(run: Runner, graph: Graph, put_lora: Callable) -> None:
    file = put_lora("zoom.safetensors", 2)
    plain, changed = graph.load(HIGH), apply(graph, {"file": file, "expert": "high", "schedule": "0.5"})
    saved = [graph.save(graph.sample(experts, graph.plan(experts))) for experts in (plain, changed)]
    result = run(graph)
    assert not torch.equal(result.latent(saved[0]), result.latent(saved[1]))


def test_a_strength_can_change_within_a_stage(run: Runner, graph: Graph, put_lora: Callable) -> None:
    """Three high steps at 0, then 1, then 1: the latent is neither that of 0 nor that of 1."""
    file = put_lora("orbit.safetensors", 2)
    saved = [
        graph.save(graph.sample(experts, graph.plan(experts)))
        for experts in (apply(graph, {"file": file, "schedule": schedule}) for schedule in ("0;0", "0,1,1;0", "1;0"))
    ]
    shown = graph.show(apply(graph, {"file": file, "schedule": "0,1,1;0"})[1])
    result = run(graph)
    latents = [result.latent(node) for node in saved]
    assert not any(torch.equal(*both) for both in combinations(latents, 2))
    assert f"high: {file} at 0,1,1;0: 4 of 4 keys read" in result.text(shown)


def test_models_that_leave_the_pair_have_no_steps_to_follow(run: Runner, graph: Graph, put_lora: Callable) -> None:
    experts = apply(graph, {"file": put_lora("tilt_up.safetensors", 2), "schedule": "0,1;1"})
    models = graph.add("WanDuet_ModelsFromExperts", experts=experts)
    joined = graph.add("WanDuet_ExpertsFromModels", models=models[2])
    graph.save(graph.sample(joined, graph.plan(joined)))
    with pytest.raises(PromptError, match=r"tilt_up\.safetensors: schedule '0,1;1' .* only Wan 2.2 Guider"):
        run(graph)
