"""The eleven provider nodes: which endpoints each stands for, what comes over its sockets, which widgets are shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ...remote.contract.contracts import Contract, contract
from .fields import Field, fields_of

A14B = "fal-ai/wan/v2.2-a14b"
S14B = "fal-ai/wan/v2.2-14b"
TI5B = "fal-ai/wan/v2.2-5b"
WAN22 = ("paid", "cloud", "api", "remote", "video generation")


@dataclass(frozen=True)
class RemoteNode:
    """One row. `endpoints` by variant: with several, the node has a widget to choose by; `needs` are sockets that must
    be connected, `takes` those that may be; every widget that is not in `shown` is folded away."""

    id: str
    title: str
    description: str
    endpoints: Mapping[str, str]
    shown: tuple[str, ...]
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    aliases: tuple[str, ...] = WAN22
    experimental: bool = False

    @property
    def contracts(self) -> dict[str, Contract]:
        """The documented request of each variant."""
        return {variant: contract(endpoint) for variant, endpoint in self.endpoints.items()}

    @cached_property
    def fields(self) -> list[Field]:
        """The widgets, read from the contracts when they are first asked for."""
        return fields_of(self.contracts)


ROWS = (
    RemoteNode(
        "RunwareWan22Turbo",
        "Turbo Video, Wan 2.2 (Runware, paid)",
        "Wan 2.2 A14B Turbo at Runware: a video from a text, or from images for its first and last frame.",
        {"Turbo": "runware/wan22_a14b_turbo"},
        shown=("prompt", "resolution", "duration", "seed", "number_results"),
        takes=("frames", "loras"),
    ),
    RemoteNode(
        "RunwareWan22Animate",
        "Motion Transfer, Wan 2.2 Animate (Runware, paid)",
        "Wan 2.2 Animate at Runware: the person of an image moves like the one of a video, or takes that one's place.",
        {"Animate": "runware/wan22_animate"},
        shown=("mode", "prompt", "resolution", "seed", "number_results"),
        needs=("image", "video"),
        takes=("loras",),
    ),
    RemoteNode(
        "RunwareWan25",
        "Video With Sound, Wan 2.5 (Runware, paid)",
        "Wan 2.5 Preview at Runware: a video with sound from a text, or from an image for its first frame.",
        {"Wan 2.5": "runware/wan25_preview"},
        shown=("prompt", "resolution", "duration", "seed", "number_results"),
        takes=("frames", "audio"),
    ),
    RemoteNode(
        "FalTextToVideo",
        "Text-to-Video, Wan 2.2 (fal, paid)",
        "Wan 2.2 at fal: a video from a text.",
        {
            "A14B": f"{A14B}/text-to-video",
            "A14B LoRA": f"{A14B}/text-to-video/lora",
            "A14B Turbo": f"{A14B}/text-to-video/turbo",
            "5B": f"{TI5B}/text-to-video",
            "5B Distill": f"{TI5B}/text-to-video/distill",
            "5B FastWan": f"{TI5B}/text-to-video/fast-wan",
        },
        shown=("prompt", "resolution", "aspect_ratio", "num_frames", "seed"),
        takes=("loras",),
    ),
    RemoteNode(
        "FalImageToVideo",
        "Image-to-Video, Wan 2.2 (fal, paid)",
        "Wan 2.2 at fal: a video from an image for its first frame, or for its first and its last one.",
        {
            "A14B": f"{A14B}/image-to-video",
            "A14B LoRA": f"{A14B}/image-to-video/lora",
            "A14B Turbo": f"{A14B}/image-to-video/turbo",
            "5B": f"{TI5B}/image-to-video",
        },
        shown=("prompt", "resolution", "num_frames", "seed"),
        needs=("frames",),
        takes=("loras",),
    ),
    RemoteNode(
        "FalVideoToVideo",
        "Video-to-Video, Wan 2.2 (fal, paid)",
        "Wan 2.2 A14B at fal: a video made anew after a text.",
        {"A14B": f"{A14B}/video-to-video"},
        shown=("prompt", "strength", "resolution", "num_frames", "seed"),
        needs=("video",),
    ),
    RemoteNode(
        "FalTextToImage",
        "Text-to-Image, Wan 2.2 (fal, paid)",
        "Wan 2.2 at fal: one image from a text.",
        {
            "A14B": f"{A14B}/text-to-image",
            "A14B LoRA": f"{A14B}/text-to-image/lora",
            "5B": f"{TI5B}/text-to-image",
        },
        shown=("prompt", "image_size", "seed"),
        takes=("loras",),
    ),
    RemoteNode(
        "FalImageToImage",
        "Image-to-Image, Wan 2.2 (fal, paid)",
        "Wan 2.2 A14B at fal: an image made anew after a text.",
        {"A14B": f"{A14B}/image-to-image"},
        shown=("prompt", "strength", "image_size", "seed"),
        needs=("image",),
    ),
    RemoteNode(
        "FalSpeechToVideo",
        "Speech-to-Video, Wan 2.2 (fal, paid)",
        "Wan 2.2 S2V at fal: the person of an image speaks or sings to a sound.",
        {"S2V": f"{S14B}/speech-to-video"},
        shown=("prompt", "resolution", "num_frames", "seed"),
        needs=("image", "audio"),
    ),
    RemoteNode(
        "FalAnimate",
        "Motion Transfer, Wan 2.2 Animate (fal, paid)",
        "Wan 2.2 Animate at fal: move, the person of the image moves like the one of the video; replace, it takes that "
        "one's place.",
        {"move": f"{S14B}/animate/move", "replace": f"{S14B}/animate/replace"},
        shown=("resolution", "use_turbo", "seed"),
        needs=("image", "video"),
    ),
    RemoteNode(
        "RivyaWan22Turbo",
        "Turbo Video, Wan 2.2 (Rivya, paid)",
        "Wan 2.2 A14B Turbo at Rivya: a video from a text, from an image, or from an image that speaks to a sound.",
        {"Turbo": "rivya/wan22_a14b_turbo"},
        shown=("prompt", "resolution", "aspect_ratio", "seed"),
        takes=("image", "audio"),
        experimental=True,
    ),
)
