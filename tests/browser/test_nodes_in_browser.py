"""What the frontend is given with each node: its help page, its translation, and which widgets to fold away."""

from contextlib import closing

import pytest
from wan_duet.dev.client import Client
from wan_duet.tests.browser.editor import Editor
from wan_duet.tests.data.object_info import Info, inputs, ours


@pytest.fixture(scope="module")
def nodes(client: Client) -> Info:
    """The pack's nodes as the frontend hears of them."""
    info = client.object_info()
    return {name: info[name] for name in ours(info)}


def test_every_node_has_a_help_page_that_names_its_inputs_and_outputs(editor: Editor, nodes: Info) -> None:
    for name, node in nodes.items():
        folder = node["python_module"].split(".")[1]  # as the frontend makes the address
        answer = editor.page.request.get(f"{editor.client.url}/extensions/{folder}/docs/{name}.md")
        assert answer.ok, name
        page = answer.text()
        assert [item for item in (*inputs(node), *node["output_name"]) if f"**{item}**" not in page] == [], name


@pytest.mark.parametrize(("language", "title"), [("zh", "加载专家模型"), ("fr", "Load Experts")])
def test_a_reader_is_given_the_help_page_in_their_language_or_english(
    editor: Editor, client: Client, language: str, title: str
) -> None:
    browser = editor.page.context.browser
    assert browser
    with closing(browser.new_page()) as page:
        assert Editor(page, client, language).help_title("WanDuet_LoadExperts") == title


def test_every_text_of_every_node_is_translated(client: Client, nodes: Info) -> None:
    translated = client.request("/i18n")["zh"]["nodeDefs"]
    assert translated.keys() == nodes.keys()
    for name, node in nodes.items():
        assert translated[name]["display_name"] and translated[name]["description"]
        assert list(translated[name]["inputs"]) == list(inputs(node))
        assert list(translated[name]["outputs"]) == [str(index) for index in range(len(node["output"]))]
        texts = [*translated[name]["inputs"].values(), *translated[name]["outputs"].values()]
        assert all(text["name"] and text["tooltip"] for text in texts), name


@pytest.mark.parametrize(
    ("node", "folded"),
    [
        ("WanDuet_LoadExperts", ["allow_same_file"]),
        ("WanDuet_StagePlan", ["boundary", "strength_mode"]),
        ("WanDuet_Preset", []),
    ],
)
def test_rarely_used_widgets_arrive_as_advanced(editor: Editor, node: str, folded: list[str]) -> None:
    assert editor.advanced(node) == folded


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("wan 2.2", "WanDuet_LoadExperts"),
        ("high noise", "WanDuet_LoadExperts"),
        ("block swap", "WanDuet_LoadExperts"),
        ("unload", "WanDuet_LoadExperts"),
        ("moe", "WanDuet_Sampler"),
        ("dual sampler", "WanDuet_Guider"),
        ("power lora", "WanDuet_Lora"),
        ("lora stack", "WanDuet_ApplyLoras"),
        ("lightning", "WanDuet_Preset"),
        ("flf2v", "WanDuet_FrameConditioning"),
        ("first last frame", "WanDuet_FrameImage"),
        ("v2v", "WanDuet_VideoToLatent"),
        ("tea cache", "WanDuet_TeaCache"),
        ("easycache", "WanDuet_MagCache"),
        ("dwpose", "WanDuet_DetectPose"),
        ("video combine", "WanDuet_SaveVideo"),
    ],
)
def test_the_words_that_people_type_find_a_node(nodes: Info, typed: str, found: str) -> None:
    if "search_aliases" not in nodes[found]:
        pytest.skip("this ComfyUI's nodes have no search aliases")
    assert any(typed in alias.lower() for alias in nodes[found]["search_aliases"])
