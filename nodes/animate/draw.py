"""Nodes of the shelf "Animate" that make of a pose what Wan 2.2 Animate takes, and pictures to check it by."""

from typing import Any

import numpy as np
import torch
from comfy_api.latest import io

from ...animate.draw import draw_pose
from ...animate.face_crop import BLACK, HOLD, Box, crop_faces, face_boxes, face_counts
from ...animate.mask_shape import BLOCKS, OFF, black_out, grow_mask, make_blocky
from ...animate.overlay import overlay_pose
from ...animate.person_mask import check_masks
from ...animate.pose import MISSING, Pose
from ...animate.retarget import retarget
from ..clips import clip_of, watch
from ..schema import advanced, schema
from ..sockets import WanPose
from ..text import log_report
from .detect import CATEGORY, FPS, clip_input, frames_of

FACE_AREA = 1.3


class RetargetPose(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_RetargetPose",
            display_name="Wan Animate: Retarget Pose",
            category=CATEGORY,
            description="Gives the motion of one person the proportions of another: every limb keeps its angle and "
            "gets the length it has in the reference image. For mode animate.",
            search_aliases=["pose retarget", "proportions", "animate"],
            inputs=[
                WanPose.Input("pose", tooltip="The motion. Its first person is taken."),
                WanPose.Input("reference", tooltip="The pose in the reference image, from a Detect Pose of its own."),
            ],
            outputs=[WanPose.Output(display_name="pose", tooltip="The motion, on the reference image's canvas.")],
        )

    @classmethod
    def execute(cls, pose: Pose, reference: Pose) -> io.NodeOutput:
        return io.NodeOutput(retarget(pose, reference))


class DrawPose(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_DrawPose",
            display_name="Wan Animate: Draw Pose",
            category=CATEGORY,
            description="Skeletons on black, in the style that Wan 2.2 Animate was trained on: its own colours and "
            "widths, toes, no dots on the face.",
            search_aliases=["pose video", "skeleton", "openpose", "render pose"],
            inputs=[
                WanPose.Input("pose", tooltip="From Detect Pose or Retarget Pose."),
                advanced(io.Boolean.Input("head", default=True, optional=True, tooltip="Draw nose, eyes and ears.")),
                advanced(io.Boolean.Input("hands", default=True, optional=True, tooltip="Draw the fingers.")),
            ],
            outputs=[io.Image.Output(display_name="pose_video", tooltip="For the pose video of Animate's nodes.")],
        )

    @classmethod
    def execute(cls, pose: Pose, head: bool = True, hands: bool = True) -> io.NodeOutput:
        images = torch.empty(len(pose), pose.height, pose.width, 3)
        for frame, image in watch(enumerate(images), len(images)):
            picture = draw_pose(pose.people(frame), pose.width, pose.height, head=head, hands=hands)
            image.copy_(torch.from_numpy(picture) / 255)
        return io.NodeOutput(images)


class FaceCrop(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_FaceCrop",
            display_name="Wan Animate: Face Crop",
            category=CATEGORY,
            description="The face of one person in every frame, 512x512, cut as Wan's own preprocessing cuts it.",
            search_aliases=["face video", "crop face", "animate"],
            inputs=[
                clip_input(),
                WanPose.Input("pose", tooltip="From Detect Pose, of the same video."),
                io.Int.Input("person", default=0, min=0, max=15, tooltip="Whose face: 0 is the pose's first person."),
                io.Combo.Input(
                    "missing",
                    options=[HOLD, BLACK],
                    default=HOLD,
                    tooltip="hold: the place of the nearest face in time. black: what Wan takes for no face.",
                ),
                advanced(
                    io.Float.Input(
                        "area",
                        default=FACE_AREA,
                        min=1.0,
                        max=4.0,
                        step=0.05,
                        optional=True,
                        tooltip="Area of the crop in that of the face. Wan was trained at 1.3.",
                    )
                ),
            ],
            outputs=[
                io.Image.Output(display_name="face_video", tooltip="For the face video of Animate's nodes."),
                io.String.Output(display_name="report", tooltip="In how many frames there is a face."),
            ],
        )

    @classmethod
    def execute(cls, video: Any, pose: Pose, person: int, missing: str, area: float = FACE_AREA) -> io.NodeOutput:
        if person >= pose.states.shape[1]:
            raise ValueError(f"person is {person}, pose has {pose.states.shape[1]} people. The first one is 0.")
        faces = crop_faces(frames_of(pose, clip_of(video, FPS)), face_boxes(pose, person, area, missing))
        return io.NodeOutput(faces, log_report(face_counts(pose, person, missing)))


