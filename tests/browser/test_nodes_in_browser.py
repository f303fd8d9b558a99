"""What the frontend is given with each node: its help page, its translation, and which widgets to fold away."""

import json
from contextlib import closing

import pytest
from wan_duet.dev.client import Client
from wan_duet.tests.browser.editor import Editor
from wan_duet.tests.browser.shipped import SHIPPED
from wan_duet.tests.data.object_info import Info, inputs, options, ours


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


PAID = "Wan Duet/Paid services"
REMOTE = ["remote_fal_image_to_video", "remote_runware_turbo", "remote_rivya_turbo"]
WORDS = [  # that a name holds: a host without search aliases finds them too
    *("wan 2.2", "high noise", "wan video sampler", "wan sampler", "ksampler", "lora", "wan lora", "first last frame"),
    *("frame image", "image to video", "animate", "wan animate", "pose", "teacache", "save video"),
]
TASKS = ["video to video", "wan video", "wan"]  # the words are in the ids of paid nodes too, which no name outweighs


@pytest.mark.parametrize(
    ("language", "title"),
    [("zh", "Wan 2.2 视频尺寸"), ("fr", "Wan 2.2 Video Size")],
)
def test_a_reader_is_given_the_help_page_in_their_language_or_english(
    editor: Editor, client: Client, language: str, title: str
) -> None:
    browser = editor.page.context.browser
    assert browser
    with closing(browser.new_page()) as page:
        assert Editor(page, client, language).help_title("WanDuet_Size") == title


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
        ("WanDuet_StagePlan", ["strength", "boundary", "strength_mode"]),
        ("WanDuet_Preset", []),
    ],
)
def test_rarely_used_widgets_arrive_as_advanced(editor: Editor, node: str, folded: list[str]) -> None:
    assert editor.advanced(node) == folded


@pytest.mark.parametrize(
    ("node", "values", "price"),
    [
        ("WanDuet_FalImageToVideo", {"variant": "A14B Turbo", "resolution": "480p"}, "est. $0.05/video"),
        ("WanDuet_FalImageToVideo", {"variant": "A14B"}, "est. $0.08/s"),  # fal's default is 720p
        ("WanDuet_FalImageToVideo", {"variant": "5B"}, None),
        ("WanDuet_RunwareWan22Animate", {"resolution": "720p"}, "est. $0.0212/s"),
        ("WanDuet_RunwareWan22Animate", {"resolution": "720p", "model": "other:1@1"}, None),
        ("WanDuet_RunwareWan22Turbo", {"resolution": "720p"}, None),
    ],
)
def test_a_provider_node_shows_its_price_where_it_is_documented(
    editor: Editor, node: str, values: dict[str, str], price: str | None
) -> None:
    editor.put(node, **values)
    assert [badge for badge in editor.badges() if badge.startswith("est.")] == ([price] if price else [])


@pytest.mark.parametrize(("node", "control"), [("WanDuet_FalTextToVideo", "fixed"), ("WanDuet_Sampler", "randomize")])
def test_a_new_node_changes_its_seed_by_itself_only_where_that_costs_nothing(
    editor: Editor, node: str, control: str
) -> None:
    editor.put(node)
    assert editor.value("control_after_generate") == control
    editor.put(node, seed=5)
    editor.set("control_after_generate", "increment")
    editor.load(editor.save())  # what was chosen stays chosen
    assert (editor.value("control_after_generate"), editor.value("seed")) == ("increment", 5)


@pytest.mark.parametrize("name", REMOTE)
def test_a_graph_from_before_the_seed_had_a_control_asks_for_the_same(editor: Editor, nodes: Info, name: str) -> None:
    """Otherwise the prompt that follows allow_paid would decide whether somebody pays."""
    graph = json.loads((SHIPPED / f"{name}.json").read_text(encoding="utf-8"))
    editor.load(graph)
    expected = editor.prompt()
    for node in graph["nodes"]:
        if "allow_paid" in inputs(nodes.get(node["type"], {"input": {}})):
            assert node["widgets_values"].count("fixed") == 1
            node["widgets_values"].remove("fixed")
    editor.load(graph)
    assert editor.prompt() == expected


def test_the_price_that_is_seen_follows_what_is_chosen(editor: Editor) -> None:
    editor.put("WanDuet_FalAnimate", resolution="480p")
    editor.render(vue=True)
    editor.page.get_by_text("est. $0.04/s").wait_for()
    editor.set("resolution", "720p")
    editor.page.get_by_text("est. $0.08/s").wait_for()
    editor.render(vue=False)


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("wan2.2", "WanDuet_LoadExperts"),
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


def test_a_widget_is_called_by_its_label_on_every_frontend(editor: Editor, client: Client, nodes: Info) -> None:
    """Older frontends read no display_name, but the English texts of a pack."""
    labelled = {
        name: {key: options(it).get("display_name") for key, it in inputs(nodes[name]).items()} for name in nodes
    }
    english = {name: {"inputs": found} for name, node in labelled.items() if (found := _texts(node))}
    assert client.request("/i18n")["en"]["nodeDefs"] == english
    assert {"shift (0: model's own)", "boundary (0: model's own)"} <= set(editor.labels("WanDuet_StagePlan"))


def _texts(labels: dict[str, str | None]) -> dict[str, dict[str, str]]:
    return {key: {"name": label} for key, label in labels.items() if label}


@pytest.mark.parametrize("typed", WORDS)
def test_no_paid_node_stands_above_a_local_one_in_the_node_search(editor: Editor, nodes: Info, typed: str) -> None:
    ours = {node["display_name"]: node["category"] for node in nodes.values()}
    paid = [ours[title] == PAID for title in editor.search(typed) if title in ours]
    assert not all(paid), "nothing local is found"
    assert paid == sorted(paid)


@pytest.mark.parametrize("typed", TASKS)
def test_the_first_of_ours_is_a_local_node(editor: Editor, nodes: Info, typed: str) -> None:
    ours = {node["display_name"]: node["category"] for node in nodes.values()}
    assert next(ours[title] for title in editor.search(typed) if title in ours) != PAID


@pytest.mark.parametrize("typed", ["fal", "runware", "rivya"])
def test_the_paid_nodes_are_found_by_the_name_of_their_provider(editor: Editor, nodes: Info, typed: str) -> None:
    paid = {node["display_name"] for node in nodes.values() if typed in node["display_name"].lower()}
    assert paid and paid <= set(editor.search(typed))
