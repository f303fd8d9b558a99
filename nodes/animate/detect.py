"""Nodes of the shelf "Animate" that look for people: in pictures in, what was found out."""

from collections.abc import Iterator
from typing import Any

import comfy.model_management
import numpy as np
import torch
from comfy_api.latest import io

from ...animate.boxes import around_mask, from_boxes, to_boxes
from ...animate.detect import EMBEDDED, Detector, load_detector
from ...animate.detector.onnx.files import FOLDER, onnx_files
from ...animate.openpose import from_keypoints, to_keypoints
from ...animate.person_mask import masks_of_pose
from ...animate.pose import Pose, counts
from ...animate.smooth import REACH, close_gaps, smooth
from ...animate.tracker import LARGEST, PICKS, PersonSearch
from ...experts.fingerprint import fingerprint
from ...video.clip import Clip
from ..clips import clip_of, stop_if_interrupted, watch
from ..schema import advanced, schema
from ..sockets import BoundingBox, PoseKeypoint, WanDetector, WanPose
from ..text import log_report

CATEGORY = "Wan Duet/Animate"
FPS = 30.0  # of images, which have no frame rate of their own; Animate was trained at 30
DEVICES = ("auto", "cpu")
SAME_VIDEO = "Connect the video that the pose was detected in."


def clip_input(name: str = "video") -> io.MultiType.Input:
    """The socket of a driving video."""
    return io.MultiType.Input(name, types=[io.Video, io.Image], tooltip="The driving video, or images of one.")


class LoadDetector(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_LoadDetector",
            display_name="Wan Animate: Load Detector",
            category=CATEGORY,
            description="The detector of people that comes with this pack: body, hands, face and mask, several people, "
            "nothing to download. Or your own ONNX files in models/detection. Files are read at first use.",
            search_aliases=["pose detector", "dwpose", "vitpose", "mediapipe", "blazepose", "openpose", "yolo", "onnx"],
            inputs=[
                io.Combo.Input(
                    "device", options=list(DEVICES), default="auto", tooltip="auto: where ComfyUI runs its models."
                ),
                *_models(),
            ],
            outputs=[WanDetector.Output(display_name="detector", tooltip="For Detect Pose and Segment Person.")],
        )

    @classmethod
    def validate_inputs(cls, pose_model: str = EMBEDDED, person_model: str = EMBEDDED) -> bool:
        """Accept any name: a missing file raises with what to do about it."""
        return True

    @classmethod
    def fingerprint_inputs(cls, **settings: str | None) -> tuple:
        """The files as they are on disk; a name that comes over a link is None here."""
        names = (settings.get(name) for name in ("pose_model", "person_model"))
        return *(fingerprint(name, FOLDER) for name in names if name), *settings.items()

    @classmethod
    def execute(cls, device: str, pose_model: str = EMBEDDED, person_model: str = EMBEDDED) -> io.NodeOutput:
        chosen = comfy.model_management.get_torch_device() if device == "auto" else torch.device("cpu")
        return io.NodeOutput(load_detector(chosen, pose_model, person_model, stop_if_interrupted))


def _models() -> list[io.Input]:
    tooltips = {
        "pose_model": "Detector of points. A ViTPose wholebody or DWPose file in models/detection needs onnxruntime.",
        "person_model": "Detector of people. A YOLOX or YOLOv10 file in models/detection is run on every frame.",
    }
    names = [EMBEDDED, *onnx_files()]
    return [
        io.Combo.Input(name, options=names, default=EMBEDDED, optional=True, tooltip=tooltip)
        for name, tooltip in tooltips.items()
    ]


