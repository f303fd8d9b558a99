"""Latents that are no numbers: the run stops, before the next expert is read and before a black film is saved."""

import torch
from torch import Tensor


class NotFinite(RuntimeError):
    """A latent that holds NaN or infinity; the message names who made it and what to look at."""


def check_given(latent: Tensor) -> None:
    """Raise NotFinite unless every value of the latent [B, C, T, H, W] that a run starts from is a number."""
    if not torch.isfinite(latent).all():
        raise NotFinite("The connected latent holds values that are no numbers (NaN or infinity). Make it anew.")


def check_made(latent: Tensor, expert: str, step: int, steps: int) -> None:
    """Raise NotFinite unless every value of a latent [B, C, T, H, W] is a number after `step` of a run's `steps`."""
    if torch.isfinite(latent).all():
        return
    raise NotFinite(
        f"The {expert} expert has made values that are no numbers (NaN or infinity) by step {step} of {steps}. Usual "
        "causes: a LoRA that is too strong or not for this model (take the rows off one by one), fp16 accumulation "
        "(start ComfyUI without --fast), an attention backend that does not suit the model (SageAttention)."
    )
