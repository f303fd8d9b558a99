"""What runs again, what is read again, and what is left to a later prompt."""

import os
import re
import time
from itertools import count

import pytest
import torch
from wan_duet.dev.client import PromptError
from wan_duet.dev.server import Server
from wan_duet.tests.nodes.graph import AGAIN, UNLOADABLE, Graph, Node, Runner

Files = dict[str, str]

OPENED = "reading "  # what we log when a file is read

_runs = count()


def _graph(files: Files, low: str = "low", again: int = 0, **settings: object) -> tuple[Graph, Node]:
    graph = Graph()
    experts = graph.load(files["high"], files[low])
    sampler = graph.sample(experts, graph.plan(experts, **settings), **{AGAIN: again})
    return graph, graph.save(sampler)


def _reads(run: Runner, files: Files, residency: str) -> tuple[int, torch.Tensor]:
    """How many files one more run reads, and the latent that it makes."""
    graph = Graph()
    experts = graph.load(files["high"], residency=residency)
    saved = graph.save(graph.sample(experts, graph.plan(experts), **{AGAIN: next(_runs)}))
    before = len(run.server.log_text())
    latent = run(graph).latent(saved)
    return run.server.log_text()[before:].count(OPENED), latent


def test_another_seed_reads_no_file_again(run: Runner, files: Files) -> None:
    logs = []
    for seed in (1, 2):
        graph = Graph()
        experts = graph.load(files["high"], **{AGAIN: "for another seed"})
        graph.save(graph.sample(experts, graph.plan(experts), seed))
        logs.append(run.logged(graph))
    assert all("Ran 3 high + 1 low steps" in log for log in logs)
    assert [log.count(OPENED) for log in logs] == [2, 0]


@pytest.mark.parametrize("residency", ["keep both", "one at a time"])
def test_a_server_that_remembers_nothing_reads_both_files_in_every_run_and_makes_the_same(
    server_without_cache: Server, output_folder: str, files: Files, residency: str
) -> None:
    run = Runner(server_without_cache, output_folder)
    made = [_reads(run, files, residency) for _ in range(2)]
    assert [reads for reads, _ in made] == [2, 2]
    assert torch.equal(made[0][1], made[1][1])


def test_what_is_freed_is_read_once_more_and_makes_the_same(run: Runner, files: Files) -> None:
    _, before = _reads(run, files, "keep both")
    run.client.request("/free", {"unload_models": True, "free_memory": True})
    # A server that was not yet waiting for its next prompt frees after it
    made = [_reads(run, files, "keep both") for _ in range(2)]
    assert sum(reads for reads, _ in made) == 2
    assert all(torch.equal(latent, before) for _, latent in made)


@pytest.mark.parametrize("role", ["high", "low"])
def test_the_loader_runs_again_when_a_file_was_edited(run: Runner, graph: Graph, files: Files, role: str) -> None:
    loader = graph.load(files["high"])
    graph.show(loader[1])
    run(graph)
    assert loader.id in run(graph).cached()
    path = run.server.base / "models" / "diffusion_models" / files[role]
    os.utime(path, (time.time(), os.path.getmtime(path) + 10))
    assert loader.id not in run(graph).cached()
    assert loader.id in run(graph).cached()


def test_a_run_after_an_exception_in_the_middle_of_another_is_what_it_was(run: Runner, files: Files) -> None:
    good, saved = _graph(files)
    before = run(good).latent(saved)
    with pytest.raises(PromptError, match=UNLOADABLE):  # as its low file is opened, at the switch
        run(_graph(files, low="unloadable low")[0])
    again, saved = _graph(files, again=1)
    assert torch.equal(run(again).latent(saved), before)


@pytest.mark.parametrize(("boundary", "steps_done"), [(0.0, 1), (0.999, 40)], ids=["high", "low"])
def test_a_run_after_an_interrupt_is_what_it_was(run: Runner, files: Files, boundary: float, steps_done: int) -> None:
    good, saved = _graph(files)
    before = run(good).latent(saved)

    def interrupt() -> None:
        steps = re.search(r"(\d+)/1000 ", run.server.last_line())
        if steps and int(steps[1]) >= steps_done:
            run.client.interrupt()

    with pytest.raises(PromptError, match=r"SamplerCustomAdvanced .*: interrupted"):
        run(_graph(files, steps=1000, boundary=boundary)[0], on_poll=interrupt)
    again, saved = _graph(files, again=1)
    assert torch.equal(run(again).latent(saved), before)
