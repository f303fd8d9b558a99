"""A small model of every Wan class the host has, behind the host's own patcher, and what one run over it does."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import comfy.conds
import comfy.supported_models
import torch
from comfy.ldm.wan import model as wan
from comfy.ldm.wan.model_animate import AnimateWanModel
from comfy.model_base import WAN21, WAN22, BaseModel
from comfy.model_patcher import ModelPatcher
from comfy.samplers import CFGGuider, sampler_object
from torch import Tensor, nn
from wan_duet.cache.run import CacheOn, StepCache
from wan_duet.cache.settings import CacheSettings
from wan_duet.cache.techniques.base import Technique
from wan_duet.cache.techniques.dual_block import DualBlock
from wan_duet.dev.tiny import random_weights
from wan_duet.experts.checkpoint.meta_model import operations
from wan_duet.experts.variant import HIGH

CLASSES = ("base", "ref_conv", "vace", "camera", "s2v", "humo", "animate", "5b")
KINDS = ("vace", "camera", "s2v", "humo", "animate")  # by their own names; the others are told by their sizes
SIDE_BLOCKS = {"vace": "vace_blocks", "s2v": "audio_injector.injector", "animate": "face_adapter.fuser_blocks"}
STEPS, SHIFT = 8, 5.0
SETTINGS = CacheSettings(0.0, warmup=1, force=True)
Cond = list[list[Any]]


def network(kind: str, blocks: int = 0) -> nn.Module:
    """A network of 64 channels with random weights in fp32."""
    sizes: dict[str, Any] = {
        **{
            "dim": 64,
            "ffn_dim": 128,
            "num_heads": 2,
            "num_layers": blocks or layers(kind),
            "text_dim": 32,
            "freq_dim": 32,
        },
        **{"operations": operations(), "dtype": torch.float32},
    }
    made: dict[str, Callable[[], nn.Module]] = {
        "base": lambda: wan.WanModel(model_type="t2v", in_dim=16, **sizes),
        "ref_conv": lambda: wan.WanModel(model_type="t2v", in_dim=16, in_dim_ref_conv=16, **sizes),
        "vace": lambda: wan.VaceWanModel(vace_layers=3, vace_in_dim=96, **sizes),
        "camera": lambda: wan.CameraWanModel(model_type="camera_2.2", in_dim=16, in_dim_control_adapter=24, **sizes),
        "s2v": lambda: wan.WanModel_S2V(audio_dim=32, audio_inject_layers=[0, 2, 5], **sizes),
        "humo": lambda: wan.HumoWanModel(**sizes),
        "animate": lambda: AnimateWanModel(model_type="animate", in_dim=16, **sizes),
        "5b": lambda: wan.WanModel(model_type="t2v", in_dim=48, out_dim=48, **sizes),
    }
    net = made[kind]()
    net.load_state_dict(random_weights(net, 0))
    if kind == "animate":
        net.motion_encoder = Motion()
    return net.eval()


class Motion(nn.Module):
    """In place of the network that looks at faces of 512 x 512, which is not what is tested and slow."""

    def get_motion(self, faces: Tensor) -> Tensor:
        """What a face does, [faces, 512]."""
        return generator(9)(len(faces), 512) * faces.mean(dim=(1, 2, 3)).unsqueeze(1)


def layers(kind: str) -> int:
    """How many blocks it has; Animate looks at faces after every fifth."""
    return 10 if kind == "animate" else 6


def inputs(kind: str, seed: int = 1) -> dict[str, Tensor]:
    """What a class is given beside latents and text, for latents of 3 x 8 x 8."""
    r = generator(seed)
    own: dict[str, dict[str, Tensor]] = {
        "ref_conv": {"reference_latent": r(1, 16, 8, 8)},
        "vace": {"vace_context": r(1, 1, 96, 3, 8, 8)},
        "camera": {"camera_conditions": r(1, 24, 3, 64, 64)},
        "s2v": {"audio_embed": r(1, 25, 32, 12), "reference_latent": r(1, 16, 1, 8, 8)},
        "humo": {"audio_embed": r(1, 3, 8, 5, 1280), "reference_latent": r(1, 16, 1, 8, 8)},
        "animate": {"pose_latents": r(1, 16, 2, 8, 8), "face_pixel_values": r(1, 3, 4, 8, 8)},
    }
    return own.get(kind, {})


def generator(seed: int) -> Callable[..., Tensor]:
    """A function that draws tensors."""
    source = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(shape, generator=source)


def patcher(kind: str, blocks: int = 0) -> ModelPatcher:
    """The network as a MODEL, with another number of blocks if one is given."""
    net = network(kind, blocks)
    of_kind = {"image_model": "wan2.1", "model_type": kind if kind in KINDS else "t2v", "dim": 64}
    of_kind |= {"in_dim": channels(kind), "out_dim": channels(kind), "disable_unet_model_creation": True}
    family = comfy.supported_models.WAN22_T2V if kind == "5b" else comfy.supported_models.WAN21_T2V
    config = family(of_kind)
    config.set_inference_dtype(torch.float32, None)
    model = (WAN22 if kind == "5b" else WAN21)(config, image_to_video=False)
    model.diffusion_model = net
    model.extra_conds = lambda **_: {}  # what a class needs is in the prompt below
    device = torch.device("cpu")
    return ModelPatcher(model, load_device=device, offload_device=device)


def prompt(kind: str, seed: int, **values: Any) -> Cond:
    """A CONDITIONING whose tensors go to the network as they are."""
    conds: dict[str, Any] = {name: comfy.conds.CONDRegular(value) for name, value in inputs(kind).items()}
    if kind == "vace":
        conds["vace_strength"] = comfy.conds.CONDConstant([1.0])
    text = generator(seed)(1, 12, 32)
    conds["c_crossattn"] = comfy.conds.CONDRegular(text)
    return [[text, {"model_conds": conds, **values}]]


def channels(kind: str) -> int:
    return 48 if kind == "5b" else 16


def sigmas(steps: int = STEPS) -> Tensor:
    """Evenly spaced times at a shift, down to 0."""
    times = torch.linspace(1, 0, steps + 1)
    return SHIFT * times / (1 + (SHIFT - 1) * times)


def sample(
    model: ModelPatcher,
    kind: str = "base",
    *,
    cfg: float = 3.0,
    solver: str = "euler",
    steps: int = STEPS,
    positive: Cond | None = None,
    negative: Cond | None = None,
    frames: int = 3,
    seed: int = 7,
    given: Tensor | None = None,
) -> Tensor:
    """A run by the host's own guider."""
    guider = CFGGuider(model)
    guider.set_conds(positive or prompt(kind, 1), negative or prompt(kind, 2))
    guider.set_cfg(cfg)
    noise = generator(seed)(1, channels(kind), frames, 8, 8)
    schedule = sigmas(steps) if given is None else given
    return guider.sample(noise, torch.zeros_like(noise), sampler_object(solver), schedule, disable_pbar=True, seed=seed)


def cached(model: ModelPatcher, technique: Technique | None = None, **settings: Any) -> ModelPatcher:
    """A clone with a cache on it: the first block decides, and the guards do, if nothing else is said."""
    clone = model.clone()
    CacheOn(StepCache(technique or DualBlock(1), replace(SETTINGS, **settings)), HIGH)(clone)
    return clone


def always(**settings: Any) -> dict[str, Any]:
    """CacheSettings under which every evaluation is reused that the guards let."""
    return {"threshold": 1e9, "max_consecutive": 99, **settings}


@contextmanager
def calls(modules: Any) -> Iterator[list[int]]:
    """How often each of some modules was called while the block lasts."""
    found = [0] * len(modules)

    def count(number: int) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            found[number] += 1

        return hook

    hooks = [module.register_forward_hook(count(number)) for number, module in enumerate(modules)]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def blocks(model: ModelPatcher) -> nn.ModuleList:
    return model.model.diffusion_model.blocks


def base_model(model: ModelPatcher) -> BaseModel:
    return model.model
