"""The budget of a day: a graph can't raise it, several processes share it, and the actual cost settles it."""

import dataclasses
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from wan_duet.remote.budget import read_budget, write_budget
from wan_duet.remote.contract.contracts import contracts
from wan_duet.remote.contract.pricing import LEAST_UNKNOWN, Reservation, estimate
from wan_duet.remote.errors import RemoteError
from wan_duet.remote.job import Job, State
from wan_duet.remote.jobs.journal import Journal
from wan_duet.tests.fake_providers.faults import Lose
from wan_duet.tests.remote.conftest import KEYS, REAL_SECONDS, Bench, MakeBench

HOUR = 3600.0


def allow(bench: Bench, amount: float) -> None:
    bench.options["environ"] = {**KEYS, f"WAN_DUET_BUDGET_{bench.name.upper()}": str(amount)}
    bench.restart()


def test_without_a_budget_nothing_is_sent_whatever_the_graph_allows(any_bench: Bench) -> None:
    any_bench.options["environ"] = KEYS
    price = {"runware": "price unknown, counted as", "fal": "price unknown, counted as", "rivya": "est. 12 credits"}
    name = any_bench.name
    where = rf"{price[name]}.*is left of today's budget.*Settings, Wan Duet, or in WAN_DUET_BUDGET_{name.upper()}"
    with pytest.raises(RemoteError, match=where) as refused:
        any_bench.run()
    assert refused.value.kind == "consent" and any_bench.fake.seen == []
    any_bench.check(State.PLANNED, charges=0, files=0)
    write_budget(name, 12, any_bench.settings.private)  # and the next run takes it
    any_bench.run()
    any_bench.check(State.DOWNLOADED, charges=1, files=1)


def test_the_budget_is_for_all_jobs_of_a_day_in_utc(bench: MakeBench) -> None:
    rivya = bench("rivya")
    rivya.clock.skew = 23 * HOUR - rivya.clock.now() % (24 * HOUR)  # an hour before midnight
    allow(rivya, 30)
    for number in range(2):
        rivya.run(rivya.request(force_new=number))
    with pytest.raises(RemoteError, match=r"6 credits is left.*30 credits a day"):
        rivya.run(rivya.request(force_new=2))
    assert len(rivya.fake.charges) == 2
    rivya.clock.skew += HOUR
    rivya.run(rivya.request(force_new=2))
    assert len(rivya.fake.charges) == 3
    rivya.clock.skew -= 2 * HOUR  # a clock that is set back makes no room
    with pytest.raises(RemoteError, match="0 credits is left"):
        rivya.run(rivya.request(force_new=3))


def test_the_actual_cost_takes_the_place_of_what_was_reserved(bench: MakeBench) -> None:
    runware = bench("runware")
    allow(runware, 1)
    runware.run(runware.request(max_cost=1.0))  # costs 0.25
    assert runware.manager.budgets().result(REAL_SECONDS)["runware"] == (1.0, 0.25)
    runware.run(runware.request(max_cost=0.75, force_new=1))
    with pytest.raises(RemoteError, match=r"counted as \$0.75\), and \$0.5 is left"):
        runware.run(runware.request(max_cost=0.75, force_new=2))
    assert len(runware.fake.charges) == 2


def test_a_graph_does_not_count_an_unknown_price_as_next_to_nothing(bench: MakeBench) -> None:
    """As somebody else's workflow might, to get a thousand jobs through a small budget."""
    fal = bench("fal")
    allow(fal, 1.2)
    for number in range(2):
        fal.run(fal.request(max_cost=0.001, force_new=number))
    with pytest.raises(RemoteError, match=r"counted as \$0.5\), and \$0.2 is left"):
        fal.run(fal.request(max_cost=0.001, force_new=2))


def test_the_least_that_is_counted_is_what_known_jobs_cost() -> None:
    known = {(price.amount, price.currency) for one in contracts().values() if (price := estimate(one, {})).amount}
    assert len(known) > 3 and all(amount <= LEAST_UNKNOWN[currency] * 1.02 for amount, currency in known)


