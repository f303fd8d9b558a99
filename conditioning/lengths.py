"""Pixel frames and latent frames: the Wan VAE packs frame 0 alone and then four at a time."""

import math

GROUP = 4  # pixel frames in each latent frame but the first
TRAINED = 81  # frames of the videos that most Wan models were trained on
ALMOST = 1e-6  # of a frame: 1.1 s at 30 fps is 33 frames, whatever the product's last bit says


def latent_frames(length: int) -> int:
    """Latent frames of a video of `length` frames."""
    return (length - 1) // GROUP + 1


def whole_length(frames: int) -> int:
    """The longest length of the form 4n+1 that is not above `frames`, and at least 1 (as diffusers rounds)."""
    return (max(frames, 1) - 1) // GROUP * GROUP + 1


def length_of(seconds: float, fps: float) -> int:
    """Frames of a video of `seconds` at `fps`: one more than the intervals between them, in the form 4n+1."""
    return whole_length(math.floor(max(seconds, 0.0) * fps + ALMOST) + 1)


def latent_frame_of(frame: int) -> int:
    """The latent frame that pixel frame `frame` is part of."""
    return (frame + GROUP - 1) // GROUP


def length_notes(seconds: float, fps: float, trained: int = TRAINED) -> list[str]:
    """Notes on the length that `seconds` at `fps` came to."""
    length = length_of(seconds, fps)
    notes = []
    if abs(seconds * fps - (length - 1)) > ALMOST:
        was, became = f"{seconds:g} s at {fps:g} fps", f"{length} frames, {(length - 1) / fps:.2f} s"
        notes.append(f"{was} became {became}: lengths are 4n+1.")
    if length > trained:
        notes.append(f"Longer than the {trained} frames Wan was trained on: such videos drift back to their start.")
    return notes
