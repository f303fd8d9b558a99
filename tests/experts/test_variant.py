"""A member of the Wan family is one row: nothing outside the table asks which one it is."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from wan_duet.experts import variant
from wan_duet.experts.files import load_pair, report
from wan_duet.experts.pair import Experts
from wan_duet.experts.variant import WanVae, WanVariant
from wan_duet.nodes.frames.size import SizeNode
from wan_duet.nodes.frames.vae import wan_vae
from wan_duet.samplers.planner import make_plan
from wan_duet.samplers.presets import PRESETS, preset_plan

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "experts" / "variant.py"
ROWS = {name for name, value in vars(variant).items() if isinstance(value, WanVariant | WanVae)}
NOVEL = WanVariant(
    "Novel 9B",
    pair=True,
    config=({"model_type": "t2v", "in_dim": 24},),
    named=r"novel",
    boundary=0.6,
    shift=7.0,
    vae=WanVae("Novel", channels=24, stride=32),
    trained_length=161,
)
SIZES = {"in_dim": 24, "out_dim": 24}


@pytest.fixture
def novel(put: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> Experts:
    """A pair of a variant that has a row and nothing else."""
    monkeypatch.setattr(variant, "VARIANTS", (NOVEL, *variant.VARIANTS))
    return load_pair(put("x_high_noise.safetensors", **SIZES), put("x_low_noise.safetensors", **SIZES))


def test_a_row_alone_gives_what_the_loader_says(novel: Experts, put: Callable[..., str]) -> None:
    lines = report(novel).splitlines()
    assert lines[0].startswith("high: x_high_noise.safetensors: Novel 9B, 2 blocks of 256")
    assert lines[-1] == "Novel 9B pair: boundary 0.6, shift 7 by default"
    assert load_pair("wan_novel_high.safetensors", "auto").variant is NOVEL  # not there: told by its name


def test_a_row_alone_gives_sizes_and_lengths(novel: Experts) -> None:
    width, height, length, _, text = SizeNode.execute("480p", "auto", 15.0, 16.0, experts=novel).args
    assert (width, height, length) == (832, 448, 241)  # multiples of 2 x 32
    assert "multiples of 64" in text and "Longer than the 161 frames" in text
    assert wan_vae(SimpleNamespace(latent_channels=24)) == NOVEL.vae


def test_a_row_alone_gives_plan_and_preset(novel: Experts) -> None:
    made = make_plan(novel, steps=20, cfg_high=3.5, cfg_low=3.5)
    named = preset_plan(PRESETS["Quality 40"], novel)
    assert [(plan.shift, plan.boundary) for plan in (made, named)] == [(7.0, 0.6)] * 2


def test_two_halves_of_different_variants_are_refused(novel: Experts, put: Callable[..., str]) -> None:
    with pytest.raises(ValueError, match=r"different kinds.*Novel 9B.*T2V A14B"):
        load_pair("x_high_noise.safetensors", put("y.safetensors"))


def test_the_node_of_sizes_names_the_frame_rates_of_the_table() -> None:
    (fps,) = (socket for socket in SizeNode.define_schema().inputs if socket.id == "fps")
    said = dict(re.findall(r"(\d+) for ([^,.]+)", fps.tooltip or ""))
    rates = {f"{variant.T2V_A14B.fps:g}", f"{variant.TI2V_5B.fps:g}", f"{variant.ANIMATE.fps:g}"}
    assert said.keys() == rates
    assert all(row.label.split()[-1] in said[f"{row.fps:g}"] for row in (variant.T2V_A14B, variant.TI2V_5B))


def asks_which(source: str) -> Iterator[int]:
    """The lines that compare with a row of the table, or with its label or name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            compared = [node.left, *node.comparators]
        elif isinstance(node, ast.Match):
            compared = [node.subject, *(case.pattern for case in node.cases)]
        else:
            continue
        names = {ast.unparse(inner) for one in compared for inner in ast.walk(one)}
        last = {name.rpartition(".")[2] for name in names if re.fullmatch(r"[\w.]+", name)}
        labels = {name for name in names if re.search(r"(?:variant|vae|checkpoint)\w*\.(?:label|name)$", name)}
        if last & ROWS or labels:
            yield node.lineno if isinstance(node, ast.Compare) else node.subject.lineno


def test_nothing_outside_the_table_asks_which_variant_it_is() -> None:
    packages = [path.parent for path in ROOT.glob("*/__init__.py") if path.parent.name not in ("tests", "dev")]
    files = [path for package in packages for path in package.rglob("*.py") if path != TABLE]
    assert len(files) > 100
    assert [(str(file), line) for file in files for line in asks_which(file.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    "source",
    [
        "x = experts.variant == TI2V_5B",
        "x = TI2V_5B is not found",
        "x = kind in (variant.T2V_A14B, variant.I2V_A14B)",
        "x = experts.variant.label == 'TI2V-5B'",
        "x = vae != VAE_2_2",
        "match experts.variant:\n    case variant.S2V:\n        pass",
    ],
)
def test_the_check_sees_such_a_question(source: str) -> None:
    assert list(asks_which(source))
