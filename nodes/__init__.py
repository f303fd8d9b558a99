"""Nodes as ComfyUI sees them: schemas that convert and call, nothing more."""

from comfy_api.latest import ComfyExtension, io

from .animate.detect import DetectPose, LoadDetector, PoseFromKeypoints, SegmentPerson
from .animate.draw import DrawPose, FaceCrop, MaskShape, PoseOverlay, RetargetPose
from .cache.techniques import CACHE_NODES
from .door import check_inputs
from .experts.lora import ApplyLoras, Lora
from .experts.pair import ExpertsFromModels, LoadExperts, ModelsFromExperts
from .frames.images import FrameConditioning, FrameImageNode
from .frames.size import SizeNode
from .frames.source_video import VideoToLatent
from .remote import REMOTE_NODES
from .remote.routes.budget_route import BUDGETS
from .remote.routes.key_route import KEYS
from .sampling.plan import PresetNode, ProviderSchedulerNode, StagePlan
from .sampling.run import Guider, Sampler
from .video.save import SaveVideo

LOCAL_NODES: list[type[io.ComfyNode]] = [
    LoadExperts,
    ExpertsFromModels,
    ModelsFromExperts,
    Lora,
    ApplyLoras,
    StagePlan,
    PresetNode,
    ProviderSchedulerNode,
    Guider,
    Sampler,
    *CACHE_NODES,
    SizeNode,
    FrameImageNode,
    FrameConditioning,
    VideoToLatent,
    LoadDetector,
    DetectPose,
    PoseFromKeypoints,
    RetargetPose,
    DrawPose,
    FaceCrop,
    SegmentPerson,
    MaskShape,
    PoseOverlay,
    SaveVideo,
]


class WanDuetExtension(ComfyExtension):
    """The list of every node of the pack, and the HTTP routes of its settings."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        KEYS.add()  # ComfyUI 0.3.75 does not call on_load
        BUDGETS.add()
        return [*map(check_inputs, [*LOCAL_NODES, *REMOTE_NODES])]
