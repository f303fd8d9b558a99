"""Prices in words, consent, and the sources of keys."""

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from wan_duet.remote.contract.contracts import contract
from wan_duet.remote.contract.pricing import Estimate, estimate
from wan_duet.remote.errors import RemoteError
from wan_duet.remote.job import State
from wan_duet.remote.keys import key_source, profiles, read_key, write_key
from wan_duet.remote.providers import PROVIDERS, provider_named
from wan_duet.tests.fake_providers.provider import KEY
from wan_duet.tests.remote.conftest import Bench, MakeBench

A14B = "fal-ai/wan/v2.2-a14b"


@pytest.mark.parametrize(
    ("endpoint", "request_", "seconds", "amount"),
    [
        (f"{A14B}/image-to-video", {"num_frames": 80, "resolution": "480p"}, None, 0.2),  # 5 s at 0.04
        (f"{A14B}/image-to-video", {}, None, 0.405),  # 81 frames at 16 a second, 720p
        (f"{A14B}/image-to-video/turbo", {"resolution": "580p"}, None, 0.075),
        (f"{A14B}/text-to-video/lora", {"num_frames": 96, "frames_per_second": 24}, None, 0.4),
        (f"{A14B}/text-to-video", {}, None, None),
        ("fal-ai/wan/v2.2-14b/animate/move", {"resolution": "480p"}, 10.0, 0.4),
        ("fal-ai/wan/v2.2-14b/animate/move", {"resolution": "480p"}, None, None),
        ("runware/wan22_animate", {"resolution": "580p", "numberResults": 3}, 2.0, 0.084),
        ("runware/wan22_a14b_turbo", {}, 5.0, None),
        ("runware/wan25_preview", {"width": 1280, "height": 720, "duration": 10}, None, 0.9049),
        ("runware/wan25_preview", {"width": 1280, "height": 720, "duration": 5}, None, None),
    ],
)
def test_estimates(endpoint: str, request_: dict[str, Any], seconds: float | None, amount: float | None) -> None:
    assert estimate(contract(endpoint), request_, seconds).amount == (None if amount is None else pytest.approx(amount))


def test_estimates_in_words() -> None:
    assert [str(Estimate(None)), str(Estimate(0.405)), str(Estimate(12, "credits"))] == [
        "price unknown",
        "est. $0.405",
        "est. 12 credits",
    ]


def test_nothing_is_paid_without_consent(any_bench: Bench) -> None:
    with pytest.raises(RemoteError, match="allow_paid is off") as refused:
        any_bench.run(any_bench.request(allow_paid=False))
    assert any_bench.fake.seen == []
    unit = "credits" if any_bench.name == "rivya" else "US dollars"
    assert re.search(rf"Prices are in {unit}, at https://{any_bench.name}\.a?i", str(refused.value))


def test_a_limit_below_the_price_or_none_beside_an_unknown_one_sends_nothing(bench: MakeBench) -> None:
    fal, rivya = bench("fal"), bench("rivya")
    for limit in (None, 0.0, float("nan")):
        with pytest.raises(RemoteError, match=r"\(price unknown\), and max_cost is .*, in US dollars, .* more"):
            fal.run(fal.request(max_cost=limit))
    with pytest.raises(RemoteError, match=r"max_cost is 11, below the price \(est. 12 credits\)"):
        rivya.run(rivya.request(max_cost=11.0))
    assert fal.fake.seen == rivya.fake.seen == []
    with pytest.raises(RemoteError, match="max_cost is nan"):
        rivya.run(rivya.request(max_cost=float("nan")))
    rivya.run(rivya.request(max_cost=12.0))
    assert rivya.manager.journal.jobs()[0].cost == 12


RUNWARE, FAL, RIVYA = (PROVIDERS[name].key_variables for name in ("runware", "fal", "rivya"))


def write_keys(folder: Path, content: str) -> Path:
    path = folder / "keys.json"
    path.write_text(content)
    return path


def test_the_environment_comes_before_the_file(tmp_path: Path) -> None:
    write_keys(tmp_path, json.dumps({"default": {"fal": "file:key"}, "work": {"fal": "work:key"}}))
    split = {"FAL_KEY_ID": "id", "FAL_KEY_SECRET": "secret"}
    assert read_key("fal", FAL, "default", tmp_path, {"FAL_KEY": " one:key\n"}) == "one:key"
    assert read_key("fal", FAL, "default", tmp_path, split) == "id:secret"
    assert read_key("fal", FAL, "default", tmp_path, {}) == "file:key"
    assert read_key("fal", FAL, "work", tmp_path, {"FAL_KEY": "one:key"}) == "work:key"
    assert profiles(tmp_path) == ["default", "work"]


