"""LoRAs are data of an expert: nobody has to ask what an edit or a LoRA is."""

import ast
from pathlib import Path

import pytest
from wan_duet.experts.handle import MissingHandle
from wan_duet.experts.lora.expert_lora import ExpertLora
from wan_duet.experts.lora.schedule import parse_schedule
from wan_duet.experts.pair import Expert, Experts

ROOT = Path(__file__).resolve().parents[3]
TYPES = {"ExpertLora", "LoraSpec", "PatcherEdit"}


def asks(source: str) -> list[int]:
    """The lines that ask for the type of a LoRA or of an edit."""
    found = []
    for node in ast.walk(ast.parse(source)):
        call = isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass", "type")
        if call or isinstance(node, ast.Compare | ast.MatchClass):
            names = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
            found += [node.lineno] if names & TYPES else []
    return found


def test_nothing_asks_for_the_type_of_a_lora() -> None:
    packages = [path.parent for path in ROOT.glob("*/__init__.py") if path.parent.name not in ("tests", "dev")]
    files = [path for package in packages for path in package.rglob("*.py")]
    assert len(files) > 100
    assert [(str(file), line) for file in files for line in asks(file.read_text(encoding="utf-8"))] == []
    assert asks("isinstance(change, ExpertLora)") and asks("type(it) is LoraSpec")


def test_a_lora_goes_on_its_own_expert_and_leaves_the_old_pair_alone() -> None:
    bare = Experts(*(Expert(MissingHandle(role, "gone")) for role in ("high", "low")))
    lora = ExpertLora("x.safetensors", "low", parse_schedule("0.5"))
    assert [expert.loras for expert in bare.with_lora(lora)] == [(), (lora,)]
    assert [expert.loras for expert in bare] == [(), ()]
    assert bare.with_lora(lora)["low"].strengths_at((1.0, 0.0), 1.0) == (0.5,)


def test_a_strength_that_takes_a_plan_is_not_guessed() -> None:
    lora = ExpertLora("x.safetensors", "high", parse_schedule("0.5,1"))
    with pytest.raises(ValueError, match=r"LoRA x\.safetensors: schedule '0\.5,1' changes"):
        Experts(Expert(MissingHandle("high", "gone"))).with_lora(lora).high.strengths_at((1.0, 0.0), 1.0)
