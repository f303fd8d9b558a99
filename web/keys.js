// The keys of the remote providers among ComfyUI's settings: written, never shown, and kept out of the settings file.
import { app } from "../../scripts/app.js";
import { PROVIDERS, row } from "./guarded_field.js";

const field = provider => ({ type: "password", placeholder: "Paste a key", ariaLabel: `${PROVIDERS[provider]} key` });

app.registerExtension({
    name: "WanDuet.Keys",
    settings: Object.keys(PROVIDERS).map(provider => ({
        id: `WanDuet.Keys.${provider}`,
        name: `${PROVIDERS[provider]} key`,
        category: ["Wan Duet", "Keys of remote providers", PROVIDERS[provider]],
        tooltip: "Kept in keys.json, which no page can read. Save an empty field to remove the key.",
        type: () => row("/wan_duet/keys", provider, "key", field(provider), isSet => isSet ? "set" : "not set"),
    })),
});
