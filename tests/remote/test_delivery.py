"""Further deliveries by a provider: addresses of keys.json go out with the submit and are written down nowhere."""

import json
from pathlib import Path

import pytest
from wan_duet.remote.errors import RemoteError
from wan_duet.remote.job import State
from wan_duet.tests.remote.conftest import Bench, MakeBench

PUT = "https://bucket.example.com/a.mp4?X-Amz-Signature=planted-put"
TOLD = "https://example.com/planted-token"
DELIVERED = {"uploadEndpoint": "profile:work#put", "webhookURL": "profile:work#webhook", "ttl": 600}


def written(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "keys.json")


def with_profile(bench: MakeBench, **entries: str) -> Bench:
    runware = bench("runware")
    runware.settings.private.mkdir(parents=True)
    (runware.settings.private / "keys.json").write_text(json.dumps({"work": entries}), encoding="utf-8")
    return runware


def test_addresses_of_a_profile_are_sent_and_not_written_down(bench: MakeBench) -> None:
    runware = with_profile(bench, put=PUT, webhook=TOLD)
    runware.run(runware.request(DELIVERED))
    (sent,) = [json.loads(seen.body)[0] for seen in runware.fake.seen if seen.op == "submit"]
    assert (sent["uploadEndpoint"], sent["webhookURL"], sent["ttl"]) == (PUT, TOLD, 600)
    runware.check(State.DOWNLOADED, charges=1, files=1)
    runware.manager.close()
    assert b"planted-" not in written(runware.folder) and runware.job.request["uploadEndpoint"] == "profile:work#put"


@pytest.mark.parametrize("entries", [{"put": PUT}, {"put": "http://10.0.0.1/x", "webhook": TOLD}])
def test_a_profile_that_has_no_such_address_is_named_before_anything_is_sent(
    bench: MakeBench, entries: dict[str, str]
) -> None:
    runware = with_profile(bench, **entries)
    with pytest.raises(RemoteError, match=r"profile 'work' names no address to tell.*keys.json|is not https"):
        runware.run(runware.request(DELIVERED))
    assert runware.fake.count("submit") == 0
    runware.check(State.PLANNED, charges=0, files=0)
