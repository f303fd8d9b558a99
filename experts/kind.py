"""The Wan checkpoints we tell apart, and the sampling constants each was trained with."""

from typing import Any, NamedTuple

HIGH, LOW = "high", "low"


class Kind(NamedTuple):
    """One family of Wan checkpoints. `pair` says whether it needs two experts."""

    label: str
    pair: bool
    boundary: float = 0.875
    shift: float = 5.0


T2V_A14B = Kind("T2V A14B", pair=True, boundary=0.875, shift=12.0)
I2V_A14B = Kind("I2V A14B", pair=True, boundary=0.900, shift=5.0)
TI2V_5B = Kind("TI2V-5B", pair=False)
ANIMATE = Kind("Animate", pair=False)
S2V = Kind("S2V", pair=False, shift=3.0)
VACE = Kind("VACE", pair=False)
WAN_2_1 = Kind("Wan 2.1", pair=False)

DIM_1_3B = 1536  # only Wan 2.1 has a transformer of this width
CHANNELS_5B = 48


def kind_of(config: dict[str, Any]) -> Kind:
    """The kind that the host's `unet_config` of a Wan transformer describes.

    Wan 2.1 T2V 14B has the very shapes of a Wan 2.2 T2V expert and can't be told apart.
    """
    model_type, in_dim = config["model_type"], config["in_dim"]
    if config["out_dim"] == CHANNELS_5B:
        return TI2V_5B
    if model_type in ("animate", "s2v", "vace"):
        return {"animate": ANIMATE, "s2v": S2V, "vace": VACE}[model_type]
    if model_type == "i2v" or config["dim"] == DIM_1_3B:
        return WAN_2_1
    if model_type == "t2v" and in_dim in (16, 36):
        return I2V_A14B if in_dim == 36 else T2V_A14B
    return Kind(f"Wan ({model_type}, {in_dim} channels)", pair=False)


def kind_from_name(name: str) -> Kind:
    """A guess for a file that is not there to be read."""
    return I2V_A14B if "i2v" in name.lower() else T2V_A14B
