"""ComfyUI's own frontend in a headless browser, used as a person would: open, load, queue, save."""

import re
from itertools import count
from pathlib import Path
from typing import Any

from playwright.sync_api import ConsoleMessage, Page
from wan_duet.dev.client import Client, Prompt

# Served in place of the stored ones, so that a test changes nobody's editor.
SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.Graph.CanvasInfo": False,
    "Comfy.Graph.CanvasMenu": False,
    "Comfy.Minimap.Visible": False,
    "LiteGraph.Canvas.MinFontSizeForLOD": 0,  # a picture of the whole graph shows its texts
}
# Errors of the frontend itself: it asks its registry about every pack, which a server with --disable-api-nodes forbids,
# and 1.49 sometimes takes the veil before a page that loads away twice.
ITS_OWN = ("Content Security Policy", "removeMask")
SEARCH_BOX = re.compile("Search Nodes|Add a node")  # the older frontend, the newer
MENU_HEIGHT = 50  # one button stays when the frontend hides its menus

READY = """() => window.app?.extensionManager && window.app.canvas?.graph
    && Object.keys(window.LiteGraph?.registered_node_types ?? {}).length > 50"""
LOAD = """async ([workflow, name]) => {
    const {toast} = app.extensionManager;
    (toast.dismissAll ?? toast.removeAll)();  // the newer name first
    await app.loadGraphData(workflow, true, true, name);
}"""
VUE = "Comfy.VueNodes.Enabled"
DRAWN = """vue => app.graph.nodes.every(
    node => Boolean(document.querySelector(`[data-node-id="${node.id}"]`)) === vue)"""
NODES = """() => app.graph.nodes.map(node => ({
    title: node.title, type: node.type, virtual: Boolean(node.isVirtualNode),
    broken: Boolean(node.has_errors) || !(node.type in LiteGraph.registered_node_types),
    box: (() => {
        const drawn = document.querySelector(`[data-node-id="${node.id}"]`)?.getBoundingClientRect();
        if (!drawn) return [
            node.pos[0], node.pos[1] - LiteGraph.NODE_TITLE_HEIGHT,
            node.size[0], Math.max(node.size[1], node.computeSize()[1]) + LiteGraph.NODE_TITLE_HEIGHT];
        const {scale, offset} = app.canvas.ds, canvas = app.canvas.canvas.getBoundingClientRect();
        return [(drawn.left - canvas.left) / scale - offset[0], (drawn.top - canvas.top) / scale - offset[1],
                drawn.width / scale, drawn.height / scale];
    })(),
}))"""
SHOW_ADVANCED = """shown => {
    for (const node of app.graph.nodes.filter(
            node => node.widgets?.some(widget => widget.options.advanced) && Boolean(node.showAdvanced) !== shown))
        LiteGraph.vueNodesMode ? node.showAdvanced = shown : node.toggleAdvanced();
}"""
ADVANCED = """type => LiteGraph.createNode(type).widgets.filter(
    widget => widget.options.advanced).map(widget => widget.name)"""
LABELS = "type => LiteGraph.createNode(type).widgets.map(widget => widget.label ?? widget.name)"
SELECT_ONLY_NODE = """values => {
    const [node] = app.graph.nodes;
    for (const widget of node.widgets.filter(widget => widget.name in values)) widget.value = values[widget.name];
    app.canvas.ds.reset();
    app.canvas.selectItems([node]);
}"""
BADGES = """() => app.graph.nodes.flatMap(node => node.badges).map(
    badge => (badge instanceof Function ? badge() : badge).text).filter(text => text)"""
SET = """([name, value]) => {
    const widget = app.graph.nodes.flatMap(node => node.widgets).find(widget => widget.name === name);
    widget.value = value;
    widget.callback?.(value);
}"""
SEARCH = "() => app.extensionManager.command.execute('Workspace.SearchBox.Toggle')"
FOUND = """() => [...document.querySelectorAll("[role=option]")].map(
    option => option.innerText.split("\\n")[0].trim()).filter(title => title)"""
