// What may be spent a day at each remote provider, among ComfyUI's settings.
import { app } from "../../scripts/app.js";
import { PROVIDERS, row } from "./guarded_field.js";

const UNITS = { runware: "USD", fal: "USD", rivya: "credits" };
const amount = provider => ({ type: "number", min: "0", step: "any", ariaLabel: `${PROVIDERS[provider]} budget a day` });

function tell({ budget, used, fixed }, field, button) {
    field.value = budget;
    field.disabled = button.disabled = fixed;
    return `${Math.max(budget - used, 0).toPrecision(4) * 1} left today` + (fixed ? ", set by the environment" : "");
}

app.registerExtension({
    name: "WanDuet.Budgets",
    settings: Object.keys(PROVIDERS).map(provider => ({
        id: `WanDuet.Budgets.${provider}`,
        name: `${PROVIDERS[provider]} budget a day, in ${UNITS[provider]}`,
        category: ["Wan Duet", "Budgets of remote providers", PROVIDERS[provider]],
        tooltip: "The most that all graphs together may spend there a day (UTC). 0: nothing is paid.",
        type: () => row("/wan_duet/budgets", provider, "budget", amount(provider), tell),
    })),
});
