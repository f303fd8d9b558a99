"""Every remote workflow that ships, allowed to pay, on the real server: one charge, and its file."""

import json
from pathlib import Path

import pytest
from wan_duet.dev.client import Prompt, PromptError
from wan_duet.tests.nodes.remote.conftest import Bench, paid

FOLDER = Path(__file__).resolve().parents[3] / "workflows" / "api"
NAMES = sorted(path.stem for path in FOLDER.glob("remote_*.json") if path.stem != "remote_jobs")


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_pays_only_when_allowed_and_delivers_its_file(bench: Bench, name: str, seed: int) -> None:
    prompt: Prompt = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    (node,) = (node for node in prompt.values() if "allow_paid" in node["inputs"])
    node["inputs"]["seed"] = seed
    with pytest.raises(PromptError, match="allow_paid is off"):
        bench.client.run(prompt, timeout=60)
    assert bench.charges() == 0
    for end in (node["inputs"] for node in prompt.values() if node["class_type"] == "SaveVideo"):
        end["filename_prefix"] = f"{bench.output.name}/kept"
    entry = bench.client.run(paid(prompt), timeout=60)
    assert (bench.charges(), bench.state(seed), len(bench.files(seed))) == (1, "downloaded", 1)
    ends = [id for id, node in prompt.items() if node["class_type"] in ("SaveVideo", "PreviewImage")]
    assert len(ends) == 1 and entry["outputs"][ends[0]]["images"]


def test_the_journal_opens(bench: Bench) -> None:
    entry = bench.client.run(json.loads((FOLDER / "remote_jobs.json").read_text(encoding="utf-8")), timeout=60)
    assert "Spent by day (UTC), as far as it is known:" in entry["outputs"]["2"]["text"][0]
    assert entry["outputs"].keys() == {"2"}  # nothing was collected that could be shown