class MaskShape(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_MaskShape",
            display_name="Wan Animate: Mask Shape",
            category=CATEGORY,
            description="Makes a mask larger and plainer, so that a character of another build fits, and blacks it out "
            "in the background. An empty mask stays empty.",
            search_aliases=["grow mask", "dilate mask", "blockify mask", "background video", "replace character"],
            inputs=[
                io.Mask.Input("mask", tooltip="From Segment Person or any other node."),
                io.Int.Input("grow", default=9, min=0, max=256, tooltip="In pixels. Wan's own preprocessing takes 9."),
                io.Combo.Input(
                    "blocks",
                    options=list(BLOCKS),
                    default=OFF,
                    tooltip="Fills whole cells: so many (as in Wan's own preprocessing), or of so many pixels.",
                ),
                io.Int.Input(
                    "across", default=1, min=1, max=512, tooltip="Cells across the mask, or pixels that one is wide."
                ),
                io.Int.Input(
                    "along", default=1, min=1, max=512, tooltip="Cells down the mask, or pixels that one is high."
                ),
                io.Image.Input("images", optional=True, tooltip="The frames, for the background."),
            ],
            outputs=[
                io.Mask.Output(display_name="mask", tooltip="For the character mask of Animate's nodes."),
                io.Image.Output(
                    display_name="background", tooltip="The frames, black in the mask; the mask without any."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        mask: torch.Tensor,
        grow: int,
        blocks: str,
        across: int,
        along: int,
        images: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        masks = mask.reshape(-1, *mask.shape[-2:])
        if images is not None and images.shape[:3] != masks.shape:
            frames, height, width = images.shape[:3]
            raise ValueError(
                f"images are {frames} of {width}x{height}, mask is {len(masks)} of {masks.shape[2]}x{masks.shape[1]}. "
                "Connect the frames that the mask was made of."
            )
        made = torch.empty(masks.shape, device=masks.device)
        for one, shaped in watch(zip(masks, made, strict=True), len(made)):
            shaped.copy_(make_blocky(grow_mask((one[None] >= 0.5).float(), grow), blocks, across, along)[0])
        background = made[..., None].expand(-1, -1, -1, 3) if images is None else black_out(images[..., :3], made)
        return io.NodeOutput(made, background)


class PoseOverlay(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_PoseOverlay",
            display_name="Wan Animate: Pose Overlay",
            category=CATEGORY,
            description="Draws the detections on the frames themselves: skeletons, boxes, mask and face crops. Look at "
            "it before you spend an hour on sampling.",
            search_aliases=["pose preview", "debug pose", "check mask"],
            inputs=[
                clip_input(),
                WanPose.Input("pose", tooltip="From Detect Pose, of the same video."),
                io.Mask.Input("mask", optional=True, tooltip="Tinted green."),
                advanced(
                    io.Boolean.Input("boxes", default=True, optional=True, tooltip="A yellow box for each person.")
                ),
                advanced(
                    io.Boolean.Input("faces", default=True, optional=True, tooltip="A blue box for each face crop.")
                ),
            ],
            outputs=[io.Image.Output(display_name="images", tooltip="The frames with the detections.")],
        )

    @classmethod
    def execute(
        cls, video: Any, pose: Pose, mask: torch.Tensor | None = None, boxes: bool = True, faces: bool = True
    ) -> io.NodeOutput:
        crops = [face_boxes(pose, person, FACE_AREA, BLACK) for person in range(pose.states.shape[1] if faces else 0)]
        tints = None if mask is None else check_masks(mask, len(pose), pose.width, pose.height).cpu().numpy()
        images = torch.empty(len(pose), pose.height, pose.width, 3)
        for place, (image, frame) in enumerate(zip(images, frames_of(pose, clip_of(video, FPS)), strict=True)):
            outlines = _corners(pose.boxes(place)[pose.states[place] != MISSING]) if boxes else []
            crop = [box for person in crops if (box := person[place])]
            tint = None if tints is None else tints[place]
            picture = overlay_pose(frame, list(pose.people(place)), outlines, crop, tint)
            image.copy_(torch.from_numpy(picture) / 255)
        return io.NodeOutput(images)


def _corners(boxes: np.ndarray) -> list[Box]:
    return [(int(left), int(top), int(right), int(bottom)) for left, top, right, bottom in boxes]
