"""From file names, as the loader's widgets give them, to a checked pair of experts and a report."""

import os
from pathlib import Path

import folder_paths

from .alike import nearest_names
from .checkpoint.contents import read_checkpoint
from .handle import FileHandle, Handle, MissingHandle
from .pair import AUTO as AUTO_RESIDENCY
from .pair import Expert, Experts, check_pair
from .partner import is_half, partner_of, roles_of
from .variant import HIGH, LOW

FOLDER = "diffusion_models"
AUTO, NONE = "auto", "none"


def expert_files() -> list[str]:
    """The checkpoint files the host offers, sub-folders included."""
    return folder_paths.get_filename_list(FOLDER)


def low_file(high: str, low: str) -> str | None:
    """The low expert's file that the widgets mean: `auto` finds the partner by name, `none` is a single expert."""
    if low == NONE:
        return None
    return partner_of(high, expert_files()) if low == AUTO else low


def load_pair(
    high: str, low: str, weight_dtype: str = "default", allow_same_file: bool = False, residency: str = AUTO_RESIDENCY
) -> Experts:
    """The pair that the two widgets name, checked from headers; nothing is opened.

    Two files that are each named as the other expert's change places. A missing file is carried along and raises when
    its weights are needed. Raises ValueError for files that are truncated, not Wan, halves of different models, or one
    file in both places.
    """
    first = _handle(high, weight_dtype)
    needs_partner = first.checkpoint is None or is_half(first.checkpoint.variant, high)
    low_name = low_file(high, low)
    if low_name is None and low == AUTO and needs_partner:
        second = _no_partner(first)
    elif low_name is None:
        return Experts(Expert(first), residency=residency)
    else:
        second = _handle(low_name, weight_dtype)
    if not allow_same_file and _same_file(first, second):
        raise ValueError(
            f"high and low are the same file ({first.name}). Choose the other half, or switch allow_same_file on."
        )
    if roles_of(first.name, second.name) == (LOW, HIGH):
        first, second = second, first
    experts = Experts(Expert(first), Expert(second), residency)
    check_pair(experts)
    return experts


def check_present(experts: Experts) -> None:
    """Raise FileNotFoundError if a file is not there, or only another loader can read it."""
    problems = [expert.handle.problem for expert in experts if isinstance(expert.handle, MissingHandle)]
    if problems:
        raise FileNotFoundError(" ".join(problems))


def report(experts: Experts, chosen: str | None = None) -> str:
    """The findings of `load_pair`: one line an expert, then what looks wrong. `chosen` is the file named as high."""
    lines = []
    if experts.low is not None and experts.low.handle.name == chosen != experts.high.handle.name:
        lines.append(f"changed places: {chosen} says {LOW}, and {experts.high.handle.name} says {HIGH}")
    claims = roles_of(experts.high.handle.name, experts["low"].handle.name)
    for role, expert, claimed in zip((HIGH, LOW), experts, claims, strict=False):
        handle = expert.handle
        lines.append(f"{role}: {handle.name}: {getattr(handle, 'problem', None) or handle.checkpoint}")
        if claimed not in (None, role):
            lines.append(f"  look again: this name says {claimed}, but it is in the {role} place")
    variant = experts.variant
    if experts.low is None:
        lines.append(f"single expert ({variant.label}): it does every step; shift {variant.shift:g} by default")
    else:
        lines += _different_formats(experts)
        assumed = " (assumed: it is not known where its experts were trained to change)" if variant.assumed else ""
        lines.append(
            f"{variant.label} pair: boundary {variant.boundary:g}{assumed}, shift {variant.shift:g} by default"
        )
    return "\n".join(lines)


def _different_formats(experts: Experts) -> list[str]:
    stored = [expert.handle.checkpoint.storage if expert.handle.checkpoint else "" for expert in experts]
    if not all(stored) or len(set(stored)) == 1:
        return []
    return [f"  the halves differ: {HIGH} is {stored[0]}, {LOW} is {stored[1]}"]


def _handle(name: str, weight_dtype: str) -> Handle:
    if Path(name).suffix.lower() == ".gguf":
        return MissingHandle(
            name,
            f"{name} is a GGUF file. Load both with your GGUF loader and connect the MODELs to Experts From Models.",
        )
    path = folder_paths.get_full_path(FOLDER, name)
    if path is None:
        return MissingHandle(name, f"{name} is not in models/{FOLDER}. Put it there, or choose another file.")
    return FileHandle(name, path, read_checkpoint(path), weight_dtype)


def _no_partner(first: Handle) -> Handle:
    nearest = ", ".join(nearest_names(first.name, expert_files())) or "none"
    problem = (
        f"no partner of {first.name} was found by name (high_noise/low_noise, HIGH/LOW, _H/_L, HN/LN; "
        f"nearest names: {nearest}). "
        f"Choose the low-noise file by hand, or '{NONE}' to run this expert alone."
    )
    if first.checkpoint:
        raise ValueError(problem)
    return MissingHandle(f"the partner of {first.name}", problem)


def _same_file(first: Handle, second: Handle) -> bool:
    if isinstance(first, FileHandle) and isinstance(second, FileHandle):
        return os.path.samefile(first.path, second.path)
    return first.name == second.name
