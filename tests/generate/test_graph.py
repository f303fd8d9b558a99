"""What a receipt reads from a graph: each result's own seed, wherever it is typed, and what really solves the run."""

import copy
from typing import Any

import pytest
from wan_duet.generate.graph import seeds, solvers
from wan_duet.generate.receipt import receipt

PROMPT = {
    "1": {"class_type": "RandomNoise", "inputs": {"noise_seed": 42}},
    "2": {"class_type": "WanDuet_Sampler", "inputs": {"noise": ["1", 0], "seed": 7, "latent": ["2", 0]}},
    "3": {"class_type": "RandomNoise", "inputs": {"noise_seed": 5}},
    "4": {"class_type": "Save", "inputs": {"video": ["2", 0], "format": "mp4", "gone": ["99", 0]}},
}


def with_seed(seed: Any, count: Any = None, **nodes: dict[str, Any]) -> dict[str, Any]:
    """The prompt with this seed and count in its sampler, and more nodes by their ids."""
    prompt = copy.deepcopy(PROMPT)
    prompt["2"]["inputs"] |= {"seed": seed} if count is None else {"seed": seed, "count": count}
    return prompt | {name.removeprefix("n"): node for name, node in nodes.items()}


def primitive(value: Any, name: str = "value", **more: Any) -> dict[str, Any]:
    return {"class_type": "Primitive", "inputs": {name: value, **more}}


def test_the_seeds_are_those_that_the_file_depends_on() -> None:
    assert seeds(PROMPT, "4") == {"1 RandomNoise": 42, "2 WanDuet_Sampler": 7}
    assert seeds(PROMPT, "3") == {"3 RandomNoise": 5}


def test_each_of_several_results_has_its_own_seed() -> None:
    prompt = with_seed(7, count=3)
    assert [seeds(prompt, "4", result)["2 WanDuet_Sampler"] for result in range(4)] == [7, 8, 9, "7 to 9"]
    assert seeds(prompt, "4", 1)["1 RandomNoise"] == 42
    assert receipt("1.2.3", prompt=prompt, node_id="4", result=2)["seeds"]["2 WanDuet_Sampler"] == 9


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ({"n6": primitive(9)}, 9),
        ({"n6": primitive(["7", 0]), "n7": primitive(9)}, 9),
        ({"n6": primitive(9, "int")}, 9),
        ({"n6": primitive(9, "seed", mode="fixed")}, 9),
        ({"n6": primitive(9, "a", b=2)}, "from 6 Primitive"),
        ({"n6": primitive(["6", 0])}, None),
        ({"n6": primitive("nine")}, None),
        ({}, None),
    ],
)
def test_a_linked_seed_is_followed_to_where_it_is_typed(nodes: dict[str, Any], expected: Any) -> None:
    prompt = with_seed(["6", 0], **nodes)
    assert seeds(prompt, "4").get("2 WanDuet_Sampler") == expected
    if isinstance(expected, int):
        assert seeds(with_seed(["6", 0], ["8", 0], n8=primitive(2), **nodes), "4", 1)["2 WanDuet_Sampler"] == 10


PLAN = {"class_type": "WanDuet_StagePlan", "inputs": {"sampler": "heun", "scheduler": "beta"}}
SCHEDULER = {"class_type": "WanDuet_ProviderScheduler", "inputs": {"provider_scheduler": "UniPC 3M Karras"}}


def solved(sampler: list[Any], sigmas: str = "sigmas", **nodes: dict[str, Any]) -> dict[str, str]:
    """What is said of a sampling node "9" whose plan is node "5"."""
    node = {"class_type": "Run", "inputs": {"sampler": sampler, sigmas: ["5", 2]}}
    prompt = {"9": node, "10": {"class_type": "Save", "inputs": {"video": ["9", 0]}}}
    return solvers(prompt | {name.removeprefix("n"): node for name, node in nodes.items()}, "10")["9 Run"]


def test_a_receipt_names_the_solver_that_the_run_was_given() -> None:
    assert solved(["5", 1], n5=PLAN) == {"sampler": "heun", "scheduler": "beta"}
    assert solved(["5", 1], "plan", n5=PLAN) == {"sampler": "heun", "scheduler": "beta"}
    preset = {"class_type": "WanDuet_Preset", "inputs": {"preset": "Quality 40"}}
    assert solved(["5", 1], n5=preset) == dict.fromkeys(("sampler", "scheduler"), "from 5 WanDuet_Preset (Quality 40)")


def test_a_receipt_names_a_providers_scheduler_as_its_node_does() -> None:
    expected = dict.fromkeys(("sampler", "scheduler"), "from 6 WanDuet_ProviderScheduler (UniPC 3M Karras)")
    beside = {**PLAN, "inputs": {"sampler": "euler", "scheduler": ["6", 1]}}
    through = {**PLAN, "inputs": {"sampler": "euler", "scheduler": ["6", 1], "solver": ["6", 0]}}
    assert solved(["6", 0], n5=beside, n6=SCHEDULER) == expected
    assert solved(["5", 1], n5=through, n6=SCHEDULER) == expected


def test_a_receipt_names_the_solvers_of_other_nodes() -> None:
    select = {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "lms"}}
    basic = {"class_type": "BasicScheduler", "inputs": {"scheduler": "normal", "model": ["1", 0]}}
    assert solved(["6", 0], n5=basic, n6=select) == {"sampler": "lms", "scheduler": "normal"}
    strange = {"class_type": "Strange", "inputs": {}}
    assert solved(["6", 0], n5=strange, n6=strange) == {"sampler": "from 6 Strange", "scheduler": "from 5 Strange"}
    whole = {"1": {"class_type": "KSampler", "inputs": {"sampler_name": "lms", "scheduler": "normal", "seed": 1}}}
    assert solvers(whole, "1") == {"1 KSampler": {"sampler": "lms", "scheduler": "normal"}}