@pytest.mark.parametrize("environ", [{}, dict.fromkeys(("RUNWARE_API_KEY", "FAL_KEY", "RIVYA_API_KEY"), "two\nlines")])
def test_without_a_key_nothing_is_sent(any_bench: Bench, environ: dict[str, str]) -> None:
    any_bench.options["environ"] = environ
    with pytest.raises(RemoteError, match=r"there is no key|no key has") as refused:
        any_bench.run()
    assert refused.value.kind == "auth" and any_bench.fake.seen == []
    any_bench.check(State.PLANNED, charges=0, files=0)


def test_a_missing_key_is_asked_for_under_settings_and_names_the_other_places(tmp_path: Path) -> None:
    with pytest.raises(
        RemoteError, match=r"^Settings, Wan Duet: .* set FAL_KEY or FAL_KEY_ID and FAL_KEY_SECRET, or write .*keys.json"
    ):
        read_key("fal", FAL, "default", tmp_path, {"FAL_KEY": "  "})
    with pytest.raises(RemoteError, match="Profile 'work' has no key"):
        read_key("rivya", RIVYA, "work", tmp_path, {"RIVYA_API_KEY": "x"})


def test_another_profile_pays_for_what_the_first_could_not(any_bench: Bench) -> None:
    any_bench.settings.private.mkdir(parents=True)
    with pytest.raises(RemoteError, match="Profile 'work' has no key"):
        any_bench.run(any_bench.request(profile="work"))
    any_bench.run()
    assert any_bench.job.profile == "default"
    any_bench.restart()
    any_bench.run(any_bench.request(profile="work")).files[0].unlink()  # delivered already: no key is needed
    any_bench.run(any_bench.request(profile="work"))  # fetched again by whoever has paid
    any_bench.check(State.DOWNLOADED, charges=1, files=1)


@pytest.mark.parametrize("key", ["two\nlines", "nul\0", "kéy", "a b"])
def test_a_key_that_can_not_be_one_is_refused_and_not_shown(tmp_path: Path, key: str) -> None:
    with pytest.raises(RemoteError) as refused:
        read_key("runware", RUNWARE, "default", tmp_path, {"RUNWARE_API_KEY": key})
    assert key not in str(refused.value) and "RUNWARE_API_KEY" in str(refused.value)


@pytest.mark.parametrize("content", ["{", "[]", '{"fal": "planted-key"}'])
def test_a_broken_file_is_named_and_not_quoted(tmp_path: Path, content: str) -> None:
    write_keys(tmp_path, content)
    with pytest.raises(RemoteError, match=r"keys.json .*Correct the file\.") as broken:
        read_key("fal", FAL, "default", tmp_path, {})
    assert "planted" not in str(broken.value)


def test_a_key_is_written_beside_the_others_and_taken_out_again(tmp_path: Path) -> None:
    private = tmp_path / "private"
    write_key("fal", "default", f" {KEY}\n", private)
    write_key("rivya", "work", "rvya_sk_1", private)
    assert (
        read_key("fal", FAL, "default", private, {}) == KEY
        and read_key("rivya", RIVYA, "work", private, {}) == "rvya_sk_1"
    )
    assert key_source("fal", FAL, "default", private, {}) == "keys.json, profile default"
    assert key_source("fal", FAL, "default", private, {"FAL_KEY": "x"}) == "FAL_KEY"
    write_key("fal", "default", "", private)
    assert key_source("fal", FAL, "default", private, {}) is None and profiles(private) == [
        "default",
        "work",
    ]
    assert [path.name for path in private.iterdir()] == ["keys.json"]
    if os.name == "posix":
        assert stat.S_IMODE((private / "keys.json").stat().st_mode) == 0o600


def test_what_can_not_be_a_key_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(RemoteError, match="no key has") as refused:
        write_key("fal", "default", "planted key", tmp_path)
    assert "planted" not in str(refused.value)
    with pytest.raises(ValueError, match="provider is 'nobody'"):
        provider_named("nobody")
    write_keys(tmp_path, "{")
    with pytest.raises(RemoteError, match="is not JSON"):
        write_key("fal", "default", "x", tmp_path)
    assert (tmp_path / "keys.json").read_text() == "{"


def test_a_file_of_keys_may_begin_as_windows_editors_write_it(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(json.dumps({"default": {"fal": KEY}}), encoding="utf-8-sig")
    assert read_key("fal", FAL, "default", tmp_path, {}) == KEY


def test_a_folder_of_keys_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RemoteError, match="The key can't be written to"):
        write_key("fal", "default", "x", tmp_path / "file")


@pytest.mark.skipif(os.name != "posix", reason="modes mean nothing here")
def test_the_file_of_keys_is_taken_away_from_others(tmp_path: Path) -> None:
    path = write_keys(tmp_path, json.dumps({"default": {"fal": KEY}}))
    path.chmod(0o644)
    read_key("fal", FAL, "default", tmp_path, {})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
