// The keys of the remote providers among ComfyUI's settings: written, never shown, and kept out of the settings file.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";

const PROVIDERS = { runware: "Runware", fal: "fal", rivya: "Rivya" };

async function ask(options) {
    const answer = await api.fetchApi("/wan_duet/keys", options);
    if (answer.status === 404) throw new Error("Switched off on this server.");
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.error);
    return said;
}

function row(provider) {
    const field = Object.assign(document.createElement("input"), {
        type: "password", autocomplete: "off", placeholder: "Paste a key", ariaLabel: `${PROVIDERS[provider]} key`,
    });
    const code = Object.assign(document.createElement("input"), {
        autocomplete: "off", placeholder: "Code in the server's terminal", ariaLabel: `${PROVIDERS[provider]} code`,
        hidden: true,
    });
    const button = Object.assign(document.createElement("button"), { textContent: "Save" });
    const state = document.createElement("span");
    const box = document.createElement("div");
    box.style.cssText = "display: flex; gap: 8px; align-items: center";
    field.style.cssText = code.style.cssText = "padding: 6px 8px; border: 1px solid var(--border-color); border-radius: 6px; "
        + "background: var(--comfy-input-bg); color: var(--input-text)";
    button.style.cssText = "padding: 6px 12px; border-radius: 6px; background: var(--comfy-input-bg); "
        + "border: 1px solid var(--border-color); color: var(--input-text); cursor: pointer";
    state.style.minWidth = "5em";
    const show = async asked => {
        let wantsCode = false;
        try {
            const said = await asked;
            wantsCode = "wanted" in said;
            state.textContent = said.wanted ?? (said[provider] ? "set" : "not set");
        } catch (error) {
            state.textContent = error.message;
        }
        if (!wantsCode) field.value = "";
        code.hidden = !wantsCode;
    };
    button.onclick = async () => {
        const body = JSON.stringify({ provider, key: field.value, code: code.value });
        code.value = "";
        await show(ask({ method: "POST", headers: { "Content-Type": "application/json" }, body }));
    };
    show(ask());
    box.append(state, field, code, button);
    return box;
}

app.registerExtension({
    name: "WanDuet.Keys",
    settings: Object.keys(PROVIDERS).map(provider => ({
        id: `WanDuet.Keys.${provider}`,
        name: `${PROVIDERS[provider]} key`,
        category: ["Wan Duet", "Keys of remote providers", PROVIDERS[provider]],
        tooltip: "Kept in keys.json, which no page can read. Save an empty field to remove the key.",
        type: () => row(provider),
    })),
});
