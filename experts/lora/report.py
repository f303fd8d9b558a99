"""The match report of one file on one expert."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..alike import seeming_role
from ..checkpoint.contents import Checkpoint
from ..checkpoint.storage import is_packed
from ..pair import Experts
from ..variant import HIGH, LOW
from .expert_lora import ExpertLora
from .patches import Misfit, Patches
from .schedule import USUAL
from .unread import block_of, folded, grouped, other_model

_SHOWN = 3  # kinds of misfits
_FAMILIES = {5120: "Wan 14B", 3072: "Wan TI2V-5B", 1536: "Wan 1.3B"}  # by width
_ATTENTION = re.compile(r"\.(?:self|cross)_attn\.[qkvo]\.weight$")
_TASKS = {16: "text to video", 36: "image to video", 48: "TI2V-5B", 52: "control"}  # by channels of the patch embedding


@dataclass(frozen=True)
class Found:
    """One file on one expert: what of it is understood, and the expert it claims to be for.

    `partner` is a file that looks like its other half and is not used.
    `verified` is False if the expert's layers were not seen to take what is merged into them.
    """

    lora: ExpertLora
    checkpoint: Checkpoint
    patches: Patches
    claims: str | None = None
    partner: str | None = None
    verified: bool = True


def fatal(found: Found) -> str | None:
    """The reason why this file can't be meant for this expert; None if it can."""
    patches = found.patches
    width = _width(patches.misfits)
    # The few weights that all families have in one size don't make a LoRA fit
    if width not in (None, found.checkpoint.dim) and len(patches.misfits) > len(patches.changed):
        blocks = max((block + 1 for block in map(block_of, patches.read) if block is not None), default=0)
        here = f"this expert is {found.checkpoint.dim} wide and has {found.checkpoint.layers} blocks"
        family = _FAMILIES.get(width, "a model that is no Wan 2.2 we know")
        return f"made for {family} (width {width}, {blocks} blocks), not for this model: {here}"
    if patches.changed or (found.lora.shared and _empty_here(found)):
        return None
    if not patches.keys:
        others = f"all of its {patches.elsewhere} keys are for the {_other(found.lora.role)} expert"
        return f"it changes nothing: {others if patches.elsewhere else 'the file is empty'}"
    if patches.misfits:
        return f"none of its weights fits this expert: {_misfits(patches.misfits)}"
    groups = "; ".join(map(str, grouped(patches, found.checkpoint.layers)))
    if other := other_model(patches.unread):
        return f"made for {other}, not for Wan: none of its {patches.keys} keys was understood. {groups}"
    return f"it changes nothing: none of its {patches.keys} keys was understood. {groups}"


def summary(found: Found) -> str:
    """The two numbers: keys read, weights changed."""
    patches = found.patches
    targets = patches.changed | {misfit.weight for misfit in patches.misfits}
    lora = found.lora
    if _empty_here(found):
        return f"{lora.role}: not on it, because {lora.file} is for the {_other(lora.role)} expert alone"
    return (
        f"{lora.role}: {lora.file} at {lora.strength}: {len(patches.read)} of {patches.keys} keys read, "
        f"{len(patches.changed)} of {len(targets)} weights {'changed' if found.verified else 'to change'}"
    )


def notes(found: Found) -> list[str]:
    """Notes and warnings on a file that can be applied."""
    patches = found.patches
    if _empty_here(found):
        return []
    groups = grouped(patches, found.checkpoint.layers)
    lines = [f"{'note' if group.reason.harmless else 'warning'}: {group}" for group in groups]
    if not found.verified:
        lines.append(
            "warning: not verified on this loader: a layer was not seen to change. Put LoRAs on with the nodes of its "
            "pack, or load the expert with Load Wan 2.2 Experts"
        )
    if patches.misfits:
        lines.append(f"warning: does not fit and is left out: {_misfits(patches.misfits)}")
    if patches.scales:
        scales = ", ".join(f"{scale:g}" for scale in sorted(patches.scales))
        lines.append(f"note: {patches.scale.source} sets its scale: {scales}")
    if patches.scale.doubt:
        lines.append(f"warning: {patches.scale.doubt}, its scale is 1")
    if patches.ordered:
        lines.append("note: a DoRA scales what the rows above it made: the order of rows matters")
    largest = found.lora.strength.largest
    if largest > USUAL:
        lines.append(f"warning: a strength of {largest:g} is beyond {USUAL:g}, which few LoRAs are made for")
    if found.lora.shared and found.partner:
        lines.append(f"hint: the same file is on both experts, though {found.partner} looks like its other half")
    elif found.lora.shared and found.claims is None and (seeming := seeming_role(found.lora.file)):
        lines.append(
            f"warning: the file is on both experts, though its name may say {seeming}. "
            f"If so, choose '{seeming}' under transformer"
        )
    elif found.claims not in (None, found.lora.role):
        better = f"; {found.partner} looks like its other half" if found.partner else ""
        lines.append(f"warning: this file says {found.claims}, but it is on the {found.lora.role} expert{better}")
    return lines


def rounding(experts: Experts) -> list[str]:
    """A note on the cost of merging into packed weights; nothing where none is packed."""
    rounded = []
    for role, expert in zip((HIGH, LOW), experts, strict=False):
        if expert.merges_weights and expert.handle.packed:
            stored = expert.handle.checkpoint.storage if expert.handle.checkpoint else ""
            rounded.append(f"{role} ({stored if is_packed(stored) else 'less than 16 bits'})")
    if not rounded:
        return []
    return [
        f"note: {' and '.join(rounded)}: a merged weight is rounded to that again. A schedule that changes, such as "
        "1,0.999, acts on the unpacked weights and rounds nothing, but costs some time at every step"
    ]


def _width(misfits: Iterable[Misfit]) -> int | None:
    """The model width most attention weights were made for; None if none of them is among the misfits."""
    widths = Counter(m.made_for[0] for m in misfits if m.made_for and _ATTENTION.search(m.weight))
    return widths.most_common(1)[0][0] if widths else None


def _other(role: str) -> str:
    return LOW if role == HIGH else HIGH


def _empty_here(found: Found) -> bool:
    return bool(found.patches.elsewhere) and not found.patches.keys


def _misfits(misfits: Sequence[Misfit]) -> str:
    """The misfits in words: one for each pair of shapes, a few at most."""
    kinds: dict[tuple, list[str]] = {}
    for misfit in misfits:
        kinds.setdefault((misfit.made_for, misfit.shape), []).append(misfit.weight)
    parts = []
    for (made_for, shape), weights in list(kinds.items())[:_SHOWN]:
        here = f"{list(shape)} here" if shape else "no such weight here"
        parts.append(f"{', '.join(folded(weights))} ({list(made_for)} in the file, {here})")
    channels = [misfit.made_for[1] for misfit in misfits if misfit.weight.endswith("patch_embedding.weight")]
    parts += [f"made for {_TASKS[count]}" for count in channels if count in _TASKS]
    return "; ".join(parts)
