"""The Wan family: one row a member, with all that the pack has to know of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

HIGH, LOW = "high", "low"

_PATCH = 2  # latent pixels a side of what a transformer sees as one


class WanVae(NamedTuple):
    """A VAE of the family."""

    name: str
    """Name that people know it by."""
    channels: int
    """Latent channels; no two VAEs have the same number."""
    stride: int
    """Pixels a side of a latent pixel."""
    starts_with_frames: bool = False
    """Its models take given frames as their first latents, in place of noise; the others in channels of their own."""

    @property
    def grid(self) -> int:
        """Pixels of which the sides of its videos are multiples."""
        return self.stride * _PATCH


VAE_2_1 = WanVae("Wan 2.1", channels=16, stride=8)
VAE_2_2 = WanVae("Wan 2.2", channels=48, stride=16, starts_with_frames=True)


@dataclass(frozen=True)
class WanVariant:
    """One member of the Wan family."""

    label: str
    """Name in reports and receipts."""
    pair: bool | None
    """It is made of two experts; None: only the files' names can tell."""
    config: tuple[Mapping[str, object], ...] = field(default=(), compare=False)
    """Entries of the host's `unet_config`, of which any one set tells it; its VAE's channels are asked for besides."""
    named: str | None = field(default=None, compare=False)
    """Pattern in the lower-case name of a file that is not there to be read, empty for any; None: no name tells it."""
    boundary: float = 0.875
    """Fraction of the timesteps at which a pair's experts change, .875 unless the authors say otherwise."""
    assumed: bool = False
    """Nobody has told the boundary."""
    shift: float = 5.0
    """Flow shift that its authors sample with."""
    vae: WanVae = VAE_2_1
    """VAE of its latents."""
    trained_length: int = 81
    """Frames beyond which its videos drift."""
    fps: float = 16.0
    """Frames a second that it was trained at."""
    image_to_video: bool = False
    """It animates an image, and has the troubles that hosts have with such models."""
    of_two: "WanVariant | None" = field(default=None, compare=False)
    """Variant that two of it are; None: itself."""

    def is_told_by(self, config: Mapping[str, Any]) -> bool:
        """Say whether the host's `unet_config` describes this variant."""
        signs = (all(config[key] == value for key, value in sign.items()) for sign in self.config)
        return config["out_dim"] == self.vae.channels and any(signs)


T2V_A14B = WanVariant(
    "T2V A14B", pair=True, config=({"model_type": "t2v", "in_dim": 16},), named="", boundary=0.875, shift=12.0
)
I2V_A14B = WanVariant(
    "I2V A14B",
    pair=True,
    config=({"model_type": "t2v", "in_dim": 36},),
    named=r"i2v|inp(?![a-z])|inpaint",
    boundary=0.900,
    shift=5.0,
    image_to_video=True,
)
# VideoX-Fun (aigc-apps), config/wan2.2: wan_civitai_i2v.yaml for Control and Camera (and InP, which has the shapes of
# I2V), wan_civitai_t2v.yaml for VACE-Fun; the shifts are those of examples/wan2.2_fun and examples/wan2.2_vace_fun
FUN_CONTROL_A14B = WanVariant(
    "Fun Control A14B",
    pair=True,
    config=({"model_type": "t2v", "in_dim": 52},),
    named=r"fun.*control|control.*fun",
    boundary=0.900,
    shift=5.0,
)
FUN_CAMERA_A14B = WanVariant(
    "Fun Camera A14B",
    pair=True,
    config=({"model_type": "camera_2.2"},),
    named=r"fun.*camera|camera.*fun",
    boundary=0.900,
    shift=5.0,
)
VACE_FUN_A14B = WanVariant("VACE-Fun A14B", pair=True, named=r"vace", boundary=0.875, shift=12.0)
VACE = WanVariant("VACE", pair=None, config=({"model_type": "vace"},), of_two=VACE_FUN_A14B)
TI2V_5B = WanVariant(
    "TI2V-5B", pair=False, config=({},), named=r"ti2v|(?<!\d)5b(?![a-z])", vae=VAE_2_2, trained_length=121, fps=24.0
)
ANIMATE = WanVariant("Animate", pair=False, config=({"model_type": "animate"},), named=r"animate", fps=30.0)
S2V = WanVariant("S2V", pair=False, config=({"model_type": "s2v"},), named=r"s2v", shift=3.0)
WAN_2_1 = WanVariant(
    "Wan 2.1", pair=False, config=({"model_type": "i2v"}, {"model_type": "camera"}, {"dim": 1536})
)  # 1536: no Wan 2.2 is that narrow

VARIANTS = (
    *(VACE_FUN_A14B, VACE, ANIMATE, S2V, WAN_2_1, FUN_CAMERA_A14B, FUN_CONTROL_A14B, TI2V_5B),
    *(I2V_A14B, T2V_A14B),
)
"""The family; the first row that a config or a name tells is taken."""


def variant_of(config: Mapping[str, Any]) -> WanVariant:
    """The variant that the host's `unet_config` of a Wan transformer describes.

    Wan 2.1 T2V 14B has the very shapes of a Wan 2.2 T2V expert and can't be told apart.
    """
    unknown = WanVariant(f"Wan ({config['model_type']}, {config['in_dim']} channels)", pair=None, assumed=True)
    return next((variant for variant in VARIANTS if variant.is_told_by(config)), unknown)


def variant_from_name(name: str) -> WanVariant:
    """A guess for a file that is not there to be read; T2V A14B if its name tells nothing."""
    named = ((variant, variant.named) for variant in VARIANTS if variant.named is not None)
    return next(variant for variant, pattern in named if re.search(pattern, name.lower()))


def variants_with(channels: int) -> list[WanVariant]:
    """The variants whose latents have so many channels."""
    return [variant for variant in VARIANTS if variant.vae.channels == channels]
