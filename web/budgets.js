// What may be spent a day at each remote provider, among ComfyUI's settings: kept by the server, out of every graph.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";

const PROVIDERS = { runware: "Runware", fal: "fal", rivya: "Rivya" };
const UNITS = { runware: "USD", fal: "USD", rivya: "credits" };

async function ask(options) {
    const answer = await api.fetchApi("/wan_duet/budgets", options);
    if (answer.status === 404) throw new Error("Switched off on this server.");
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.error);
    return said;
}

function row(provider) {
    const field = Object.assign(document.createElement("input"), {
        type: "number", min: "0", step: "any", ariaLabel: `${PROVIDERS[provider]} budget a day`,
    });
    const code = Object.assign(document.createElement("input"), {
        autocomplete: "off", placeholder: "Code in the server's terminal", ariaLabel: `${PROVIDERS[provider]} code`,
        hidden: true,
    });
    const button = Object.assign(document.createElement("button"), { textContent: "Save" });
    const state = document.createElement("span");
    const box = document.createElement("div");
    box.style.cssText = "display: flex; gap: 8px; align-items: center";
    field.style.cssText = code.style.cssText = "width: 8em; padding: 6px 8px; border: 1px solid var(--border-color); border-radius: 6px; "
        + "background: var(--comfy-input-bg); color: var(--input-text)";
    button.style.cssText = "padding: 6px 12px; border-radius: 6px; background: var(--comfy-input-bg); "
        + "border: 1px solid var(--border-color); color: var(--input-text); cursor: pointer";
    const show = async asked => {
        code.hidden = true;
        try {
            const said = await asked;
            if ("wanted" in said) {
                code.hidden = false;
                state.textContent = said.wanted;
                return;
            }
            const { budget, used, fixed } = said[provider];
            field.value = budget;
            field.disabled = button.disabled = fixed;
            state.textContent = `${Math.max(budget - used, 0).toPrecision(4) * 1} left today`
                + (fixed ? ", set by the environment" : "");
        } catch (error) {
            state.textContent = error.message;
        }
    };
    button.onclick = async () => {
        const body = JSON.stringify({ provider, budget: field.value, code: code.value });
        code.value = "";
        await show(ask({ method: "POST", headers: { "Content-Type": "application/json" }, body }));
    };
    show(ask());
    box.append(state, field, code, button);
    return box;
}

app.registerExtension({
    name: "WanDuet.Budgets",
    settings: Object.keys(PROVIDERS).map(provider => ({
        id: `WanDuet.Budgets.${provider}`,
        name: `${PROVIDERS[provider]} budget a day, in ${UNITS[provider]}`,
        category: ["Wan Duet", "Budgets of remote providers", PROVIDERS[provider]],
        tooltip: "The most that all graphs together may spend there a day (UTC). 0: nothing is paid.",
        type: () => row(provider),
    })),
});
