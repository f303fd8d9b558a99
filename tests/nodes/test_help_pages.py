"""The help pages as files: one in English and one in Chinese for every node, about the same inputs and outputs."""

import json
import re
from pathlib import Path

import pytest
from wan_duet.tests.data.object_info import inputs

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "web" / "docs"
NODES = json.loads((ROOT / "tests" / "data" / "object_info.json").read_text(encoding="utf-8"))["nodes"]
CHINESE = json.loads((ROOT / "locales" / "zh" / "nodeDefs.json").read_text(encoding="utf-8"))
each_node = pytest.mark.parametrize("node", NODES)


def sections(page: str) -> list[str]:
    return page.split("\n## ")


def explained(section: str) -> list[str]:
    """The names in bold at the start of the list's items; one item may explain several."""
    heads = [re.split("[:\uff1a]", line, maxsplit=1)[0] for line in section.splitlines() if line.startswith("- ")]
    return sorted(name for head in heads for name in re.findall(r"\*\*(.+?)\*\*", head))


@each_node
def test_an_english_page_explains_every_input_and_output_once(node: str) -> None:
    _, taken, given, *_ = sections((DOCS / f"{node}.md").read_text(encoding="utf-8"))[:3]
    assert explained(taken) == sorted(inputs(NODES[node]))
    assert explained(given) == sorted(NODES[node]["output_name"])


@each_node
def test_a_chinese_page_explains_the_same_by_the_names_that_a_chinese_reader_sees(node: str) -> None:
    _, taken, given, *_ = sections((DOCS / node / "zh.md").read_text(encoding="utf-8"))[:3]
    assert explained(taken) == sorted(text["name"] for text in CHINESE[node]["inputs"].values())
    assert explained(given) == sorted(text["name"] for text in CHINESE[node]["outputs"].values())


@each_node
def test_a_chinese_page_has_the_title_the_sections_and_the_tables_of_the_english_one(node: str) -> None:
    english = (DOCS / f"{node}.md").read_text(encoding="utf-8")
    chinese = (DOCS / node / "zh.md").read_text(encoding="utf-8")
    assert chinese.splitlines()[0] == f"# {CHINESE[node]['display_name']}"
    assert len(sections(chinese)) == len(sections(english))
    assert chinese.count("\n|") == english.count("\n|")


def test_there_is_no_page_without_a_node() -> None:
    assert {page.parent.name for page in DOCS.glob("*/*.md")} == NODES.keys()
