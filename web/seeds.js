// The seed of a remote provider's node stays as it is: with another one in every run, every run would be paid.
import { app } from "../../scripts/app.js";

const CONTROLS = ["fixed", "increment", "decrement", "randomize", "increment-wrap"];

const isPaid = node => node?.widgets?.some(widget => widget.name === "allow_paid");

/** Graphs saved before the seed had a control lack its value: every later one would be taken for its neighbour's. */
function addControl(saved) {
    const values = saved.widgets_values;
    if (!saved.type?.startsWith("WanDuet_") || !Array.isArray(values)) return;
    const node = window.LiteGraph.createNode(saved.type);
    if (!isPaid(node)) return;
    const at = node.widgets.findIndex(widget => widget.name === "seed") + 1;
    if (at && values.length >= at && !CONTROLS.includes(values[at])) values.splice(at, 0, "fixed");
}

app.registerExtension({
    name: "WanDuet.Seeds",
    nodeCreated(node) {
        if (!isPaid(node)) return;
        const control = node.widgets.find(widget => widget.name === "seed")?.linkedWidgets?.[0];
        if (control) control.value = "fixed";
    },
    beforeConfigureGraph(graph) {
        for (const { nodes } of [graph, ...(graph.definitions?.subgraphs ?? [])]) nodes?.forEach(addControl);
    },
});
