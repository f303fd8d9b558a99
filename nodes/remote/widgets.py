"""The widget of a field: a combo, a number, a switch or a text, each with a way to leave it to the provider."""

from collections.abc import Mapping
from typing import Any

from comfy_api.latest import io

from ...remote.contract.contracts import Parameter
from ..schema import advanced
from .fields import DEFAULT, DELIVERY, EXPLICIT, LARGEST_SEED, OFF, ON, UNSET, Field
from .files import LARGE_IMAGES
from .tooltips import CONSENT, LOGS, WORDS

UNLIMITED = 100_000  # where no maximum is documented
MULTILINE = ("prompt", "negative_prompt")
ON_INTERRUPT = ("cancel if queued", "cancel", "keep")


def widget(field: Field, *, shown: bool) -> Any:
    """The input of a field; one that is not `shown` is folded away."""
    kind, options = _widget(field)
    common = {"tooltip": _tooltip(field), "optional": not shown}
    made = kind.Input(field.name, **common, **options)
    return made if shown else advanced(made)


def _widget(field: Field) -> tuple[Any, dict[str, Any]]:
    one = field.one
    if field.path in EXPLICIT:
        return io.Boolean, {"default": EXPLICIT[field.path]}
    if field.name == "seed":
        most = min(field.bound("max") or LARGEST_SEED, LARGEST_SEED)
        return io.Int, {"default": 0, "min": UNSET, "max": int(most), "control_after_generate": True}
    if field.name == "number_results":
        return io.Int, {"default": 1, "min": 1, "max": int(field.bound("max") or UNLIMITED)}
    if choices := field.choices or ([ON, OFF] if "boolean" in one.types else []):
        return io.Combo, {"options": [DEFAULT, *choices], "default": DEFAULT}
    if "string" in one.types:
        return io.String, {"default": one.const or "", "multiline": field.name in MULTILINE}
    most = UNLIMITED if (bound := field.bound("max")) is None else bound
    if _is_whole(one):
        return io.Int, {"default": UNSET, "min": UNSET, "max": int(most)}
    return io.Float, {"default": float(UNSET), "min": float(UNSET), "max": float(most), "step": one.step or 0.01}


def _is_whole(parameter: Parameter) -> bool:
    return "integer" in parameter.types or ("number" in parameter.types and parameter.step == 1)


def _tooltip(field: Field) -> str:
    return " ".join([WORDS[field.name], *_range(field), *_default(field), *_variants(field)])


def _range(field: Field) -> list[str]:
    low, high, one = field.bound("min"), field.bound("max"), field.one
    said = []
    if low is not None and high is not None and field.name != "seed":
        multiple = f", a multiple of {one.multiple_of}" if one.multiple_of else ""
        said.append(f"{low:g} to {high:g}{multiple}.")
    if one.max_length is not None:
        said.append(f"Up to {one.max_length} characters.")
    return said


def _default(field: Field) -> list[str]:
    """The provider's documented default: when nothing is set, nothing is sent."""
    if field.path in EXPLICIT or field.path in DELIVERY or field.required or field.name in ("seed", "number_results"):
        return []
    documented = dict.fromkeys(_plain(p.default) for p in field.variants.values() if p.default not in (None, ""))
    value = f" ({' or '.join(documented)})" if documented else ""
    if field.choices or "boolean" in field.one.types:
        return [f"Not sent unless set{value}."]
    how = "Empty" if "string" in field.one.types else UNSET
    return [f"{how}: the provider's default{value}."]


def _variants(field: Field) -> list[str]:
    """The variants of the node that have the parameter, if not all, in the shorter way."""
    if not field.others:
        return []
    few = len(field.variants) < len(field.others)
    return [f"Only in {', '.join(field.variants)}." if few else f"Not in {', '.join(field.others)}."]


def large_images() -> Any:
    """The input by which a person agrees to what a provider's limit makes of a large image."""
    options = {"options": list(LARGE_IMAGES), "default": LARGE_IMAGES[0]}
    return advanced(io.Combo.Input("large_images", tooltip=CONSENT["large_images"], optional=True, **options))


def logs() -> Any:
    """The input by which a person asks for what the model writes while it works."""
    return advanced(io.Boolean.Input("logs", default=False, tooltip=LOGS, optional=True))


def _plain(value: Any) -> str:
    return {True: ON, False: OFF}[value] if isinstance(value, bool) else f"{value}"


def consent(currency: str, *, uploads: bool) -> tuple[list[Any], list[Any]]:
    """The inputs by which a person agrees to a job: those that are shown, and those that are folded away."""
    shown = [io.Boolean.Input("allow_paid", default=False, tooltip=CONSENT["allow_paid"])]
    if uploads:
        shown.append(io.Boolean.Input("allow_upload", default=False, tooltip=CONSENT["allow_upload"]))
    most: Mapping[str, Any] = {"default": 0.0, "min": 0.0, "max": 10_000.0, "step": 0.01}
    folded = [
        io.Float.Input(f"max_cost_{currency.lower()}", **most, tooltip=CONSENT["max_cost"], optional=True),
        io.String.Input("profile", default="default", tooltip=CONSENT["profile"], optional=True),
        io.Combo.Input(
            "on_interrupt",
            options=list(ON_INTERRUPT),
            default=ON_INTERRUPT[0],
            tooltip=CONSENT["on_interrupt"],
            optional=True,
        ),
        io.Int.Input("force_new", default=0, min=0, max=1_000_000, tooltip=CONSENT["force_new"], optional=True),
    ]
    return shown, [advanced(one) for one in folded]
