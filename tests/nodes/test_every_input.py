"""Every input of every local node arrives: another value changes what the domain is asked for, or an output.

An input whose name is borne by something on the way changes just that, so that two of one kind can't change places.
"""

import hashlib
import types
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.sd
import folder_paths
import numpy as np
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from comfy_api.input_impl import VideoFromComponents
from comfy_api.latest import io
from comfy_api.util import VideoComponents
from wan_duet.animate.openpose import to_keypoints
from wan_duet.conditioning.frame_images import FrameImage
from wan_duet.dev.tiny import transformer
from wan_duet.experts.handle import MissingHandle, ModelHandle
from wan_duet.experts.lora.spec import LoraSpec
from wan_duet.experts.pair import Expert, Experts
from wan_duet.nodes import LOCAL_NODES
from wan_duet.nodes.sampling import run
from wan_duet.nodes.video import save
from wan_duet.samplers.plan import Plan, two_phases
from wan_duet.samplers.solvers.names import solver
from wan_duet.tests.animate.people import person, pose_of
from wan_duet.tests.nodes.outcome import Calls, arrives, flat, outcome, watch_the_door

Given = dict[str, Any]
CACHES = ("FirstBlockCache", "DualBlockCache", "TeaCache", "MagCache", "SeaCache")
NODES = {node.define_schema().node_id: node for node in LOCAL_NODES}


