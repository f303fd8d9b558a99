// The price of one second or one video on the nodes of the remote providers, where it is documented.
import { app } from "../../scripts/app.js";

const prices = await (await fetch(new URL("prices.json", import.meta.url))).json();

function tag(node, prices) {
    const choice = name => node.widgets.find(widget => widget.name === name)?.value;
    const linked = name => node.inputs.some(input => input.widget?.name === name && input.link != null);
    if (["variant", "model", "resolution"].some(linked)) return ""; // decided elsewhere
    return prices[choice("variant") ?? choice("model") ?? ""]?.[choice("resolution")] ?? "";
}

app.registerExtension({
    name: "WanDuet.Prices",
    nodeCreated(node) {
        const known = prices[node.comfyClass];
        if (known) node.badges?.push(() => new window.LGraphBadge({ text: tag(node, known) }));
    },
});
