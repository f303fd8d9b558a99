// A row of the settings page whose value the server keeps, out of every graph: it asks for the code in the terminal.
import { api } from "../../scripts/api.js";

export const PROVIDERS = { runware: "Runware", fal: "fal", rivya: "Rivya" };

async function ask(path, options) {
    const answer = await api.fetchApi(path, options);
    if (answer.status === 404) throw new Error("Switched off on this server.");
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.error);
    return said;
}

function styled(tag, properties) {
    const element = Object.assign(document.createElement(tag), properties);
    element.style.cssText = "padding: 6px 8px; border: 1px solid var(--border-color); border-radius: 6px; "
        + "background: var(--comfy-input-bg); color: var(--input-text)";
    return element;
}

/** The row of a provider at the route `path`, where its value is called `name`; `tell` says in words what is kept. */
export function row(path, provider, name, properties, tell) {
    const field = styled("input", { autocomplete: "off", ...properties });
    const code = styled("input", {
        autocomplete: "off", placeholder: "Code in the server's terminal", ariaLabel: `${PROVIDERS[provider]} code`,
    });
    const button = styled("button", { textContent: "Save" });
    button.style.cursor = "pointer";
    const state = document.createElement("span");
    state.style.minWidth = "5em";
    let newest = 0;
    const show = async asked => {
        const own = ++newest;
        code.hidden = true;
        const [said, error] = await asked.then(said => [said], error => [null, error]);
        if (own !== newest) return; // somebody has saved while the first look was under way
        code.hidden = !said?.wanted;
        state.textContent = error?.message ?? said.wanted ?? tell(said[provider], field, button);
        if (code.hidden && field.type === "password") field.value = "";
    };
    button.onclick = async () => {
        const body = JSON.stringify({ provider, [name]: field.value, code: code.value });
        code.value = "";
        await show(ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body }));
    };
    show(ask(path));
    const box = document.createElement("div");
    box.style.cssText = "display: flex; gap: 8px; align-items: center";
    box.append(state, field, code, button);
    return box;
}