def test_what_may_have_been_charged_stays_reserved_and_what_was_refused_does_not(bench: MakeBench) -> None:
    fal = bench("fal", submit_timeout=0.5)
    allow(fal, 3)
    fal.fake.fault("submit", Lose("close"))
    with pytest.raises(RemoteError, match="force_new"):
        fal.run(fal.request(max_cost=2.0))
    assert fal.manager.budgets().result(REAL_SECONDS)["fal"] == (3.0, 2.0)
    wrong = fal.request(max_cost=1.0, force_new=1)
    with pytest.raises(RemoteError, match="num_frames"):
        fal.run(dataclasses.replace(wrong, request={**wrong.request, "num_frames": 9999}))
    assert fal.manager.budgets().result(REAL_SECONDS)["fal"] == (3.0, 2.0)


def test_nothing_is_uploaded_for_what_the_budget_does_not_hold(bench: MakeBench) -> None:
    from wan_duet.tests.remote.test_uploads import image_order, picture

    fal = bench("fal")
    allow(fal, 0.1)
    with pytest.raises(RemoteError, match="is left of today's budget"):
        fal.run(image_order(fal, picture()))
    assert fal.fake.seen == []


def test_several_processes_do_not_pass_the_budget_together(tmp_path: Path) -> None:
    """Each has looked at what is left before any of them submits: reserving and submitting are one."""
    journals = [Journal(tmp_path, lambda: 5e5) for _ in range(4)]
    jobs = [journals[0].claim(Job("", f"f{n}", "fal", "e", "default", {}, State.PLANNED)) for n in range(20)]
    wanted = Reservation(1.0, "USD", "est. $1", 7.0, "set it")

    def begin(number: int) -> bool:
        try:
            return journals[number % 4].begin_submit(jobs[number].id, 1e6, "", wanted)
        except RemoteError as error:
            assert error.kind == "consent"
            return False

    with ThreadPoolExecutor(8) as pool:
        begun = list(pool.map(begin, range(20)))
    states = [journals[0].get(job.id).state for job in jobs]
    assert sum(begun) == 7 == states.count(State.SUBMITTING) and journals[1].used_today("fal") == 7.0
    for journal in journals:
        journal.close()


def test_a_submit_is_repeated_only_where_there_is_a_budget(bench: MakeBench) -> None:
    from wan_duet.tests.remote.test_lost_answers import lost_for_good

    rivya, generation = lost_for_good(bench)
    rivya.options["environ"] = KEYS
    rivya.restart()
    with pytest.raises(RemoteError, match="is left of today's budget"):
        rivya.run(generation)
    assert rivya.fake.count("submit") == 0
    allow(rivya, 12)  # which this very job has taken already
    rivya.run(generation)
    rivya.check(State.DOWNLOADED, charges=1, files=1)


@pytest.mark.parametrize("text", ["five", "nan", "inf", "-1", "1e999"])
def test_what_is_no_amount_is_named_and_pays_nothing(bench: MakeBench, text: str) -> None:
    fal = bench("fal", environ={**KEYS, "WAN_DUET_BUDGET_FAL": text})
    with pytest.raises(RemoteError, match=rf"WAN_DUET_BUDGET_FAL is '{text}', which is no amount"):
        fal.run()
    assert fal.fake.seen == []


@pytest.mark.parametrize("value", [True, None, [], "x", -1, float("nan")])
def test_what_is_no_amount_is_not_written(tmp_path: Path, value: Any) -> None:
    with pytest.raises(RemoteError, match="which is no amount"):
        write_budget("fal", value, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_environment_comes_before_the_file_of_budgets(tmp_path: Path) -> None:
    assert read_budget("rivya", tmp_path, {}) == 0
    write_budget("rivya", "40", tmp_path)
    write_budget("fal", 2.5, tmp_path)
    assert json.loads((tmp_path / "budgets.json").read_text()) == {"rivya": 40, "fal": 2.5}
    assert read_budget("rivya", tmp_path, {"WAN_DUET_BUDGET_RIVYA": " 7 "}) == 7
    assert read_budget("fal", tmp_path, {"WAN_DUET_BUDGET_RIVYA": "7"}) == 2.5
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "budgets.json").stat().st_mode) == 0o600
    (tmp_path / "budgets.json").write_text("[]")
    with pytest.raises(RemoteError, match=r"budgets\.json must map"):
        read_budget("fal", tmp_path, {})
