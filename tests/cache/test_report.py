"""The report counts what ran, and claims nothing else."""

import re

import pytest
import torch
from comfy.model_patcher import ModelPatcher
from comfy_extras.nodes_easycache import EasyCacheNode
from wan_duet.cache.techniques.base import Technique
from wan_duet.cache.techniques.dual_block import DualBlock
from wan_duet.cache.techniques.seacache import SeaCache
from wan_duet.cache.techniques.teacache import TeaCache
from wan_duet.tests.cache.models import STEPS, always, blocks, cached, calls, sample

TOTALS = re.compile(r"In all (\d+) of (\d+) evaluations, (\d+) of (\d+) block forwards \((.+)\)")


@pytest.mark.parametrize("first", [0, 1, 3])
@pytest.mark.parametrize("mask", ["#..#..##", "#.#.#.##", "########"])
def test_the_counts_are_those_of_the_blocks(
    base: ModelPatcher, caplog: pytest.LogCaptureFixture, first: int, mask: str
) -> None:
    caplog.set_level("INFO", "wan_duet")
    technique = DualBlock(first) if first else TeaCache()
    rows = []
    counting = [block.register_forward_pre_hook(lambda _, args: rows.append(len(args[0]))) for block in blocks(base)]
    sample(cached(base, technique, **always(mask=mask)))
    for hook in counting:
        hook.remove()
    found = TOTALS.search(caplog.text)
    assert found
    computed, evaluations, run, total = map(int, found.groups()[:4])
    assert (computed, evaluations) == (mask.count("#"), STEPS)
    assert (run, total) == (sum(rows), STEPS * len(blocks(base)) * 2)
    assert mask in caplog.text
    assert found[5] == f"{run / total:.3f}"


def test_an_audit_tells_the_true_error_and_changes_nothing(
    base: ModelPatcher, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "wan_duet")
    settings = always(mask="#.#.#.##")
    expected = sample(cached(base, **settings))
    with calls([blocks(base)[-1]]) as without:
        sample(cached(base, **settings))
    caplog.clear()
    with calls([blocks(base)[-1]]) as ran:
        assert torch.equal(sample(cached(base, **settings, audit=1)), expected)
    assert ran[0] == without[0] + 3
    told = re.search(r"audit, error of reused evaluations: (.+)", caplog.text)
    assert told
    assert [part.split(":")[0] for part in told[1].split(", ")] == ["2", "4", "6"]
    assert all(0 < float(part.split(": ")[1].rstrip("%")) < 100 for part in told[1].split(", "))


def test_every_second_audit_is_half_the_work(base: ModelPatcher, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "wan_duet")
    sample(cached(base, **always(mask="#.#.#.##"), audit=2))
    told = re.search(r"audit, error of reused evaluations: (.+)", caplog.text)
    assert told and [part.split(":")[0] for part in told[1].split(", ")] == ["2", "6"]


@pytest.mark.parametrize("technique", [DualBlock(1), SeaCache()], ids=lambda technique: technique.name)
def test_a_technique_that_cant_plan_tells_which_threshold_would_have_met_the_target(
    base: ModelPatcher, caplog: pytest.LogCaptureFixture, technique: Technique
) -> None:
    caplog.set_level("INFO", "wan_duet")
    sample(cached(base, technique, threshold=0.0, target=2.0, max_consecutive=1))
    told = re.search(r"A reuse threshold of about (.+) would have come near the target", caplog.text)
    assert told
    caplog.clear()
    sample(cached(base, technique, threshold=float(told[1]) * 1.1, max_consecutive=1))
    found = TOTALS.search(caplog.text)
    assert found and abs(int(found[1]) - STEPS / 2) <= 1


def test_a_second_cache_takes_the_place_of_the_first(base: ModelPatcher, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "wan_duet")
    both = cached(cached(base, **always()), TeaCache())
    assert torch.equal(sample(both), sample(base))
    assert len(TOTALS.findall(caplog.text)) == 1


def test_beside_the_hosts_own_cache_it_is_refused(base: ModelPatcher) -> None:
    easy = EasyCacheNode.execute(base, 0.2, 0.15, 0.95, False).args[0]
    with pytest.raises(ValueError, match="EasyCache or LazyCache on it too"):
        cached(easy)


def test_more_first_blocks_than_there_are_is_refused(base: ModelPatcher) -> None:
    with pytest.raises(ValueError, match="first_blocks is 6, but the model has 6 blocks"):
        cached(base, DualBlock(6))


def test_a_run_that_saved_nothing_says_so_first_and_which_threshold_would_have(
    base: ModelPatcher, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "wan_duet")
    sample(cached(base, DualBlock(1), threshold=0.0, max_consecutive=1))
    told = re.search(r"^The cache saved nothing: .* reuse_threshold of about (\S+) ", _report(caplog))
    assert told
    caplog.clear()
    sample(cached(base, DualBlock(1), threshold=float(told[1]), max_consecutive=1))
    assert not _report(caplog).startswith("The cache saved nothing")


def test_a_run_too_short_to_reuse_says_what_would_change_that(
    base: ModelPatcher, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "wan_duet")
    sample(cached(base, DualBlock(1), **{**always(), "force": False}))
    assert re.match(r"The cache saved nothing: every evaluation had to be computed.* force ", _report(caplog))


def _report(caplog: pytest.LogCaptureFixture) -> str:
    """All that our loggers said, a line a message."""
    return "\n".join(record.message for record in caplog.records if record.name.startswith("wan_duet"))
