"""Tell which of Wan's VAEs is connected."""

from typing import Any

from ...experts.variant import WanVae, variants_with


def wan_vae(vae: Any) -> WanVae:
    """The row of a VAE. Raises ValueError for a VAE of images, or with other channels than Wan's.

    The host would encode a clip with it, as so many images or not at all.
    """
    dimensions = getattr(vae, "latent_dim", 3)
    users = variants_with(vae.latent_channels)
    if dimensions != 3 or not users:
        found = f"{vae.latent_channels} channels and {dimensions} dimensions"
        raise ValueError(
            f"vae is not of Wan, but has {found}. Connect the Wan 2.1 VAE, or for TI2V-5B the Wan 2.2 VAE."
        )
    return users[0].vae
