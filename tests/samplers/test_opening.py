"""A file is read when its expert's first step comes, once, and never for a run that does without it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import comfy.sd
import pytest
import torch
from torch import Tensor
from wan_duet.experts.checkpoint.contents import read_checkpoint
from wan_duet.experts.handle import FileHandle, Handle, MissingHandle
from wan_duet.experts.pair import Expert, Experts
from wan_duet.samplers.guider import DuetGuider
from wan_duet.tests.samplers.runs import SIZE, Job, duet_guider, random, run_in_node

BELOW = Job(strength=0.4, latent=random(*SIZE, seed=3))
ABOVE = Job(given=(1.0, 0.95, 0.9))
Sample = Callable[[DuetGuider, Job], Any]
MISSING = MissingHandle("missing", "missing.safetensors is not there")


def run(guider: DuetGuider, job: Job) -> Tensor:
    return guider.sample(**job.arguments)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str | int]:
    """The names of the files that the host reads, as it reads them; a test may add more."""
    noted: list[str | int] = []
    read = comfy.sd.load_diffusion_model

    def note(path: str, **options: object) -> object:
        noted.append(Path(path).stem)
        return read(path, **options)

    monkeypatch.setattr(comfy.sd, "load_diffusion_model", note)
    return noted


def experts_of(high: Handle, low: Handle) -> Experts:
    return Experts(Expert(high), Expert(low))


@pytest.fixture
def in_file(files: Path) -> Callable[[str], FileHandle]:
    """A new handle on one of the checkpoints."""

    def handle(name: str) -> FileHandle:
        path = str(files / f"{name}.safetensors")
        return FileHandle(name, path, read_checkpoint(path))

    return handle


@pytest.fixture
def experts(in_file: Callable[[str], FileHandle]) -> Experts:
    return experts_of(in_file("high"), in_file("other"))


def test_nothing_is_read_for_a_guider(experts: Experts, events: list[str | int]) -> None:
    duet_guider(experts, Job())
    assert events == []


def test_each_file_is_read_before_its_first_step(experts: Experts, events: list[str | int]) -> None:
    job = Job()
    duet_guider(experts, job).sample(**job.arguments, callback=lambda step, *_: events.append(step))
    assert events == ["high", *range(11), "other", *range(11, 20)]


def test_each_file_is_read_once_for_all_runs(experts: Experts, events: list[str | int]) -> None:
    job = Job()
    guider = duet_guider(experts, job)
    results = [run(guider, job), run(guider, job), run(duet_guider(experts, job), job)]
    assert events == ["high", "other"]
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.parametrize("sample", [run, run_in_node])
def test_a_run_below_the_boundary_reads_the_low_file_only(
    sample: Sample, experts: Experts, events: list[str | int]
) -> None:
    sample(duet_guider(experts, BELOW), BELOW)
    assert events == ["other"]


@pytest.mark.parametrize("sample", [run, run_in_node])
def test_a_run_below_the_boundary_does_not_need_the_high_file(
    sample: Sample, in_file: Callable[[str], FileHandle]
) -> None:
    experts = experts_of(MISSING, in_file("other"))
    sample(duet_guider(experts, BELOW), BELOW)
    with pytest.raises(FileNotFoundError, match=MISSING.problem):
        sample(duet_guider(experts, Job()), Job())


def test_sigmas_given_below_the_boundary_open_the_low_file_only(experts: Experts, events: list[str | int]) -> None:
    guider = duet_guider(experts, Job())
    guider.sample(**BELOW.arguments)
    assert events == ["other"]


@pytest.mark.parametrize("sample", [run, run_in_node])
def test_a_run_above_the_boundary_reads_the_high_file_only(
    sample: Sample, experts: Experts, events: list[str | int]
) -> None:
    sample(duet_guider(experts, ABOVE), ABOVE)
    assert events == ["high"]


def test_a_missing_low_file_ends_the_run_that_needs_it_and_no_other(in_file: Callable[[str], FileHandle]) -> None:
    guider = duet_guider(experts_of(in_file("high"), MISSING), Job())
    with pytest.raises(FileNotFoundError, match=MISSING.problem):
        run(guider, Job())
    assert torch.equal(run(guider, ABOVE), run(duet_guider(experts_of(in_file("high"), MISSING), ABOVE), ABOVE))


def test_without_sigmas_nothing_is_read_and_the_latent_comes_back(experts: Experts, events: list[str | int]) -> None:
    nothing = Job(strength=0.0)
    guider = duet_guider(experts, nothing)
    latent = BELOW.latent
    assert guider.sample(latent, latent, None, torch.tensor(())) is latent
    assert events == []
