"""The request that a provider node makes of its inputs, and when the host may keep what it has."""

from pathlib import Path

import pytest
from wan_duet.nodes.remote.catalog import ROWS
from wan_duet.nodes.remote.fields import LARGEST_SEED, fields_of, values_of
from wan_duet.nodes.remote.jobs import find
from wan_duet.nodes.remote.results import is_whole, outputs
from wan_duet.remote.contract.contracts import contract
from wan_duet.remote.job import Job, State
from wan_duet.remote.jobs.collect import JobOutcome
from wan_duet.tests.fake_providers.film import film, frames_zip


@pytest.mark.parametrize("seed", [LARGEST_SEED + 1, 2**64 - 1, -2])
def test_a_linked_seed_is_held_to_what_services_hold_exactly(seed: int) -> None:
    fields = fields_of(ROWS[0].contracts)
    given = {field.name: "" for field in fields} | {"seed": seed}
    with pytest.raises(ValueError, match=f"seed is {seed}. Use 0 to {LARGEST_SEED}"):
        values_of(fields, "Turbo", given)


def test_a_job_is_named_by_as_much_as_is_listed() -> None:
    known = [Job(id, "", "fal", "endpoint", "default", {}, State.QUEUED) for id in ("0123456789", "f123456789")]
    assert find(known, " 01234567 ").id == "0123456789"
    for text in ("", "0", "0123456", "01234568"):
        with pytest.raises(ValueError, match=r"at least the 8 characters that list shows\. There are: 01234567"):
            find(known, text)


def test_what_another_model_costs_is_not_known() -> None:
    wan25 = contract("runware/wan25_preview")
    assert wan25.prices and wan25.with_model("runware:999@9").prices is None
    assert wan25.with_model(wan25.parameter("model").const).prices == wan25.prices


def test_what_waits_to_be_collected_is_not_hidden_by_a_whole_result(tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    file.write_bytes(b"1")
    row = {"path": str(file), "size": 1, "seed": 1, "nsfw": False}

    def job(name: str, state: State, created: float) -> Job:
        known = {"prompt_id": name, "node_id": "1/0", "files": (row,), "created": created}
        return Job(name, name, "runware", "endpoint", "default", {}, state, **known)

    whole, waiting = job("whole", State.DOWNLOADED, 2), job("waiting", State.REMOTE_DONE, 1)
    assert is_whole([whole], "1") and not is_whole([whole, waiting], "1")


def test_frames_in_a_zip_are_named_and_not_played(tmp_path: Path) -> None:
    for name, body in (("a_0.mp4", film()), ("a_1.zip", frames_zip())):
        (tmp_path / name).write_bytes(body)
    rows = tuple({"path": str(path), "size": 1, "seed": None, "nsfw": False} for path in sorted(tmp_path.iterdir()))
    job = Job("a", "", "fal", "endpoint", "default", {"seed": 5}, State.DOWNLOADED, files=rows)
    made = outputs(JobOutcome(job))
    assert [video.get_dimensions() for video in made.result[0]] == [(64, 48)]
    lines = [line.strip() for line in made.result[1].splitlines()]
    assert lines[-3:] == ["seed: 5", "file: a_0.mp4", "file: a_1.zip"]
