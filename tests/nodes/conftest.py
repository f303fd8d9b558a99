"""Graphs that run on the real server, with tiny checkpoints put where it looks for them."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from wan_duet.dev.server import Server
from wan_duet.dev.tiny import transformer, vae
from wan_duet.tests.nodes.graph import Graph, Runner
from wan_duet.tests.nodes.new_technique import add_technique, copy_pack

Weights = dict[str, torch.Tensor]


@pytest.fixture
def run(server: Server, output_folder: str) -> Runner:
    """Runs a graph on the shared server."""
    return Runner(server, output_folder)


@pytest.fixture(scope="session")
def pack_with_one_more(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the pack with one more step cache."""
    pack = tmp_path_factory.mktemp("custom_nodes") / "wan-duet-and-more"
    copy_pack(pack)
    add_technique(pack)
    return pack


@pytest.fixture(scope="session")
def server_without_cache(start_server: Callable[..., Server], pack_with_one_more: Path) -> Server:
    """A server that remembers no result. It has the pack with one more step cache, to save a start."""
    paths = pack_with_one_more.with_name("paths.yaml")
    paths.write_text(f"more:\n    custom_nodes: {pack_with_one_more.parent.as_posix()}\n", encoding="utf-8")
    alone = ("--disable-all-custom-nodes", "--whitelist-custom-nodes", pack_with_one_more.name)
    return start_server("--cache-none", "--extra-model-paths-config", str(paths), *alone)


@pytest.fixture(scope="session")
def server_with_previews(start_server: Callable[..., Server]) -> Server:
    """A server that keeps the newest results only, whatever prompt they are of, and makes previews."""
    return start_server("--cache-lru", "1", "--preview-method", "latent2rgb")


@pytest.fixture
def graph() -> Graph:
    return Graph()


@pytest.fixture(scope="session")
def put(server: Server) -> Iterator[Callable[[str, Weights], str]]:
    """A function that puts a checkpoint where the server finds it and returns its name there."""
    with tempfile.TemporaryDirectory(prefix="test-", dir=server.base / "models" / "diffusion_models") as folder:

        def put(name: str, weights: Weights) -> str:
            save_file({key: weight.bfloat16() for key, weight in weights.items()}, Path(folder, name))
            return os.path.join(Path(folder).name, name)

        yield put


def _unloadable(seed: int) -> Weights:
    """Weights with the header of an expert, one of which does not fit into the net that the host builds."""
    return {**transformer(seed), "blocks.0.self_attn.q.weight": torch.zeros(1, 1)}


def _sd3() -> Weights:
    """What the host needs to build a MODEL that is not Wan: an SD3 of one block, 64 wide, its weights left out."""
    shapes = {"joint_blocks.0.context_block.attn.qkv.weight": (192, 64), "x_embedder.proj.weight": (64, 16, 2, 2)}
    return {name: torch.zeros(shape) for name, shape in shapes.items()}


@pytest.fixture(scope="session")
def files(server: Server, put: Callable[[str, Weights], str]) -> dict[str, str]:
    """The names of good and bad checkpoints on the server."""
    made = {
        "high": put("pair_high.safetensors", transformer(0)),
        "low": put("pair_low.safetensors", transformer(1)),
        "i2v low": put("i2v_low.safetensors", transformer(1, in_dim=36)),
        "5b": put("5b.safetensors", transformer(0, in_dim=48, out_dim=48)),
        "deep low": put("deep_low.safetensors", transformer(1, layers=3)),
        "cut high": put("cut_high.safetensors", transformer(0)),
        "torn high": put("torn_high.safetensors", transformer(0)),
        "torn low": put("torn_low.safetensors", transformer(1)),
        "vae": put("vae.safetensors", vae(0)),
        "sd3": put("sd3.safetensors", _sd3()),
        "unloadable high": put("unloadable_high.safetensors", _unloadable(0)),
        "unloadable low": put("unloadable_low.safetensors", _unloadable(1)),
    }
    for name in ("cut high", "torn low"):
        path = server.base / "models" / "diffusion_models" / made[name]
        os.truncate(path, os.path.getsize(path) - 1)
    gone = {f"gone {role}": made[role].replace("pair", "gone") for role in ("high", "low")}
    return {**made, **gone, "gguf": made["low"].replace(".safetensors", ".gguf")}
