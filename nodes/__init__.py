"""What ComfyUI sees: node schemas that convert and call, nothing more."""

from comfy_api.latest import ComfyExtension, io

from .cache import DualBlockCache, FirstBlockCache, MagCacheNode, SeaCacheNode, TeaCacheNode
from .door import checked
from .experts import ExpertsFromModels, LoadExperts, ModelsFromExperts
from .frames import FrameConditioning, FrameImage
from .lora import ApplyLoras, Lora
from .people import DetectPose, LoadDetector, PoseFromKeypoints, SegmentPerson
from .planning import Preset, ProviderScheduler, StagePlan
from .poses import DrawPose, FaceCrop, MaskShape, PoseOverlay, RetargetPose
from .remote import REMOTE_NODES
from .remote.budget_route import BUDGETS
from .remote.key_route import KEYS
from .sampling import Guider, Sampler
from .size import Size
from .source import VideoToLatent
from .video import SaveVideo

LOCAL_NODES: list[type[io.ComfyNode]] = [
    LoadExperts,
    ExpertsFromModels,
    ModelsFromExperts,
    Lora,
    ApplyLoras,
    StagePlan,
    Preset,
    ProviderScheduler,
    Guider,
    Sampler,
    FirstBlockCache,
    DualBlockCache,
    TeaCacheNode,
    MagCacheNode,
    SeaCacheNode,
    Size,
    FrameImage,
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
        return [*map(checked, [*LOCAL_NODES, *REMOTE_NODES])]
