"""Tell the VAE of Wan 2.1 from that of TI2V-5B."""

from typing import Any

from ...conditioning.sizes import PATCH, PATCH_5B
from ...experts.variant import CHANNELS_5B

CHANNELS = 16


def is_of_5b(vae: Any) -> bool:
    """Say whether a VAE is that of TI2V-5B. Raises ValueError for a VAE of images, or with other channels.

    The host would encode a clip with it, as so many images or not at all.
    """
    dimensions = getattr(vae, "latent_dim", 3)
    if dimensions != 3 or vae.latent_channels not in (CHANNELS, CHANNELS_5B):
        found = f"{vae.latent_channels} channels and {dimensions} dimensions"
        raise ValueError(
            f"vae is not of Wan, but has {found}. Connect the Wan 2.1 VAE, or for TI2V-5B the Wan 2.2 VAE."
        )
    return vae.latent_channels == CHANNELS_5B


def grid_of(vae: Any) -> int:
    """Pixels of which the sides of its videos are multiples."""
    return PATCH_5B if is_of_5b(vae) else PATCH
