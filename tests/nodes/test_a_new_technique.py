"""A step cache is added by the files of the recipe, and by no other: then it is a node like all the others."""

import urllib.request
from pathlib import Path

from wan_duet.dev.client import Client
from wan_duet.dev.server import Server
from wan_duet.tests.data.object_info import inputs
from wan_duet.tests.nodes.graph import Graph, Runner
from wan_duet.tests.nodes.new_technique import NODE, ROOT, changed_files

NAMED = "`cache/techniques/<technique>.py`", "`nodes/cache/techniques.py`", "`web/docs/<id>.md`, `web/docs/<id>/zh.md`"
TOUCHED = {
    "cache/techniques/alternating.py",
    "nodes/cache/techniques.py",
    f"web/docs/{NODE}.md",
    f"web/docs/{NODE}/zh.md",
    "locales/en/nodeDefs.json",
    "locales/zh/nodeDefs.json",
}


def test_the_recipe_names_the_files_that_are_touched(pack_with_one_more: Path) -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    recipe = guide.split("## Adding a step cache\n")[1].split("\n## ")[0]
    assert changed_files(pack_with_one_more) == TOUCHED
    assert all(name in recipe for name in (*NAMED, "`locales/en/nodeDefs.json`, `locales/zh/nodeDefs.json`"))


def test_it_explains_itself(pack_with_one_more: Path, server_without_cache: Server) -> None:
    client, pack = Client(server_without_cache.url), pack_with_one_more.name
    node = client.object_info()[NODE]
    assert inputs(node).keys() == inputs(client.object_info()["WanDuet_SeaCache"]).keys()
    assert "regular: a threshold of 0.5. fast: a threshold of 0.9." in str(node["input"]["required"]["acceleration"])
    assert client.request("/i18n")["zh"]["nodeDefs"][NODE]["display_name"] == "Wan 2.2 Alternating"
    with urllib.request.urlopen(f"{server_without_cache.url}/extensions/{pack}/docs/{NODE}.md") as page:
        assert page.read().startswith(b"# Wan 2.2 Alternating")


def test_it_runs(server_without_cache: Server, output_folder: str, files: dict[str, str]) -> None:
    graph = Graph()
    experts = graph.load(files["high"], files["low"])
    cached = graph.add(
        NODE, experts=experts, acceleration="regular", reuse_threshold=0.0, max_consecutive=1, low_only=False
    )
    plan = graph.plan(cached, steps=12)
    sampler = graph.add("WanDuet_Sampler", experts=cached, plan=plan, sampler=plan[1], seed=3, **graph.inputs())
    report = graph.show(sampler[1])
    said = Runner(server_without_cache, output_folder)(graph).text(report)
    assert "Alternating, reuse threshold 0.5" in said
    assert "high: 5 of 8 evaluations computed  #.#.#.##" in said
    assert "low: 3 of 4 evaluations computed  #.##" in said
