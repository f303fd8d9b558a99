"""Let an unmodified host build its UMT5 text encoder at the size of the tiny checkpoint."""

from __future__ import annotations


def shrink_text_encoder() -> None:
    """Make the running host read the `umt5_config_xxl.json` of this folder instead of its own.

    The other checkpoints tell the host their sizes; for UMT5 it looks for this file beside its own module.
    """
    import comfy.text_encoders.wan  # reads the host's command line, which must be complete by now

    comfy.text_encoders.wan.__file__ = __file__
