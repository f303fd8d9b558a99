"""The room that each node of a workflow has, whichever way the frontend draws it.

In a file of its own: an early frontend does not draw on the canvas as before once it has drawn in its new way.
"""

from itertools import combinations, product

import pytest
from wan_duet.tests.browser.editor import Editor
from wan_duet.tests.browser.shipped import FREE, PAID

Box = list[float]


def overlap(a: Box, b: Box) -> bool:
    return all(a[side] < b[side] + b[side + 2] and b[side] < a[side] + a[side + 2] for side in (0, 1))


def inside(inner: Box, outer: Box) -> bool:
    return all(
        outer[side] <= inner[side] and inner[side] + inner[side + 2] <= outer[side] + outer[side + 2] for side in (0, 1)
    )


@pytest.mark.parametrize("name", FREE, indirect=True)
def test_nodes_lie_apart_and_each_in_a_group_after_a_run(ran: Editor) -> None:
    check_layout(ran)


@pytest.mark.parametrize("name", PAID, indirect=True)
def test_nodes_lie_apart_and_each_in_a_group_where_a_run_is_paid(opened: Editor) -> None:
    check_layout(opened)


def check_layout(editor: Editor) -> None:
    """No node lies over another one, and each lies in a group, however it is drawn and with all of its inputs."""
    for vue, advanced in product((False, True), repeat=2):
        editor.render(vue=vue)
        editor.show_advanced(shown=advanced)
        nodes = editor.nodes()
        groups = [group["bounding"] for group in editor.save()["groups"]]
        over = [(a["title"], b["title"]) for a, b in combinations(nodes, 2) if overlap(a["box"], b["box"])]
        working = [node for node in nodes if not node["virtual"]]
        outside = [node["title"] for node in working if not any(inside(node["box"], group) for group in groups)]
        assert (over, outside) == ([], []), f"{vue=}, {advanced=}"