VALUE = "name => app.graph.nodes.flatMap(node => node.widgets).find(widget => widget.name === name).value"
SETTLE = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
ALERTS = """() => [...document.querySelectorAll("[role=dialog], [role=alert]")].map(
    box => box.innerText).filter(text => text)"""
LIMIT = """values => {
    for (const node of app.graph.nodes) {
        (node.inputs ?? []).forEach((input, slot) => { if (input.widget?.name in values) node.disconnectInput(slot); });
        for (const widget of (node.widgets ?? []).filter(widget => widget.name in values))
            widget.value = Math.min(widget.value, values[widget.name]);
    }
}"""
QUEUE_PREVIEWS = """() => {
    const needs = (node, type) => node.type === type || node.inputs.some(
        (_, slot) => node.getInputNode(slot) && needs(node.getInputNode(slot), type));
    app.canvas.selectItems(app.graph.nodes.filter(
        node => node.type === "PreviewAny" && !needs(node, "VAELoader") && !needs(node, "WanDuet_Sampler")));
    return app.extensionManager.command.execute("Comfy.QueueSelectedOutputNodes");
}"""
PREVIEWS = """() => app.graph.nodes.filter(node => node.type === "PreviewAny").map(
    node => node.widgets.find(widget => ["preview", "preview_text"].includes(widget.name))).map(
    widget => [widget.value, widget.element?.innerText ?? [...document.querySelectorAll("textarea")].find(
        area => area.value === widget.value)?.value])"""
SHOW_WHOLE = """([left, top, right, bottom, menu]) => {
    const view = app.canvas.ds;
    app.canvas.deselectAll();
    view.scale = Math.min(innerWidth / (right - left), (innerHeight - menu) / (bottom - top));
    view.offset = [-left, menu / view.scale - top];
    app.canvas.setDirty(true, true);
    return {x: 0, y: menu, width: (right - left) * view.scale, height: (bottom - top) * view.scale};
}"""


