// A new node of a remote provider keeps its seed: with another one in every run, every run would be paid.
import { app } from "../../scripts/app.js";

app.registerExtension({
    name: "WanDuet.Seeds",
    nodeCreated(node) {
        if (!node.widgets?.some(widget => widget.name === "allow_paid")) return;
        const control = node.widgets.find(widget => widget.name === "seed")?.linkedWidgets?.[0];
        if (control) control.value = "fixed";
    },
});
