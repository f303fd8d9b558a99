"""The providers' own clients complete jobs against the fakes, so the fakes speak the real wire."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from wan_duet.tests.fake_providers.fal import FakeFal
from wan_duet.tests.fake_providers.provider import KEY, Fake, WallClock
from wan_duet.tests.fake_providers.runware import FakeRunware

pytestmark = pytest.mark.live

SCRIPTS = Path(__file__).parent / "sdks"
PYTHON = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"


def run(fake: Fake, package: str, script: str) -> Any:
    """What a script says that is run by the package's own environment."""
    python = Path(os.environ["WAN_DUET_LIVE"]) / package / PYTHON
    with fake.serving():
        done = subprocess.run([python, SCRIPTS / script, fake.url, KEY], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_fal_client_completes_a_job() -> None:
    fake = FakeFal(WallClock(), queued=0.3, running=0.5)
    said = run(fake, "fal-client", "fal_job.py")
    (file,) = fake.uploads.values()
    assert file == b"\x89PNG picture"
    assert said["states"] == ["Queued", "InProgress", "Completed"]
    assert said["result"]["seed"] == 5 and said["result"]["video"]["content_type"] == "video/mp4"
    assert "num_frames" in said["refused"]
    assert [job.cancelled for job in fake.generations.values()] == [False, True]
    assert len(fake.charges) == 1


def test_runware_sdk_completes_a_job() -> None:
    fake = FakeRunware(WallClock(), queued=0.3, running=0.5)
    said = run(fake, "runware-sdk", "runware_job.py")
    assert len(fake.uploads) == 1 and "mediaUUID" in str(said["stored"])
    assert "runware:200@8" in str(said["found"])
    assert [video["cost"] for video in said["videos"]] == [0.25, 0.25]
    assert "videoURL" in str(said["details"])
    assert "steps" in said["refused"]
    assert len(fake.charges) == 2
