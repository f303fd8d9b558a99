"""A receipt tells runs apart and tells nothing about the machine."""

from pathlib import Path

import pytest
from wan_duet.experts.handle import MissingHandle
from wan_duet.experts.lora.expert_lora import ExpertLora
from wan_duet.experts.lora.schedule import parse_schedule
from wan_duet.experts.pair import Expert, Experts
from wan_duet.generate.receipt import fingerprint, receipt, versions
from wan_duet.samplers.plan import Phase, Plan


@pytest.mark.parametrize("place", [0, 100_000, 5_000_000, 9_999_999])
def test_a_fingerprint_sees_a_change_in_what_it_samples(tmp_path: Path, place: int) -> None:
    path = tmp_path / "file"
    content = bytearray(10_000_000)
    path.write_bytes(content)
    before = fingerprint(str(path))
    assert fingerprint(str(path)) == before
    start = round((len(content) - 65536) * round(place / len(content) * 63) / 63)
    content[start] ^= 1
    path.write_bytes(content)
    assert fingerprint(str(path)) != before


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537])
def test_a_fingerprint_of_a_small_file_covers_all_of_it(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    before = fingerprint(str(path))
    path.write_bytes(b"x" * (size + 1))
    assert fingerprint(str(path)) != before


def test_a_receipt_holds_what_is_known_and_no_more() -> None:
    assert receipt("1.2.3").keys() == {"receipt", "versions"}
    experts = Experts(Expert(MissingHandle("gone.safetensors", "not there")))
    plan = Plan((1.0, 0.0), 5.0, (Phase("high", 1.0),), "flow_unipc", {"order": 3}, "flow_karras")
    full = receipt("1.2.3", experts=experts, plan=plan, ran="Ran 1 step")
    assert full["experts"] == {"high": {"name": "gone.safetensors", "loras": [], "changes": []}}
    assert full["plan"]["sigmas"] == (1.0, 0.0)
    assert (full["plan"]["sampler"], full["plan"]["options"]) == ("flow_unipc", {"order": 3})
    assert full["plan"]["scheduler"] == "flow_karras"
    assert full["ran"] == "Ran 1 step"


def test_a_scheduled_lora_is_named_with_its_schedule(tmp_path: Path) -> None:
    path = tmp_path / "private" / "motion.safetensors"
    path.parent.mkdir()
    path.write_bytes(b"weights")
    lora = ExpertLora(str(path), "high", parse_schedule("0.9,0.5"))
    found = receipt("1.2.3", experts=Experts(Expert(MissingHandle("gone", "not there"), loras=(lora,))))
    (named,) = found["experts"]["high"]["loras"]
    assert named == {"name": "motion.safetensors", "strength": "0.9,0.5", "sampled_sha256": fingerprint(str(path))}
    assert found["experts"]["high"]["changes"] == []


def test_a_file_that_has_gone_since_the_run_costs_no_more_than_its_fingerprint(tmp_path: Path) -> None:
    lora = ExpertLora(str(tmp_path / "gone.safetensors"), "high", parse_schedule("1"))
    found = receipt("1.2.3", experts=Experts(Expert(MissingHandle("gone", "not there"), loras=(lora,))))
    assert found["experts"]["high"]["loras"] == [{"name": "gone.safetensors", "strength": 1.0, "sampled_sha256": None}]


def test_the_versions_name_the_pack_and_the_host() -> None:
    found = versions("1.2.3")
    assert found["comfyui"] == "1.2.3"
    assert found["wan_duet"][0].isdigit()
