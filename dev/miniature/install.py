"""Put the miniature where the shipped workflows look for Wan 2.2: install.py COMFYUI BASE

The trained weights go to BASE/models under the official file names, and the text encoder is made from its seed.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

DEV = Path(__file__).resolve().parents[1]
WEIGHTS = Path(__file__).with_name("weights")
OFFICIAL = {
    "vae": "vae/wan_2.1_vae",
    "t2v_high": "diffusion_models/wan2.2_t2v_high_noise_14B_fp8_scaled",
    "t2v_low": "diffusion_models/wan2.2_t2v_low_noise_14B_fp8_scaled",
    "i2v_high": "diffusion_models/wan2.2_i2v_high_noise_14B_fp8_scaled",
    "i2v_low": "diffusion_models/wan2.2_i2v_low_noise_14B_fp8_scaled",
    "yellow_high": "loras/miniature_yellow_high_noise",
    "yellow_low": "loras/miniature_yellow_low_noise",
}
TEXT_ENCODER = "text_encoders/umt5_xxl_fp8_e4m3fn_scaled"


def install(base: Path) -> None:
    """Fill `base`/models with the weights there are."""
    from safetensors.torch import save_file
    from wan_duet.dev.miniature.text import weights

    for name, official in OFFICIAL.items():
        if (source := WEIGHTS / f"{name}.safetensors").exists():
            target = _file(base, official)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    encoder = _file(base, TEXT_ENCODER)
    encoder.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights(), encoder)


def _file(base: Path, name: str) -> Path:
    return base / "models" / f"{name}.safetensors"


if __name__ == "__main__":
    comfyui, base = map(Path, sys.argv[1:])
    sys.path.insert(0, str(DEV / "bench"))
    from host import INSIDE, enter, load_pack

    os.environ[INSIDE] = str(comfyui)
    enter()
    load_pack()
    install(base)
