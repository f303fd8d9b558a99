"""Two servers with one output folder, saving at once: nobody's file takes the place of another's."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from wan_duet.dev.server import Server
from wan_duet.tests.nodes.graph import Graph, Node, Result, Runner
from wan_duet.tests.nodes.test_save_video import file_of, save

FORMATS = ("png", "jpeg", "mp4", "mov", "webm")
TIMES = 6
GREYS = (0x404040, 0xC0C0C0)  # of each server's films, to tell them by


def saved_by(runner: Runner, colour: int) -> tuple[Result, list[Node]]:
    graph = Graph()
    image = graph.add("EmptyImage", width=32, height=32, batch_size=1, color=colour)
    several = enumerate(FORMATS * TIMES, 60)  # equal nodes would run once
    nodes = [save(graph, image, format=name, exact_quality=quality) for quality, name in several]
    return runner(graph), nodes


def brightness(path: Path) -> float:
    if path.suffix in (".png", ".jpg"):
        with Image.open(path) as picture:
            return float(np.asarray(picture).mean())
    with av.open(str(path)) as film:
        return float(next(film.decode(video=0)).to_ndarray(format="rgb24").mean())


@pytest.fixture
def runners(server: Server, server_without_cache: Server, output_folder: str) -> list[Runner]:
    return [Runner(one, output_folder) for one in (server, server_without_cache)]


def test_every_file_of_both_is_there_and_its_own(runners: list[Runner], output_folder: str) -> None:
    with ThreadPoolExecutor() as both:
        results = list(both.map(saved_by, runners, GREYS))
    files = [[file_of(result, node) for node in nodes] for result, nodes in results]
    assert len({file for made in files for file in made}) == 2 * TIMES * len(FORMATS)
    for made, colour in zip(files, GREYS, strict=True):
        assert all(abs(brightness(file) - (colour & 0xFF)) < 8 for file in made)
    folder = runners[0].server.base / "output" / output_folder
    assert not [path for path in folder.iterdir() if path.suffix == ".partial" or not path.stat().st_size]
