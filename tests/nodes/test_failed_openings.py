"""A file that can't be opened in the middle of a run: the prompt ends in words, and the next one works."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from wan_duet.dev.client import PromptError
from wan_duet.dev.server import Server
from wan_duet.dev.tiny import transformer
from wan_duet.tests.experts.headers import shapes_of, write_header
from wan_duet.tests.nodes.graph import AGAIN, Graph, Node, Runner

A14B = {"dim": 5120, "ffn_dim": 13824, "num_heads": 40, "num_layers": 40, "in_dim": 16, "out_dim": 16}
SPARE = 4 * 2**30  # bytes, above what the server has mapped


def pair(high: str, low: str, again: int = 0, **settings: object) -> tuple[Graph, Node]:
    graph = Graph()
    experts = graph.load(high, low)
    return graph, graph.save(graph.sample(experts, graph.plan(experts, **settings), **{AGAIN: again}))


def test_a_file_deleted_before_the_switch_ends_the_prompt_in_words(
    run: Runner, put: Callable, files: dict[str, str]
) -> None:
    good, saved = pair(files["high"], files["low"])
    before = run(good).latent(saved)
    low = put("short_lived_low.safetensors", transformer(1))
    path = run.server.base / "models" / "diffusion_models" / low

    def delete() -> None:
        if re.search(r"[1-9]\d*/300 ", run.server.last_line()):
            path.unlink(missing_ok=True)

    with pytest.raises(PromptError, match=rf"{path.name} is gone since it was chosen\. Put it back, or choose another"):
        run(pair(files["high"], low, steps=300, boundary=0.1)[0], on_poll=delete)
    again, saved = pair(files["high"], files["low"], again=1)
    assert torch.equal(run(again).latent(saved), before)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of another process, as only Linux can")
def test_too_little_memory_to_open_an_expert_ends_the_prompt_in_words(
    start_server: Callable[..., Server], output_folder: str, files: dict[str, str]
) -> None:
    """The server may map 4 GB more than it has; an expert of the real size, 28.6 GB, can't be opened in that."""
    import resource

    server = start_server()
    run = Runner(server, output_folder)
    good, saved = pair(files["high"], files["low"])
    before = run(good).latent(saved)
    folder = server.base / "models" / "diffusion_models" / Path(files["high"]).parent
    for role in ("high", "low"):
        write_header(folder / f"real_size_{role}.safetensors", shapes_of(**A14B))
    big = str(Path(files["high"]).parent / "real_size_high.safetensors")
    headers = Graph()
    headers.show(headers.load(big)[1])
    run(headers)  # cached from now on: a header is read by mapping its file, which the limit would not allow either
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="utf-8")
    mapped = int(status.split("VmSize:")[1].split()[0]) * 1024
    resource.prlimit(server.process.pid, resource.RLIMIT_AS, (mapped + SPARE, resource.RLIM_INFINITY))
    with pytest.raises(PromptError, match=r"not enough memory to open .*real_size_high.*28\.6 GB.*one at a time"):
        run(pair(big, "auto")[0])
    again, saved = pair(files["high"], files["low"], again=1)
    assert torch.equal(run(again).latent(saved), before)
