"""Conds that each expert reads in its own way, and those that an expert could not read at all."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..experts.pair import Experts
from ..experts.variant import LOW

FOR_LOW = "wan_duet_low"
"""In a conditioning: values that take the place of the others for the low-noise expert. Other samplers ignore it."""

FRAMES = "concat_latent_image"  # the host's name for the frames that are given, [1, C, T, H, W]
Conds = Mapping[str, Sequence[Mapping[str, Any]]]


def for_expert(conds: Conds, role: str) -> dict[str, list[dict[str, Any]]]:
    """The conds as the expert of `role` is to see them."""
    return {
        name: [{**cond, **(cond.get(FOR_LOW, {}) if role == LOW else {})} for cond in entries]
        for name, entries in conds.items()
    }


def refuse_ignored_frames(conds: Conds, experts: Experts) -> None:
    """Raise ValueError if the conds carry frame images that an expert has no channels for: the host is silent."""
    for name, entries in conds.items():
        if any(FRAMES in cond for cond in entries):
            need_channels_for_frames(experts, name)


def need_channels_for_frames(experts: Experts, source: str) -> None:
    """Raise ValueError if an expert would ignore the frame images that come from `source`."""
    for expert in experts:
        checkpoint = expert.handle.checkpoint
        if checkpoint is not None and not checkpoint.takes_frames:
            raise ValueError(
                f"{source} carries frame images, but {expert.handle.name} is {checkpoint.variant.label}, which has no "
                "input for them: it would ignore them. Load an I2V pair, or use the prompts without frame images."
            )


def refuse_other_size(conds: Conds, latent: Sequence[int]) -> None:
    """Raise ValueError if frame images were encoded for another video than `latent` [B, C, T, H, W]."""
    for name, entries in conds.items():
        for frames in (cond[FRAMES] for cond in entries if FRAMES in cond):
            if tuple(frames.shape[-3:]) != tuple(latent[-3:]):
                made, wanted = ("x".join(map(str, shape[-3:])) for shape in (frames.shape, latent))
                raise ValueError(
                    f"the frame images in {name} are of {made} (latent frames x height x width), the latent is of "
                    f"{wanted}. Take both from the same node."
                )
