"""Whatever is connected or chosen wrongly is said in our words, and the server works on."""

import inspect
import re
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from wan_duet.dev.client import PromptError
from wan_duet.nodes.experts.lora import Lora
from wan_duet.nodes.experts.pair import LoadExperts
from wan_duet.tests.nodes.graph import Graph, Node, Runner

Files = dict[str, str]

_seeds = count(1000)


@pytest.fixture
def still_works(run: Runner, files: Files) -> Iterator[None]:
    """After the test a good prompt, new to the server, runs to its end."""
    yield
    graph = Graph()
    experts = graph.load(files["high"])
    saved = graph.save(graph.sample(experts, graph.plan(experts, steps=2), seed=next(_seeds)))
    assert run(graph).latents(saved)


BAD_FILES = {
    "a T2V with an I2V": ("high", "i2v low", "the two experts are of different kinds.*T2V A14B.*I2V A14B"),
    "halves of different sizes": ("high", "deep low", "different sizes.*2 blocks of 128.*3 blocks of 128"),
    "a file that is not a Wan": ("vae", "low", "vae.safetensors is not a Wan transformer"),
    "a truncated high file": ("cut high", "low", "cut_high.safetensors is truncated"),
    "a truncated low file": ("high", "torn low", "torn_low.safetensors is truncated"),
    "a truncated partner": ("torn high", None, "torn_low.safetensors is truncated"),
    "one file in both places": ("high", "high", "high and low are the same file"),
    "a file without a partner": ("i2v low", None, "no partner of .*i2v_low.safetensors was found by name"),
}


@pytest.mark.parametrize("name", BAD_FILES)
@pytest.mark.usefixtures("still_works")
def test_bad_files_are_refused_by_the_loader(run: Runner, graph: Graph, files: Files, name: str) -> None:
    high, low, problem = BAD_FILES[name]
    experts = graph.load(files[high], files[low] if low else "auto")
    graph.show(experts[1])
    with pytest.raises(PromptError, match=f"^WanDuet_LoadExperts {experts.id}: .*{problem}"):
        run(graph)


ABSENT = {
    "a missing pair": ("gone high", "gone low", "gone_high.safetensors is not in models/diffusion_models"),
    "a missing low file": ("high", "gone low", "gone_low.safetensors is not in models/diffusion_models"),
    "a missing pair found by name": ("gone high", None, "gone_high.safetensors is not in models/diffusion_models"),
    "a GGUF low file": ("high", "gguf", "pair_low.gguf is a GGUF file.*GGUF loader.*Experts From Models"),
}


@pytest.mark.parametrize("name", ABSENT)
@pytest.mark.usefixtures("still_works")
@pytest.mark.parametrize("by_guider", [True, False])
def test_an_absent_file_raises_at_its_loader_once_a_sampler_hangs_on_it(
    run: Runner, graph: Graph, files: Files, name: str, by_guider: bool
) -> None:
    high, low, problem = ABSENT[name]
    experts = graph.load(files[high], files[low] if low else "auto")
    plan = graph.plan(experts)
    report = graph.show(experts[1])
    graph.show(plan[3])
    assert re.search(problem, run(graph).text(report))

    cached = graph.add("WanDuet_FirstBlockCache", experts=experts)
    if by_guider:
        graph.save(graph.sample(cached, plan))
    else:
        duet = {"experts": cached, "plan": plan, "sampler": plan[1], "seed": 0}
        graph.save(graph.add("WanDuet_Sampler", **duet, **graph.inputs()))
    with pytest.raises(PromptError, match=f"^WanDuet_LoadExperts {experts.id}: .*{problem}"):
        run(graph)


def test_the_loader_answers_for_both_names_where_the_host_would_check_them_against_its_lists() -> None:
    checked = inspect.signature(LoadExperts.validate_inputs).parameters  # the host leaves alone what is named here
    assert checked.keys() == {"high", "low"}
    assert LoadExperts.validate_inputs(high="gone", low="gone") is True


def test_a_missing_low_file_raises_before_the_high_expert_has_run_in_vain(
    run: Runner, graph: Graph, files: Files
) -> None:
    experts = graph.load(files["high"], files["gone low"])
    plan = graph.plan(experts, steps=50)
    graph.save(graph.sample(experts, plan))
    log = run.logged(graph)
    assert "gone_low.safetensors is not in models/diffusion_models" in log
    assert "/50 [" not in log


def test_every_absent_file_is_named_at_once(run: Runner, graph: Graph, files: Files) -> None:
    experts = graph.load(files["gone high"], files["gone low"])
    graph.show(graph.add("WanDuet_ModelsFromExperts", experts=experts)[1])
    with pytest.raises(PromptError, match=f"^WanDuet_LoadExperts {experts.id}: .*gone_high.*gone_low"):
        run(graph)


def _three_models(graph: Graph, files: Files) -> Node:
    models = graph.add("WanDuet_ModelsFromExperts", experts=graph.load(files["high"]))
    return graph.add("WanDuet_ExpertsFromModels", models=models[2], high=models[0])


BAD_MODELS: dict[str, tuple[Callable[[Graph, Files], Node], str]] = {
    "three MODELs": (_three_models, "models, high and low brought 3 MODELs"),
    "no MODEL": (lambda graph, files: graph.add("WanDuet_ExpertsFromModels"), "brought 0 MODELs"),
    "low without high": (
        lambda graph, files: graph.add("WanDuet_ExpertsFromModels", low=graph.model(files["low"])),
        "high with or without low",
    ),
    "a MODEL that is not a Wan": (
        lambda graph, files: graph.add("WanDuet_ExpertsFromModels", high=graph.model(files["sd3"])),
        "the high MODEL is a different model, not a Wan transformer",
    ),
    "a low MODEL that is not a Wan": (
        lambda graph, files: graph.add(
            "WanDuet_ExpertsFromModels", high=graph.model(files["high"]), low=graph.model(files["sd3"])
        ),
        "the low MODEL is a different model, not a Wan transformer",
    ),
    "a T2V with an I2V": (
        lambda graph, files: graph.add(
            "WanDuet_ExpertsFromModels", high=graph.model(files["high"]), low=graph.model(files["i2v low"])
        ),
        "high MODEL is T2V A14B.*low MODEL is I2V A14B",
    ),
}


@pytest.mark.parametrize("name", BAD_MODELS)
@pytest.mark.usefixtures("still_works")
def test_bad_models_are_refused_where_they_are_joined(run: Runner, graph: Graph, files: Files, name: str) -> None:
    build, problem = BAD_MODELS[name]
    experts = build(graph, files)
    graph.show(graph.plan(experts)[3])
    with pytest.raises(PromptError, match=f"^WanDuet_ExpertsFromModels {experts.id}: .*{problem}"):
        run(graph)


def test_a_file_name_that_comes_over_a_link_leaves_the_fingerprint_as_it_was() -> None:
    settings = {"weight_dtype": "default"}  # the host leaves linked inputs out, or gives None for them
    assert LoadExperts.fingerprint_inputs(**settings) == LoadExperts.fingerprint_inputs(None, None, **settings)
    row = {"strength": 1.0, "expert": "both"}
    assert Lora.fingerprint_inputs(**row) == Lora.fingerprint_inputs(**row)
    assert Lora.fingerprint_inputs(file=None, **row) == Lora.fingerprint_inputs(file=None, **row)