class Editor:
    """The open frontend. `errors` are those it has logged since the last `load`."""

    def __init__(self, page: Page, client: Client, language: str = "en") -> None:
        self.page = page
        self.client = client
        self.errors: list[str] = []
        self._names = count()
        page.on("pageerror", lambda error: self._hear(str(error), str(error.stack)))
        page.on("console", self._hear_console)
        settings = {**SETTINGS, "Comfy.Locale": language}
        page.route(re.compile("/api/settings"), lambda route: route.fulfill(json=settings))
        page.goto(client.url, wait_until="domcontentloaded")
        page.wait_for_function(READY, timeout=90_000)
        self._toggle_menus()

    def load(self, workflow: dict[str, Any]) -> None:
        """Open a UI-format workflow in a tab of its own: a tab that is opened anew shows its former results."""
        self.errors.clear()
        self.render(vue=False)
        self.page.evaluate(LOAD, [workflow, f"test {next(self._names)}"])

    def render(self, *, vue: bool) -> None:
        """Have the nodes drawn in the frontend's new way, as elements of the page, or on the canvas."""
        self.page.evaluate("([name, on]) => app.extensionManager.setting.set(name, on)", [VUE, vue])
        self.page.wait_for_function(DRAWN, arg=vue)
        self.page.evaluate(SETTLE)

    def show_advanced(self, *, shown: bool) -> None:
        """Unfold, or fold away, the advanced inputs of every node that has some."""
        self.page.evaluate(SHOW_ADVANCED, shown)
        self.page.evaluate(SETTLE)

    def save(self) -> dict[str, Any]:
        """What the frontend would write to a file."""
        return self.page.evaluate("() => JSON.parse(JSON.stringify(app.graph.serialize()))")

    def prompt(self) -> Prompt:
        """The API form that queueing would send."""
        return self.page.evaluate("async () => (await app.graphToPrompt()).output")

    def nodes(self) -> list[dict[str, Any]]:
        """Every node: what it is, whether it is broken, and the box (x, y, width, height) it takes up."""
        return self.page.evaluate(NODES)

    def advanced(self, node_type: str) -> list[str]:
        """The widgets of a node that the frontend may fold away."""
        return self.page.evaluate(ADVANCED, node_type)

    def labels(self, node_type: str) -> list[str]:
        """The labels of a node's widgets."""
        return self.page.evaluate(LABELS, node_type)

    def put(self, node_type: str, **values: Any) -> None:
        """Open a graph of one node, selected, with these values of its widgets."""
        node = {"id": 1, "type": node_type, "pos": [600, 400], "size": [400, 300]}
        self.load({"version": 0.4, "nodes": [node], "links": []})
        self.page.evaluate(SELECT_ONLY_NODE, values)

    def set(self, widget: str, value: Any) -> None:
        """Choose a value in the first node that has such a widget."""
        self.page.evaluate(SET, [widget, value])

    def value(self, widget: str) -> Any:
        """The value of a widget, in the first node that has it."""
        return self.page.evaluate(VALUE, widget)

    def help_title(self, node_type: str) -> str:
        """Put a node of this type on the canvas, press its info button, and return the title of the page that opens."""
        self._toggle_menus()  # the page opens in one of them
        self.put(node_type)
        self.page.get_by_test_id("info-button").click()
        return self.page.locator(".node-help-content h1").inner_text()

    def search(self, typed: str) -> list[str]:
        """Type in the node search, and return the titles that are offered, the best first."""
        self.page.evaluate(SEARCH)
        box = self.page.get_by_placeholder(SEARCH_BOX)
        box.fill("")
        box.press_sequentially(typed)
        found, before = self.page.evaluate(FOUND), None
        while found != before:
            self.page.wait_for_timeout(400)  # the box waits for the next letter before it searches
            found, before = self.page.evaluate(FOUND), found
        self.page.evaluate(SEARCH)
        box.wait_for(state="hidden")
        return found

    def badges(self) -> list[str]:
        """The texts of all nodes' badges."""
        return self.page.evaluate(BADGES)

    def alerts(self) -> list[str]:
        """The text of every dialog and notice that is open."""
        return self.page.evaluate(ALERTS)

    def limit(self, **values: int) -> None:
        """Hold every widget of these names to at most these values; a link in its place would decide, and goes."""
        self.page.evaluate(LIMIT, values)

    def queue(self) -> None:
        """Press Run, and wait until the previews show what came of it."""
        self._queue("() => app.queuePrompt(0, 1)", "every")

    def queue_previews(self) -> None:
        """Select the PreviewAny nodes, but for those that wait for a VAE or a run, and run only what they need."""
        self._queue(QUEUE_PREVIEWS, "some")

    def previews(self) -> list[tuple[str, str]]:
        """For each PreviewAny that was given a text: the text, and what a reader sees of it."""
        return [(text, seen) for text, seen in self.page.evaluate(PREVIEWS) if text]

    def picture(self, file: Path) -> None:
        """Save the whole graph as a JPEG."""
        boxes = [node["box"] for node in self.nodes()] + [group["bounding"] for group in self.save()["groups"]]
        left, top = (min(box[side] for box in boxes) - 20 for side in (0, 1))
        right, bottom = (max(box[side] + box[side + 2] for box in boxes) + 20 for side in (0, 1))
        clip = self.page.evaluate(SHOW_WHOLE, [left, top, right, bottom, MENU_HEIGHT])
        self.page.locator(".selection-toolbox").wait_for(state="hidden")
        self.page.wait_for_timeout(500)  # the canvas, and the text boxes that lie over it, follow some frames later
        self.page.screenshot(path=file, type="jpeg", quality=85, clip=clip)

    def _toggle_menus(self) -> None:
        self.page.evaluate("() => app.extensionManager.command.execute('Workspace.ToggleFocusMode')")

    def _queue(self, script: str, told: str) -> None:
        with self.page.expect_response("**/api/prompt") as sent:
            self.page.evaluate(script)
        self.client.wait(sent.value.json()["prompt_id"])
        self.page.wait_for_function(f"() => ({PREVIEWS})().{told}(([text]) => text)")

    def _hear_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._hear(f"{message.text} ({message.location['url']})")

    def _hear(self, error: str, stack: str = "") -> None:
        if not any(own in error + stack for own in ITS_OWN):
            self.errors.append(error)
