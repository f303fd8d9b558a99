"""The workflow that ships with the pack, run small, under every way the host keeps results."""

import json
from pathlib import Path

import pytest
from wan_duet.dev.check_film import read_frames
from wan_duet.dev.client import Client, Prompt, outputs
from wan_duet.dev.server import Server

WORKFLOW = Path(__file__).resolve().parents[2] / "workflows" / "api" / "text_to_video.json"
SMALL = {"EmptyHunyuanLatentVideo": {"width": 96, "height": 64, "length": 9}, "WanDuet_StagePlan": {"steps": 4}}


@pytest.fixture
def prompt(output_folder: str) -> Prompt:
    """The shipped prompt, asked for a small film."""
    prompt: Prompt = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    for node in prompt.values():
        node["inputs"].update(SMALL.get(node["class_type"], {}))
        if node["class_type"] == "SaveVideo":
            node["inputs"]["filename_prefix"] = f"{output_folder}/film"
    return prompt


@pytest.mark.parametrize("server_name", ["server", "server_without_cache", "server_with_previews"])
def test_it_makes_the_film_that_was_asked_for_again_and_again(
    request: pytest.FixtureRequest, prompt: Prompt, server_name: str
) -> None:
    server: Server = request.getfixturevalue(server_name)
    for seed in (1, 2):
        next(node for node in prompt.values() if node["class_type"] == "RandomNoise")["inputs"]["noise_seed"] = seed
        entry = Client(server.url).run(prompt)
        (film,) = (server.base / file for file in outputs(entry) if file.suffix == ".mp4")
        assert [frame.size for frame in read_frames(film)] == [(96, 64)] * 9