class DetectPose(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_DetectPose",
            display_name="Wan Animate: Detect Pose",
            category=CATEGORY,
            description="Detects people in a video and tracks them: body, hands and face as points, not as pictures. "
            "A frame without anybody is no error; the report counts found, filled and missing.",
            search_aliases=["pose estimation", "openpose", "dwpose", "vitpose", "skeleton", "keypoints", "animate"],
            inputs=[
                WanDetector.Input("detector", tooltip="From Load Detector."),
                clip_input(),
                *_whom(),
                *_calmed(),
                *_looked_for(),
                *_point(),
                *_given(),
            ],
            outputs=[
                WanPose.Output(display_name="pose", tooltip="The points of everybody in every frame."),
                PoseKeypoint.Output(display_name="keypoints", tooltip="The same for the nodes of other packs."),
                BoundingBox.Output(display_name="boxes", tooltip="A box around each person, for nodes that segment."),
                io.String.Output(
                    display_name="report", tooltip="How many people were seen and followed, and in how many frames."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        detector: Detector,
        video: Any,
        people: int,
        pick: str,
        skip: int,
        smoothing: str,
        fill_gaps: int,
        small_people: bool = True,
        hands: bool = True,
        face: bool = True,
        point_x: float = 0.5,
        point_y: float = 0.5,
        boxes: Any = None,
        mask: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        clip = clip_of(video, FPS)
        search = PersonSearch(people, pick, skip, (point_x, point_y), small_people, hands, face)
        pose = detector.pose(watch(clip.frames(), clip.count), search, float(clip.fps), _where(clip, boxes, mask))
        pose = smooth(close_gaps(pose, fill_gaps), smoothing)
        report = f"{len(pose)} frames of {pose.width}x{pose.height} at {pose.fps:g} fps\n{counts(pose, pick)}"
        return io.NodeOutput(pose, to_keypoints(pose), to_boxes(pose), log_report(report))


def _whom() -> list[io.Input]:
    return [
        io.Int.Input("people", default=1, min=1, max=16, tooltip="Most people to track."),
        io.Combo.Input(
            "pick",
            options=list(PICKS),
            default=LARGEST,
            tooltip="Order of choice where there are more: the largest, the leftmost, or the nearest to the point.",
        ),
        io.Int.Input(
            "skip", default=0, min=0, max=15, tooltip="Leave out this many of them: 1 takes the second person."
        ),
    ]


def _calmed() -> list[io.Input]:
    return [
        io.Combo.Input(
            "smoothing",
            options=list(REACH),
            default="light",
            tooltip="Smooths trembling points over the 2 (light) or 4 (strong) frames to each side.",
        ),
        io.Int.Input(
            "fill_gaps",
            default=5,
            min=0,
            max=240,
            tooltip="Longest gap to fill, in frames, while somebody is missing. 0: fill none.",
        ),
    ]


def _looked_for() -> list[io.Input]:
    tooltips = {
        "small_people": "Search parts of the picture too, for small and for several people. Slower, but only while "
        "somebody is missing.",
        "hands": "Find both hands' fingers.",
        "face": "Find the face's points.",
    }
    return [
        advanced(io.Boolean.Input(name, default=True, optional=True, tooltip=tooltip))
        for name, tooltip in tooltips.items()
    ]


def _point() -> list[io.Input]:
    return [
        advanced(
            io.Float.Input(
                f"point_{axis}",
                default=0.5,
                min=0.0,
                max=1.0,
                step=0.01,
                optional=True,
                tooltip=f"The point to be near to, from 0 ({start}) to 1 ({end}).",
            )
        )
        for axis, start, end in (("x", "left", "right"), ("y", "top", "bottom"))
    ]


def _given() -> list[io.Input]:
    return [
        BoundingBox.Input(
            "boxes",
            optional=True,
            tooltip="Boxes of people from another node: nobody outside them is detected.",
            extra_dict={"forceInput": True},  # newer hosts have a widget for this type
        ),
        io.Mask.Input(
            "mask", optional=True, tooltip="Mask of one person, in place of boxes: its bounding box is used."
        ),
    ]


def _where(clip: Clip, boxes: Any, mask: torch.Tensor | None) -> list[np.ndarray] | None:
    """The boxes [N, 4] of each frame that came with the clip, if any did."""
    if boxes is not None and mask is not None:
        raise ValueError("boxes and mask are both connected. Keep the one that says where the people are.")
    if boxes is not None:
        return from_boxes(boxes, clip.count, clip.width, clip.height)
    return None if mask is None else around_mask(mask, clip.count, clip.width, clip.height)


class PoseFromKeypoints(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_PoseFromKeypoints",
            display_name="Wan Animate: Keypoints To Pose",
            category=CATEGORY,
            description="Takes what another node has detected, such as DWPose or SDPose, as a pose for this pack.",
            search_aliases=["dwpose", "openpose", "sdpose", "pose keypoint"],
            inputs=[
                PoseKeypoint.Input(
                    "keypoints", tooltip="In pixels, or as fractions of the canvas: either is recognised."
                ),
                io.Float.Input(
                    "fps", default=FPS, min=1.0, max=240.0, step=0.01, tooltip="Frames a second of the video."
                ),
            ],
            outputs=[
                WanPose.Output(display_name="pose", tooltip="The points of everybody in every frame."),
                io.String.Output(display_name="report", tooltip="In how many frames each person is."),
            ],
        )

    @classmethod
    def execute(cls, keypoints: list[dict[str, Any]], fps: float) -> io.NodeOutput:
        pose = from_keypoints(keypoints, fps)
        return io.NodeOutput(pose, log_report(counts(pose)))


class SegmentPerson(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_SegmentPerson",
            display_name="Wan Animate: Segment Person",
            category=CATEGORY,
            description="The mask of the people of a pose, frame by frame. Empty where they are missing.",
            search_aliases=["mask", "segmentation", "sam", "matting", "replace character"],
            inputs=[
                WanDetector.Input("detector", tooltip="From Load Detector."),
                clip_input(),
                WanPose.Input("pose", tooltip="The people to segment: from Detect Pose, of the same video."),
                io.Float.Input(
                    "threshold",
                    default=0.5,
                    min=0.05,
                    max=0.95,
                    step=0.05,
                    tooltip="Confidence that a pixel needs. Lower makes the mask larger.",
                ),
            ],
            outputs=[
                io.Mask.Output(display_name="mask", tooltip="1 where the people are, for Mask Shape."),
                io.String.Output(display_name="report", tooltip="In how many frames there is a mask."),
            ],
        )

    @classmethod
    def execute(cls, detector: Detector, video: Any, pose: Pose, threshold: float) -> io.NodeOutput:
        clip = clip_of(video, FPS)
        mask = masks_of_pose(detector.embedded, frames_of(pose, clip), pose).ge_(threshold)
        covered = mask.flatten(1).mean(1)
        report = f"{int((covered > 0).sum())} of {len(mask)} frames have a mask, {covered.mean():.1%} of the picture"
        return io.NodeOutput(mask, log_report(report))


def frames_of(pose: Pose, clip: Clip) -> Iterator[np.ndarray]:
    """The frames of a clip, watched. Raises ValueError if the pose can't be of them: of another size, or number."""
    if (pose.width, pose.height) != (clip.width, clip.height):
        raise ValueError(
            f"pose is of a video of {pose.width}x{pose.height}, video is {clip.width}x{clip.height}. {SAME_VIDEO}"
        )
    count = 0
    for count, frame in enumerate(
        watch(clip.frames(), clip.count), 1
    ):  # a broken file may have fewer than its index says
        if count > len(pose):
            break
        yield frame
    if count != len(pose):
        raise ValueError(f"pose has {len(pose)} frames, video {max(count, clip.count)}. {SAME_VIDEO}")
