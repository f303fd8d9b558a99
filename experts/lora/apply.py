"""From rows to changes on the experts, each checked on headers before any weight is read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..kind import LOW
from ..pair import Experts
from ..partner import partner_of, role_of
from .files import claimed_role, files_of, lora_files, lora_path, read_names
from .merge import MergeLora
from .patches import find_patches
from .report import Found, fatal, notes, summary
from .row import BOTH, LoraRow, WanLoras


@dataclass(frozen=True)
class Placed:
    """A file of a row on its way to one expert."""

    role: str
    file: str
    strength: float
    shared: bool


def apply_loras(experts: Experts, rows: WanLoras) -> tuple[Experts, str]:
    """The experts with every row on them, and the match report. Opens no expert.

    Raises FileNotFoundError for a file that is not there, ValueError for one that changes nothing on its expert.
    """
    available = lora_files()
    lines = []
    for number, row in enumerate(rows, start=1):
        lines.append(f"{number}. {row.file}")
        try:
            places = list(_places(row, experts, available))
            for place in places:
                path = lora_path(place.file)
                lines += [f"   {line}" for line in _checked(place, path, experts, available)]
                experts = experts.with_change(MergeLora(path, place.role, place.strength), place.role)
        except (ValueError, FileNotFoundError) as error:
            raise type(error)(f"LoRA row {number} ({row.file}): {error}") from error
        if not places:
            lines.append("   not loaded: its strength is 0")
    return experts, "\n".join(lines) or "no LoRA"


def _places(row: LoraRow, experts: Experts, available: Sequence[str]) -> Iterator[Placed]:
    """Where a row goes; nowhere at strength 0."""
    if experts.low is None:
        if row.transformer == LOW:
            raise ValueError(f"transformer is '{LOW}', but there is a single expert. Choose '{BOTH}'")
        if len(row.multipliers.stages) > 1:
            raise ValueError(f"schedule '{row.schedule}' has two stages, but there is a single expert. Give one value")
        role = next(iter(row.roles))
        if row.strength(role):
            yield Placed(role, row.file, row.strength(role), shared=False)
        return
    strengths = {role: row.strength(role) for role in row.roles}
    if not any(strengths.values()):
        return
    files = files_of(row, available)
    used = [role for role in files if strengths[role]]
    shared = len(used) == 2 and len(set(files.values())) == 1
    for role in used:
        yield Placed(role, files[role], strengths[role], shared)


def _checked(place: Placed, path: str, experts: Experts, available: Sequence[str]) -> list[str]:
    """The lines of the report on one file. Raises ValueError if it changes nothing."""
    handle = experts[place.role].handle
    tensors, metadata = read_names(path)
    if handle.checkpoint is None:
        return [f"{place.role}: {place.file} at {place.strength:g}: not checked, because {handle.name} is not there"]
    found = Found(
        role=place.role,
        file=place.file,
        strength=place.strength,
        checkpoint=handle.checkpoint,
        patches=find_patches(tensors, place.role, handle.checkpoint.skeleton()),
        claims=claimed_role(place.file, metadata) if experts.low else None,
        partner=_unused_partner(place, available) if experts.low else None,
        shared=place.shared,
    )
    problem = fatal(found)
    if problem:
        raise ValueError(f"{place.file} on the {place.role} expert: {problem}")
    return [summary(found), *(f"  {note}" for note in notes(found))]


def _unused_partner(place: Placed, available: Sequence[str]) -> str | None:
    """A file that looks like the other half of one that is in the wrong place, or in both."""
    if not place.shared and role_of(place.file) in (None, place.role):
        return None
    try:
        return partner_of(place.file, available, trained_apart=True)
    except ValueError:  # several: not for us to choose
        return None
