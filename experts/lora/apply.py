"""Put the list of LoRAs on the experts, each checked on headers before any weight is read."""

from collections.abc import Iterator, Sequence
from filecmp import cmp

from ..handle import Handle, ModelHandle
from ..pair import Experts
from ..partner import partner_of, role_of
from ..variant import HIGH, LOW
from .expert_lora import ExpertLora
from .files import claimed_role, files_of, lora_files, lora_path, read_names
from .patches import Patches, find_patches
from .report import Found, fatal, notes, rounding, summary
from .scale import read_scale
from .spec import BOTH, Loras, LoraSpec
from .verify import takes_patches


def apply_loras(experts: Experts, specs: Loras) -> tuple[Experts, str]:
    """The experts with every LoRA of a list on them, and the match report. Opens no expert.

    Raises FileNotFoundError for a file that is not there, ValueError for one that changes nothing on its expert.
    """
    available = lora_files()
    lines = []
    for number, spec in enumerate(specs, start=1):
        where = f"LoRA row {number} ({spec.file})"
        try:
            experts, said = _with_spec(experts, spec, available)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{where}: {error}") from error
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        lines += [f"LoRA {number}: {spec.file}", *(f"   {line}" for line in said)]
    return experts, "\n".join(lines + rounding(experts)) or "no LoRA"


def _with_spec(experts: Experts, spec: LoraSpec, available: Sequence[str]) -> tuple[Experts, list[str]]:
    paths, lines = {}, []
    for lora in _parts(spec, experts, available):
        lines += _check(lora, experts, available)
        experts = experts.with_lora(lora)
        paths[lora.file] = lora.path
    if len(paths) == 2 and cmp(*paths.values(), shallow=False):
        lines.append("hint: the two files are one and the same, byte for byte, under two names")
    return experts, lines or ["not loaded: its strength is 0"]


def _parts(spec: LoraSpec, experts: Experts, available: Sequence[str]) -> Iterator[ExpertLora]:
    """The parts of a LoRA on the experts; none at strength 0."""
    if experts.low is None and spec.expert == LOW:
        raise ValueError(f"transformer is '{LOW}', but there is a single expert. Choose '{BOTH}'")
    strengths = {role: spec.strength_on(role) for role in spec.roles} if experts.low else {HIGH: spec.strengths}
    used = [role for role, strength in strengths.items() if strength.constant != 0]
    files = files_of(spec, available) if used and experts.low else {HIGH: spec.file}
    shared = len(used) == 2 and files[HIGH] == files[LOW]
    for role in used:
        yield ExpertLora(lora_path(files[role]), role, strengths[role], files[role], shared)


def _check(lora: ExpertLora, experts: Experts, available: Sequence[str]) -> list[str]:
    """The lines of the report on one file. Raises ValueError if it changes nothing."""
    handle = experts[lora.role].handle
    tensors, metadata = read_names(lora.path)
    if handle.checkpoint is None:
        return [f"{lora.role}: {lora.file} at {lora.strength}: not checked, because {handle.name} is not there"]
    patches = find_patches(tensors, lora.role, handle.checkpoint.skeleton, read_scale(lora.path, metadata))
    found = Found(
        lora,
        handle.checkpoint,
        patches,
        claims=claimed_role(lora.file, metadata) if experts.low else None,
        partner=_unused_partner(lora, available) if experts.low else None,
        verified=_is_verified(handle, patches),
    )
    problem = fatal(found)
    if problem:
        raise ValueError(f"{problem[0].upper()}{problem[1:]} ({lora.file} on the {lora.role} expert)")
    return [summary(found), *(f"  {note}" for note in notes(found))]


def _is_verified(handle: Handle, patches: Patches) -> bool:
    """Say whether the layers take patches: the host's own do, those of another loader are tried."""
    if not isinstance(handle, ModelHandle) or not patches.changed or handle.checkpoint is None:
        return True
    shapes = {name: weight.shape for name, weight in handle.checkpoint.skeleton.state_dict().items()}
    changed = frozenset(patches.changed)
    if changed not in handle.tried:
        in_order = (weight for part in patches.parts for weight in part)
        handle.tried[changed] = takes_patches(handle.patcher, in_order, shapes)
    return handle.tried[changed]


def _unused_partner(lora: ExpertLora, available: Sequence[str]) -> str | None:
    """A file that looks like the other half of one that is in the wrong place, or in both."""
    if not lora.shared and role_of(lora.file) in (None, lora.role):
        return None
    try:
        return partner_of(lora.file, available, trained_apart=True)
    except ValueError:  # several: not for us to choose
        return None