def rand(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def pair(*names: str) -> Experts:
    """Experts by name, whose files are not there."""
    return Experts(*(Expert(MissingHandle(name, f"{name} is not there")) for name in names))


def film(images: torch.Tensor, rate: int = 30, audio: Any = None) -> VideoFromComponents:
    return VideoFromComponents(VideoComponents(images=images, frame_rate=rate, audio=audio))


def sound(seed: int = 0, rate: int = 16000) -> Given:
    return {"waveform": rand(1, 1, 1600, seed=seed) - 0.5, "sample_rate": rate}


class Vae:
    """One that fills each latent frame with its frame's mean, and some more where it is told to."""

    latent_channels, latent_dim = 16, 3

    def __init__(self, more: float = 0.0) -> None:
        self.more = more

    def encode(self, clip: torch.Tensor) -> torch.Tensor:
        """[T, H, W, 3] to [1, 16, t, H/8, W/8]."""
        return clip[::4, ::8, ::8, :1].movedim(-1, 0)[None].repeat(1, 16, 1, 1, 1) + self.more


class Sees:
    """A detector that sees the same in every picture, half surely, and whom it is asked for."""

    def __init__(self, heat: float = 0.3) -> None:
        self.heat = heat
        self.embedded = self
        self.asked: list[Given] = []

    def pose(self, frames: Any, search: Any, fps: float, boxes: Any = None) -> Any:
        """The moving person of POSE, and in the last part another one."""
        pictures = np.stack(list(frames))
        self.asked.append({"frames": pictures, "search": search, "fps": fps, "boxes": boxes, "detector": self.heat})
        return POSE

    def look(self, image: torch.Tensor, regions: Any) -> Any:
        """A mask all over each region."""
        self.asked.append({"frame": image, "regions": regions})
        return types.SimpleNamespace(masks=torch.full((len(regions), 8, 8), self.heat), regions=regions)


PEOPLE = [[person(20 + t * t, 30, 0.2), None if t == 2 else person(40, 30 + t % 2, 0.2)] for t in range(5)]
POSE = pose_of(*PEOPLE, width=64, height=48)
OTHER_POSE = pose_of(*([person(25, 30, 0.25), None] for _ in range(5)), width=64, height=48)
IMAGES, OTHER_IMAGES = rand(5, 48, 64, 3), rand(5, 48, 64, 3, seed=1)
FILM = film(IMAGES)
MASK, OTHER_MASK = torch.zeros(5, 48, 64), torch.zeros(5, 48, 64)
MASK[:, 10:30, 10:41], OTHER_MASK[:, 20:30, 5:50] = 1, 1
TEXT, OTHER_TEXT = [[rand(1, 4, 8), {"pooled_output": None}]], [[rand(1, 4, 8, seed=1), {"pooled_output": None}]]
T2V, I2V = pair("t2v_high.safetensors", "t2v_low.safetensors"), pair("i2v_high.safetensors", "i2v_low.safetensors")
TI2V = pair("wan2.2_ti2v_5B.safetensors")
PLAN = Plan((1.0, 0.9, 0.5, 0.0), 8.0, two_phases(0.875, 3.5, 2.5))
OTHER_PLAN = Plan((1.0, 0.7, 0.0), 8.0, two_phases(0.875, 3.5, 2.5))
LATENT = {"samples": torch.zeros(1, 16, 2, 8, 8)}
ROW, OTHER_ROW = LoraSpec("style.safetensors", 1.0, "both"), LoraSpec("other.safetensors", 1.0, "both")
FRAMES = (FrameImage(IMAGES[:1], "first"),)

# One value of each socket, and others; a part of a value that can be left out makes a value of its own
SOCKETS: dict[str, tuple[Any, list[Any]]] = {
    "IMAGE": (IMAGES, [OTHER_IMAGES]),
    "MASK": (MASK, [OTHER_MASK]),
    "VIDEO": (FILM, [film(OTHER_IMAGES)]),
    "AUDIO": (sound(), [sound(1), sound(0, 8000)]),
    "LATENT": (
        LATENT,
        [
            {"samples": torch.ones(1, 16, 2, 8, 8)},
            {**LATENT, "noise_mask": torch.ones(1, 1, 2, 8, 8)},
            {**LATENT, "batch_index": [3]},
        ],
    ),
    "CONDITIONING": (TEXT, [OTHER_TEXT, [[TEXT[0][0], {"pooled_output": None, "strength": 0.5}]]]),
    "VAE": (Vae(), [Vae(0.5)]),
    "SAMPLER": (solver("euler"), [solver("heun"), solver("flow_unipc", {"order": 3})]),
    "WAN_EXPERTS": (T2V, [I2V]),
    "WAN_PLAN": (PLAN, [OTHER_PLAN]),
    "WAN_LORAS": ((ROW,), [(ROW, OTHER_ROW), (OTHER_ROW,)]),
    "WAN_FRAMES": (FRAMES, [(FrameImage(IMAGES[1:2], "first"),), (FrameImage(IMAGES[:1], "last"),)]),
    "WAN_DETECTOR": (Sees(), []),  # seen below, where it is asked
    "WAN_POSE": (POSE, [OTHER_POSE]),
    "POSE_KEYPOINT": (to_keypoints(POSE), [to_keypoints(OTHER_POSE)]),
    "BOUNDING_BOX": (None, [[[{"x": 1, "y": 2, "width": 30, "height": 40}]] * 5]),
}
# Inputs that are not connected where their node is called first
EMPTY = {
    ("WanDuet_DetectPose", "mask"),
    ("WanDuet_StagePlan", "solver"),
    ("WanDuet_SaveVideo", "experts"),
    ("WanDuet_SaveVideo", "plan"),
    ("WanDuet_ProviderScheduler", "experts"),
}
# Values of one node, or others of one input, where those that its schema and the table above make won't do
GIVEN: dict[str, Given] = {
    "WanDuet_LoadExperts": {"high": "a_high.safetensors", "low": "a_low.safetensors"},
    "WanDuet_Lora": {"file": "a_high.safetensors", "schedule": "1"},
    "WanDuet_StagePlan": {"strength": 0.5, "steps": 8},
    **{f"WanDuet_{name}": {"acceleration": "custom", "reuse_threshold": 0.3} for name in CACHES},
    "WanDuet_FrameConditioning": {"width": 64, "height": 48, "length": 5, "experts": None},
    "WanDuet_VideoToLatent": {"width": 64, "height": 48, "length": 5, "resample_fps": 30.0},
    "WanDuet_DetectPose": {"fill_gaps": 0, "smoothing": "off"},
    "WanDuet_MaskShape": {"blocks": "by pixels", "across": 3, "along": 4},
    "WanDuet_SaveVideo": {"filename_prefix": "clip"},
}
OTHERS: dict[tuple[str, str], list[Any]] = {
    ("WanDuet_LoadExperts", "high"): ["b_high.safetensors"],
    ("WanDuet_LoadExperts", "low"): ["b_low.safetensors", "none"],
    ("WanDuet_Lora", "file"): ["b_high.safetensors"],
    ("WanDuet_Lora", "low_file"): ["a_low.safetensors", "none"],
    ("WanDuet_Lora", "schedule"): ["0.9;1"],
    ("WanDuet_Lora", "remote_id"): ["owner/repo"],
    ("WanDuet_DualBlockCache", "step_mask"): ["##.."],
    ("WanDuet_FrameImage", "frame"): ["last"],
    ("WanDuet_FrameConditioning", "experts"): [TI2V],
    ("WanDuet_StagePlan", "solver"): [solver("heun"), solver("flow_unipc", {"order": 3})],
    ("WanDuet_Size", "image"): [rand(1, 64, 48, 3), film(rand(1, 64, 32, 3))],
    ("WanDuet_Size", "experts"): [TI2V],
    ("WanDuet_LoadDetector", "pose_model"): ["none.onnx"],
    ("WanDuet_LoadDetector", "person_model"): ["none.onnx"],
    ("WanDuet_DetectPose", "video"): [film(OTHER_IMAGES), film(IMAGES, 24)],
    ("WanDuet_SegmentPerson", "threshold"): [0.25, 0.3],
    ("WanDuet_SaveVideo", "video"): [film(OTHER_IMAGES), film(IMAGES, 24), film(IMAGES, audio=sound())],
    ("WanDuet_SaveVideo", "filename_prefix"): ["other/clip"],
    ("WanDuet_SaveVideo", "ran"): ["12 evaluations"],
    ("WanDuet_SaveVideo", "exact_quality"): [30],
    ("WanDuet_SaveVideo", "upload_profile"): ["mine"],
}
# What else must be set for an input to matter
WITH: dict[tuple[str, str], Given] = {
    ("WanDuet_LoadExperts", "allow_same_file"): {"low": "a_high.safetensors"},
    ("WanDuet_ProviderScheduler", "experts"): {"provider_scheduler": "LCM"},
    ("WanDuet_Size", "width"): {"resolution": "custom"},
    ("WanDuet_Size", "height"): {"resolution": "custom"},
    ("WanDuet_SaveVideo", "video"): {"audio": None},
    ("WanDuet_SaveVideo", "interpolated_frames"): {"interpolation": "film"},
    ("WanDuet_SaveVideo", "adjust_fps"): {"interpolation": "film"},
}
# What an input is called on the way, if not by its own name
CALLED = {
    ("WanDuet_ApplyLoras", "loras"): "specs",
    ("WanDuet_DetectPose", "point_x"): "point.0",
    ("WanDuet_DetectPose", "point_y"): "point.1",
    ("WanDuet_DetectPose", "small_people"): "tiled",
    ("WanDuet_StagePlan", "solver"): "sampler",
    ("WanDuet_Size", "image"): "like",
    **{(f"WanDuet_{name}", "reuse_threshold"): "threshold" for name in CACHES},
}
# Inputs that change nothing, and why
REASONS: dict[tuple[str, str], str] = {}


@cache
def models() -> list[ModelPatcher]:
    """Three experts in memory."""
    made = [comfy.sd.load_diffusion_model_state_dict(transformer(seed)) for seed in range(3)]
    for model in made:
        model.model_size()  # which a patcher keeps once it was asked for
    return made


def opened(first: int, second: int) -> Experts:
    return Experts(*(Expert(ModelHandle(models()[place], "expert")) for place in (first, second)))


def from_models() -> Given:
    """The list alone; with `models` empty, the two others."""
    return {"models": models()[:2], "high": None, "low": None}


def declared() -> Iterator[Any]:
    for name, node in NODES.items():
        for one in node.define_schema().inputs:
            yield pytest.param(name, one.id, id=f"{name}-{one.id}")


def given_to(name: str) -> Given:
    """Everything that a node takes, as it is before anything is changed."""
    if name == "WanDuet_ExpertsFromModels":
        return from_models()
    if name == "WanDuet_ModelsFromExperts":
        return {"experts": opened(0, 1)}
    found = {one.id: _usual(name, one) for one in NODES[name].define_schema().inputs}
    return {**found, **GIVEN.get(name, {})}


def _usual(name: str, one: Any) -> Any:
    kind = one.get_io_type().split(",")[0]
    if (name, one.id) in EMPTY:
        return None
    if kind in SOCKETS:
        return Sees() if kind == "WAN_DETECTOR" else SOCKETS[kind][0]
    if kind == "COMBO" and getattr(one, "default", None) is None:
        return one.options[0] if one.options else ""
    return one.default if getattr(one, "default", None) is not None else ""


def others(name: str, one: Any, now: Any) -> list[Any]:
    """Other values of an input than the one it has."""
    if (name, one.id) in OTHERS:
        return OTHERS[name, one.id]
    if name == "WanDuet_ModelsFromExperts":
        return [opened(0, 2), opened(2, 1)]
    if name == "WanDuet_ExpertsFromModels":
        return [models()[::2]] if one.id == "models" else [[models()[2]]]
    kind = one.get_io_type().split(",")[0]
    if kind == "WAN_DETECTOR":
        return [Sees(0.7)]
    if kind in SOCKETS:
        usual, different = SOCKETS[kind]
        return [usual] if (name, one.id) in EMPTY else different
    if kind == "BOOLEAN":
        return [not now]
    if kind == "COMBO":
        return [option for option in one.options if option != now][:3]
    return [now + one.step if now + one.step <= one.max else now - one.step] if one.step else [now + 1]


class Bench:
    """Calls nodes with the doors watched, and what comes of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.calls = Calls()
        self.folder = folder
        self.monkeypatch = monkeypatch

    def outcome(self, name: str, given: Given) -> dict[tuple[str, ...], Any]:
        """The outcome of a call, with all that was asked of a detector and the file that was written."""
        number = len(list(self.folder.iterdir()))
        output = self.folder / str(number) / "output"
        output.mkdir(parents=True)
        self.monkeypatch.setattr(folder_paths, "get_output_directory", lambda: str(output))
        detector = given.get("detector", Sees())
        detector.asked.clear()
        node = type(name, (NODES[name],), {"hidden": HIDDEN})
        found = outcome(node, self.calls, given) | flat(detector.asked, ("asked",))
        found = {path: _without(value, output) for path, value in found.items()}
        for file in sorted(path for path in output.rglob("*") if path.is_file()):
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            found["written", file.relative_to(output).as_posix()] = digest
        return found


def _without(value: Any, folder: Path) -> Any:
    return str(value).replace(str(folder), "") if isinstance(value, str | Path) else value


HIDDEN = types.SimpleNamespace(prompt={}, extra_pnginfo=None, unique_id=None)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Bench]:
    """A function that gives the bench for a node: the host's sampling, a GPU and a provider are stand-ins."""

    def bench(name: str) -> Bench:
        made = Bench(monkeypatch, tmp_path)
        watch_the_door(NODES[name], made.calls, monkeypatch)
        if name == "WanDuet_LoadDetector":
            monkeypatch.setattr(comfy.model_management, "get_torch_device", lambda: torch.device("meta"))

        def sampled(noise: Any, guider: Any, sampler: Any, sigmas: Any, latent: Any) -> Any:
            return io.NodeOutput(latent, latent)

        def between(images: torch.Tensor, model: str, interpolated_frames: int) -> torch.Tensor:
            return images

        def sent(path: Path, upload_profile: str, settings: Any) -> str:
            return "sent"

        execute = made.calls.spy(sampled, "sample")
        monkeypatch.setattr(run, "SamplerCustomAdvanced", types.SimpleNamespace(execute=execute))
        monkeypatch.setattr(save, "interpolate", made.calls.spy(between))
        monkeypatch.setattr(save, "upload", made.calls.spy(sent))
        monkeypatch.setattr(save, "manager", lambda: None)
        return made

    return bench


@pytest.mark.parametrize(("name", "input"), list(declared()))
def test_another_value_arrives(name: str, input: str, bench: Callable[[str], Bench]) -> None:
    (one,) = (one for one in NODES[name].define_schema().inputs if one.id == input)
    given = {**given_to(name), **WITH.get((name, input), {})}
    if name == "WanDuet_ExpertsFromModels" and input != "models":
        given = {"models": None, "high": [models()[0]], "low": [models()[1]]}
    door = bench(name)
    before = door.outcome(name, given)
    assert door.outcome(name, given) == before, "the same call differs from itself, so that nothing can be seen"
    different = others(name, one, given[input])
    assert different
    wrong, outcomes = {}, [before]
    for value in different:
        after = door.outcome(name, {**given, input: value})
        if after in outcomes:
            wrong[str(value)[:60]] = "makes no difference to another value"
        outcomes.append(after)
        if problem := arrives(CALLED.get((name, input), input), given[input], value, before, after):
            wrong[str(value)[:60]] = problem
    if reason := REASONS.get((name, input)):
        assert wrong, f"{reason}: but it does change something"
    else:
        assert wrong == {}


def test_every_reason_and_setting_is_of_an_input_that_is_there() -> None:
    known = {(name, one.id) for name, node in NODES.items() for one in node.define_schema().inputs}
    assert known >= EMPTY | OTHERS.keys() | WITH.keys() | CALLED.keys() | REASONS.keys()
    assert NODES.keys() >= GIVEN.keys()
