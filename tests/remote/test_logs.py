"""The log of a model at work: asked for only on wish, told without secrets, and no part of the job."""

from wan_duet.remote.job import State
from wan_duet.remote.jobs.record import LINES, LONGEST, JobUpdate
from wan_duet.remote.jobs.summary import summarize
from wan_duet.tests.fake_providers.provider import KEY, SIGNATURE
from wan_duet.tests.remote.conftest import MakeBench

WRITTEN = ("loading", f"with {KEY}", f"from https://x.y/z?sig={SIGNATURE}", "two\nlines", "step " * 100, "")


def test_the_log_is_told_as_it_grows_and_at_the_end(bench: MakeBench) -> None:
    fal = bench("fal")
    fal.fake.log = (*["dropped"] * LINES, *WRITTEN)
    told: list[JobUpdate] = []
    generation = fal.request(log=True)
    outcome = fal.run(generation, report=told.append)
    long = ("step " * 100)[: LONGEST - 1] + "…"
    end = ("loading", "with [key]", "from https://x.y/z?[query]", "two lines", long, "finished")
    assert outcome.log[-6:] == end and len(outcome.log) <= LINES
    assert {update.line for update in told if update.job.state is State.RUNNING} == {long}
    assert "log: with [key]\n" in summarize(outcome, generation)
    said = "\n".join([summarize(outcome, generation), *map(str, told)])
    assert KEY not in said and SIGNATURE not in said
    assert not any(b"loading" in path.read_bytes() for path in fal.settings.private.glob("*"))


def test_nothing_is_asked_for_without_a_wish_and_the_job_is_the_same(bench: MakeBench) -> None:
    fal = bench("fal")
    fal.fake.log = WRITTEN
    assert fal.run().log == ()
    assert fal.run(fal.request(log=True)).attached
    fal.check(State.DOWNLOADED, charges=1, files=1)
