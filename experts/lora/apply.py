"""From rows to changes on the experts, each checked on headers before any weight is read."""

from collections.abc import Sequence
from filecmp import cmp

from ..handle import Handle, ModelHandle
from ..pair import Change, Experts
from ..partner import partner_of, role_of
from ..variant import HIGH, LOW
from .files import claimed_role, files_of, lora_files, lora_path, read_names
from .merge import MergeLora
from .patches import Patches, find_patches
from .report import Found, fatal, notes, rounding, summary
from .row import BOTH, LoraRow, Loras, Placed
from .scale import read_scale
from .scheduled import ScheduledLora
from .verify import takes_patches


def apply_loras(experts: Experts, rows: Loras) -> tuple[Experts, str]:
    """The experts with every row on them, and the match report. Opens no expert.

    Raises FileNotFoundError for a file that is not there, ValueError for one that changes nothing on its expert.
    """
    available = lora_files()
    lines = []
    for number, row in enumerate(rows, start=1):
        where = f"LoRA row {number} ({row.file})"
        try:
            experts, said = _with_row(experts, row, available)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{where}: {error}") from error
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        lines += [f"LoRA {number}: {row.file}", *(f"   {line}" for line in said)]
    return experts, "\n".join(lines + rounding(experts)) or "no LoRA"


def _with_row(experts: Experts, row: LoraRow, available: Sequence[str]) -> tuple[Experts, list[str]]:
    places = _places(row, experts, available)
    lines = []
    for place in places:
        path = lora_path(place.file)
        lines += _checked(place, path, experts, available)
        experts = experts.with_change(_change(place, path), place.role)
    if len({place.file for place in places}) == 2 and cmp(*(lora_path(place.file) for place in places), shallow=False):
        lines.append("hint: the two files are one and the same, byte for byte, under two names")
    return experts, lines or ["not loaded: its strength is 0"]


def _change(place: Placed, path: str) -> Change:
    held = place.strength.constant
    return ScheduledLora(path, place.role, place.strength) if held is None else MergeLora(path, place.role, held)


def _places(row: LoraRow, experts: Experts, available: Sequence[str]) -> list[Placed]:
    """Where a row goes; nowhere at strength 0."""
    if experts.low is None and row.expert == LOW:
        raise ValueError(f"transformer is '{LOW}', but there is a single expert. Choose '{BOTH}'")
    strengths = {role: row.strength_on(role) for role in row.roles} if experts.low else {HIGH: row.strengths}
    used = [role for role, strength in strengths.items() if strength.constant != 0]
    if not used:
        return []
    files = files_of(row, available) if experts.low else {HIGH: row.file}
    shared = len(used) == 2 and files[HIGH] == files[LOW]
    return [Placed(role, files[role], strengths[role], shared) for role in used]


def _checked(place: Placed, path: str, experts: Experts, available: Sequence[str]) -> list[str]:
    """The lines of the report on one file. Raises ValueError if it changes nothing."""
    handle = experts[place.role].handle
    tensors, metadata = read_names(path)
    if handle.checkpoint is None:
        return [f"{place.role}: {place.file} at {place.strength}: not checked, because {handle.name} is not there"]
    patches = find_patches(tensors, place.role, handle.checkpoint.skeleton, read_scale(path, metadata))
    found = Found(
        place,
        handle.checkpoint,
        patches,
        claims=claimed_role(place.file, metadata) if experts.low else None,
        partner=_unused_partner(place, available) if experts.low else None,
        verified=_is_verified(handle, patches),
    )
    problem = fatal(found)
    if problem:
        raise ValueError(f"{problem[0].upper()}{problem[1:]} ({place.file} on the {place.role} expert)")
    return [summary(found), *(f"  {note}" for note in notes(found))]


def _is_verified(handle: Handle, patches: Patches) -> bool:
    """Whether the layers take patches: the host's own do, those of another loader are tried."""
    if not isinstance(handle, ModelHandle) or not patches.changed or handle.checkpoint is None:
        return True
    shapes = {name: weight.shape for name, weight in handle.checkpoint.skeleton.state_dict().items()}
    changed = frozenset(patches.changed)
    if changed not in handle.tried:
        in_order = (weight for part in patches.parts for weight in part)
        handle.tried[changed] = takes_patches(handle.patcher, in_order, shapes)
    return handle.tried[changed]


def _unused_partner(place: Placed, available: Sequence[str]) -> str | None:
    """A file that looks like the other half of one that is in the wrong place, or in both."""
    if not place.shared and role_of(place.file) in (None, place.role):
        return None
    try:
        return partner_of(place.file, available, trained_apart=True)
    except ValueError:  # several: not for us to choose
        return None
