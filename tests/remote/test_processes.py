"""Real processes on one journal: one that is killed between the provider's yes and its arrival, and two at once."""

import dataclasses
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from wan_duet.remote.errors import RemoteError
from wan_duet.remote.job import State
from wan_duet.remote.settings import Clock
from wan_duet.tests.fake_providers.faults import Lose, Meet
from wan_duet.tests.remote.conftest import KEY, REAL_SECONDS, Bench, MakeBench
from wan_duet.tests.remote.test_uploads import image_order, picture

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import sys, pathlib
root, url, folder, endpoint, prompt, key, seed = sys.argv[1:]
sys.path.insert(0, root)
from remote.contract.contracts import contract
from remote.jobs.manager import JobManager
from remote.jobs.request import make_request
from remote.settings import RemoteSettings
bases = dict.fromkeys(["runware", "runware schemas", "fal", "fal rest", "fal platform", "fal cdn", "rivya"], url)
environ = {"RUNWARE_API_KEY": key, "FAL_KEY": key, "RIVYA_API_KEY": key}
environ |= {f"WAN_DUET_BUDGET_{name}": "100000" for name in ("RUNWARE", "FAL", "RIVYA")}
private, output = (pathlib.Path(folder) / name for name in ("private", "output"))
settings = RemoteSettings(private, output, bases=bases, allow_loopback=True, environ=environ, first_poll=0.1)
manager = JobManager(settings)
values = {prompt: "a cat", seed: 5}
handle = manager.start(make_request(contract(endpoint), values, allow_paid=True, max_cost=12.0))
"""
ENDING = "print(handle.future.result(60).files[0], flush=True); manager.close()"


def process(bench: Bench, ending: str = ENDING) -> "subprocess.Popen[str]":
    """A process that asks for the same job as `bench.request()` does, and what it does then."""
    from wan_duet.tests.remote.conftest import ENDPOINTS, PROMPTS, SEEDS

    name = bench.name
    arguments: list[Any] = [ROOT, bench.fake.url, bench.folder, ENDPOINTS[name], PROMPTS[name], KEY, SEEDS[name]]
    command = [sys.executable, "-c", SCRIPT + ending, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def killed_before_the_answer(bench: Bench) -> None:
    bench.clock.skew = time.time() - bench.clock.now()  # as late as it is for the process
    bench.fake.fault("submit", Lose("hang"))
    child = process(bench)
    begin = time.monotonic()
    while not bench.fake.charges:
        assert child.poll() is None and time.monotonic() < begin + REAL_SECONDS, child.stderr
        time.sleep(0.01)
    child.kill()
    child.wait()


@pytest.mark.parametrize("name", ["runware", "rivya"])
def test_killed_between_accept_and_reply_the_job_is_found_again(bench: MakeBench, name: str) -> None:
    one = bench(name)
    killed_before_the_answer(one)
    assert one.restart() and one.job.state is State.SUBMITTING
    assert one.run().attached
    one.check(State.DOWNLOADED, charges=1, files=1)


def test_killed_between_accept_and_reply_fal_is_not_asked_again(bench: MakeBench) -> None:
    fal = bench("fal")
    killed_before_the_answer(fal)
    with pytest.raises(RemoteError, match="force_new"):
        fal.run()
    fal.check(State.UNKNOWN, charges=1, files=0)


def test_processes_on_one_journal_make_one_job(bench: MakeBench) -> None:
    fal = bench("fal")
    fal.fake.queued = fal.fake.running = 0.0
    children = [process(fal) for _ in range(3)]
    answers = [child.communicate(timeout=60) for child in children]
    assert {child.returncode for child in children} == {0}, answers
    assert len({out for out, _ in answers}) == 1
    fal.check(State.DOWNLOADED, charges=1, files=1)


def test_two_at_the_same_step_submit_once(bench: MakeBench) -> None:
    """Both are past every check and about to submit; the one that comes second waits for the answer of the first."""
    fal = bench("fal", clock=Clock(), first_poll=0.05, submit_timeout=10.0)
    fal.fake.queued = fal.fake.running = 0.0
    meeting = Meet(count=2)
    fal.fake.fault("token", meeting, meeting)
    fal.fake.fault("submit", Meet(count=1, seconds=0.3))
    handles = [fal.restart().start(image_order(fal, picture())) for _ in range(2)]
    assert len({handle.future.result(REAL_SECONDS).files for handle in handles}) == 1
    assert fal.fake.count("submit") == 1
    fal.check(State.DOWNLOADED, charges=1, files=1)


def test_one_that_is_not_willing_to_pay_does_not_close_what_the_other_submits(bench: MakeBench) -> None:
    fal = bench("fal", clock=Clock(), first_poll=0.05, submit_timeout=10.0)
    fal.fake.queued = fal.fake.running = 0.0
    fal.fake.fault("token", Meet(count=1, seconds=0.5))
    generation = image_order(fal, picture())
    willing = fal.restart().start(generation)
    assert willing.claimed.result(REAL_SECONDS) == fal.job.id
    with pytest.raises(RemoteError, match="allow_paid is off"):
        fal.restart().start(dataclasses.replace(generation, allow_paid=False)).future.result(REAL_SECONDS)
    assert willing.future.result(REAL_SECONDS).files
    fal.check(State.DOWNLOADED, charges=1, files=1)


def test_a_job_under_way_does_not_keep_the_process(bench: MakeBench) -> None:
    fal = bench("fal")
    child = process(fal, "import sys; manager.journal; handle.claimed.result(10); sys.exit(3)")
    assert child.wait(REAL_SECONDS) == 3


def test_the_remote_package_needs_no_host_and_starts_nothing() -> None:
    code = (
        f"import sys, threading; sys.path.insert(0, {str(ROOT)!r}); import remote.jobs.manager, remote.jobs.wait;"
        "assert not {'torch', 'comfy', 'server', 'execution'} & sys.modules.keys();"
        "assert threading.active_count() == 1"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
