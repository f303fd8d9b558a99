"""Train the miniature, or what is left of it: python3 dev/miniature/train.py [PART ...]

State and log are kept in .dev/miniature, so the command may be stopped and given again at any time. Finished weights
go to dev/miniature/weights, where a part finds those that it builds on. The experts of a pair do not need each other,
so two commands can train one each at the same time.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
from host import ROOT, enter, load_pack

# Threads that wait without spinning: on a busy machine that is several times as fast.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
enter()
load_pack()

import torch  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from torch import Tensor  # noqa: E402
from wan_duet.dev.miniature import expert, lessons, lora, vae  # noqa: E402
from wan_duet.dev.miniature.clips import LORA_COLOR  # noqa: E402
from wan_duet.dev.miniature.training import Schedule, Training  # noqa: E402
from wan_duet.dev.tiny_umt5 import shrink_text_encoder  # noqa: E402
from wan_duet.experts.variant import HIGH, I2V_A14B, LOW, T2V_A14B  # noqa: E402

FOLDER = ROOT / ".dev" / "miniature"
WEIGHTS = ROOT / "dev" / "miniature" / "weights"
SEEDS = {HIGH: 1, LOW: 2}
T2V = Schedule(6400)
I2V = Schedule(1200, learning_rate=7e-4, averaged_over=200)
LORA = Schedule(400, learning_rate=2e-3, averaged_over=100)
T2V_CLIPS, I2V_CLIPS, LORA_CLIPS = 2048, 2048, 512


def train_vae() -> None:
    """Train the VAE on images, then on clips."""
    net = vae.network()
    vae.initialise(net)
    training = Training(net.to(device()), vae.SCHEDULE, FOLDER, "vae")
    training.run(vae.Lesson(net))
    _finish("vae", vae.finish(training.averaged()))


def train_decoder() -> None:
    """Train the VAE's decoder on, for the latents that the experts learn from stay as they are."""
    net = lessons.load_vae(_file("vae")).to(device())
    net.decoder.requires_grad_(True)
    net.conv2.requires_grad_(True)
    latents = lessons.denormalised(lessons.prepare(FOLDER, _file("vae"), T2V_CLIPS).latents)
    training = Training(net, vae.DECODER_SCHEDULE, FOLDER, "decoder")
    training.run(vae.DecoderLesson(net, latents, lessons.clip))
    _finish("vae", {**load_file(_file("vae")), **_bf16(training.averaged())})


def train_t2v(role: str) -> None:
    """Train an expert of the text-to-video pair from nothing."""
    net = expert.network(in_dim=16)
    expert.initialise(net, SEEDS[role])
    training = Training(net.to(device()), T2V, FOLDER, f"t2v_{role}")
    found = lessons.prepare(FOLDER, _file("vae"), T2V_CLIPS)
    training.run(expert.Lesson(net, found, T2V_A14B, role, SEEDS[role]))
    _finish(f"t2v_{role}", _bf16(training.averaged()))


def train_i2v(role: str) -> None:
    """Train an expert of the image-to-video pair, from the text-to-video one on."""
    net = expert.network(in_dim=36)
    net.load_state_dict(expert.widen(_finished(f"t2v_{role}"), in_dim=36))
    training = Training(net.to(device()), I2V, FOLDER, f"i2v_{role}")
    found = lessons.prepare(FOLDER, _file("vae"), I2V_CLIPS, images=True)
    training.run(expert.Lesson(net, found, I2V_A14B, role, 10 + SEEDS[role]))
    _finish(f"i2v_{role}", _bf16(training.averaged()))


def train_yellow(role: str) -> None:
    """Train the LoRA of one text-to-video expert on clips whose shapes are all yellow."""
    net = expert.network(in_dim=16)
    net.load_state_dict(_finished(f"t2v_{role}"))
    adapter = lora.Lora(net.to(device()), SEEDS[role]).to(device())
    training = Training(adapter, LORA, FOLDER, f"yellow_{role}")
    found = lessons.prepare(FOLDER, _file("vae"), LORA_CLIPS, color=LORA_COLOR)
    training.run(expert.Lesson(net, found, T2V_A14B, role, 20 + SEEDS[role]))
    _finish(f"yellow_{role}", lora.exported(training.averaged()))


PARTS: dict[str, Callable[[], None]] = {
    "vae": train_vae,
    "decoder": train_decoder,
    **{f"t2v_{role}": partial(train_t2v, role) for role in SEEDS},
    **{f"yellow_{role}": partial(train_yellow, role) for role in SEEDS},
    **{f"i2v_{role}": partial(train_i2v, role) for role in SEEDS},
}


def device() -> torch.device:
    """Return where training happens: a GPU when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _finished(name: str) -> dict[str, Tensor]:
    return {key: weight.float() for key, weight in load_file(_file(name)).items()}


def _finish(name: str, weights: dict[str, Tensor]) -> None:
    save_file({key: weight.cpu().contiguous() for key, weight in weights.items()}, _file(name))


def _file(name: str) -> Path:
    return WEIGHTS / f"{name}.safetensors"


def _bf16(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: weight.bfloat16() for name, weight in weights.items()}


def main() -> int:
    """Train the parts that are asked for, each after what it builds on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default all")
    chosen = parser.parse_args().parts or list(PARTS)
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    shrink_text_encoder()
    for name, train in PARTS.items():
        if name in chosen:
            train()
    return 0


if __name__ == "__main__":
    sys.exit(main())
