"""The Wan checkpoints we tell apart, and the sampling constants each was trained with."""

import re
from typing import Any, NamedTuple

HIGH, LOW = "high", "low"


class Kind(NamedTuple):
    """One family of Wan checkpoints. `pair` says whether it needs two experts; None: only the files' names can tell.

    `assumed` says that nobody has told where its experts change.
    """

    label: str
    pair: bool | None
    boundary: float = 0.875
    shift: float = 5.0
    assumed: bool = False


T2V_A14B = Kind("T2V A14B", pair=True, boundary=0.875, shift=12.0)
I2V_A14B = Kind("I2V A14B", pair=True, boundary=0.900, shift=5.0)
# VideoX-Fun (aigc-apps), config/wan2.2: wan_civitai_i2v.yaml for Control and Camera (and InP, which has the shapes of
# I2V), wan_civitai_t2v.yaml for VACE-Fun; the shifts are those of examples/wan2.2_fun and examples/wan2.2_vace_fun
FUN_CONTROL_A14B = Kind("Fun Control A14B", pair=True, boundary=0.900, shift=5.0)
FUN_CAMERA_A14B = Kind("Fun Camera A14B", pair=True, boundary=0.900, shift=5.0)
VACE_FUN_A14B = Kind("VACE-Fun A14B", pair=True, boundary=0.875, shift=12.0)
TI2V_5B = Kind("TI2V-5B", pair=False)
ANIMATE = Kind("Animate", pair=False)
S2V = Kind("S2V", pair=False, shift=3.0)
VACE = Kind("VACE", pair=None)
WAN_2_1 = Kind("Wan 2.1", pair=False)

DIM_1_3B = 1536  # only Wan 2.1 has a transformer of this width
CHANNELS_5B = 48
CHANNELS_FUN_CONTROL = 52

_NAMED = (
    (r"vace", VACE_FUN_A14B),
    (r"fun.*camera|camera.*fun", FUN_CAMERA_A14B),
    (r"fun.*control|control.*fun", FUN_CONTROL_A14B),
    (r"ti2v|(?<!\d)5b(?![a-z])", TI2V_5B),
    (r"animate", ANIMATE),
    (r"s2v", S2V),
    (r"i2v|inp(?![a-z])|inpaint", I2V_A14B),
)


def kind_of(config: dict[str, Any]) -> Kind:
    """The kind that the host's `unet_config` of a Wan transformer describes.

    Wan 2.1 T2V 14B has the very shapes of a Wan 2.2 T2V expert and can't be told apart.
    """
    model_type, in_dim = config["model_type"], config["in_dim"]
    if config["out_dim"] == CHANNELS_5B:
        return TI2V_5B
    if model_type in ("animate", "s2v", "vace"):
        return {"animate": ANIMATE, "s2v": S2V, "vace": VACE}[model_type]
    if model_type in ("i2v", "camera") or config["dim"] == DIM_1_3B:
        return WAN_2_1
    if model_type == "camera_2.2":
        return FUN_CAMERA_A14B
    if model_type == "t2v" and in_dim == CHANNELS_FUN_CONTROL:
        return FUN_CONTROL_A14B
    if model_type == "t2v" and in_dim in (16, 36):
        return I2V_A14B if in_dim == 36 else T2V_A14B
    return Kind(f"Wan ({model_type}, {in_dim} channels)", pair=None, assumed=True)


def as_pair(kind: Kind) -> Kind:
    """The kind of two experts, each of a `kind` of which there are single models too."""
    return VACE_FUN_A14B if kind == VACE else kind


def kind_from_name(name: str) -> Kind:
    """A guess for a file that is not there to be read."""
    return next((kind for pattern, kind in _NAMED if re.search(pattern, name.lower())), T2V_A14B)
