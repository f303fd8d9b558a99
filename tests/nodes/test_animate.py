"""The shelf "Animate" on the real server: a video in which nobody is gives empty results, never an error."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from comfy.model_management import InterruptProcessingException, interrupt_current_processing
from wan_duet.animate.boxes import around_mask
from wan_duet.dev.client import PromptError
from wan_duet.nodes.animate.detect import DetectPose, LoadDetector, SegmentPerson
from wan_duet.nodes.animate.draw import DrawPose, FaceCrop, MaskShape, PoseOverlay
from wan_duet.tests.animate.people import person, pose_of
from wan_duet.tests.nodes.graph import Graph, Node, Runner

DETECT = {"people": 1, "pick": "largest", "skip": 0, "smoothing": "light", "fill_gaps": 5}
DETECTOR = LoadDetector.execute("cpu").args[0]
SOMEBODY, GREY = pose_of([person(100, 120)]), torch.zeros(1, 240, 320, 3)


def detect(graph: Graph, video: Node, **settings: object) -> tuple[Node, Node]:
    detector = graph.add("WanDuet_LoadDetector", device="cpu")
    return detector, graph.add("WanDuet_DetectPose", detector=detector, video=video, **{**DETECT, **settings})


def test_a_video_without_anybody_goes_through_every_node(run: Runner, graph: Graph) -> None:
    video = graph.add("EmptyImage", width=96, height=64, batch_size=3, color=0x335577)
    detector, pose = detect(graph, video, people=2)
    segmented = graph.add("WanDuet_SegmentPerson", detector=detector, video=video, pose=pose, threshold=0.5)
    blocks = {"grow": 3, "blocks": "by count", "across": 1, "along": 1}
    shaped = graph.add("WanDuet_MaskShape", mask=segmented, images=video, **blocks)
    face = graph.add("WanDuet_FaceCrop", video=video, pose=pose, person=0, missing="hold")
    overlay = graph.add("WanDuet_PoseOverlay", video=video, pose=pose, mask=shaped)
    drawn = graph.add("WanDuet_DrawPose", pose=pose)
    again = graph.add("WanDuet_PoseFromKeypoints", keypoints=pose[1], fps=30.0)
    checked = graph.add("WanDuet_PoseOverlay", video=video, pose=again)
    for images in (drawn, face, shaped[1], overlay, checked):
        graph.add("SaveImage", images=images, filename_prefix="animate")
    reports = [graph.show(link) for link in (pose[3], segmented[1], face[1], again[1])]
    result = run(graph)
    said = [result.text(report) for report in reports]
    assert "person 1: found in 0 of 3 frames, filled 0, missing 3" in said[0]
    assert said[1] == "0 of 3 frames have a mask, 0.0% of the picture"
    assert said[2].startswith("no face in any of 3 frames: the face video is black")
    assert said[3] == "person 0: found in 0 of 3 frames, filled 0, missing 3"


def test_a_pose_of_another_video_is_refused(run: Runner, graph: Graph) -> None:
    small, large = (graph.add("EmptyImage", width=w, height=64, batch_size=1, color=0) for w in (64, 96))
    _, pose = detect(graph, small)
    graph.add("PreviewImage", images=graph.add("WanDuet_PoseOverlay", video=large, pose=pose))
    with pytest.raises(PromptError, match="pose is of a video of 64x64, video is 96x64"):
        run(graph)


def test_nobody_to_retarget_is_said(run: Runner, graph: Graph) -> None:
    _, pose = detect(graph, graph.add("EmptyImage", width=64, height=64, batch_size=1, color=0))
    moved = graph.add("WanDuet_RetargetPose", pose=pose, reference=pose)
    graph.add("PreviewImage", images=graph.add("WanDuet_DrawPose", pose=moved))
    with pytest.raises(PromptError, match="pose shows its first person in no frame"):
        run(graph)


def test_what_is_drawn_is_where_the_people_are() -> None:
    pose = pose_of([person(100, 120), None], [None, person(220, 120)])
    pictures = DrawPose.execute(pose).args[0]
    assert pictures.shape == (2, 240, 320, 3)
    assert [bool(pictures[0, :, :160].any()), bool(pictures[0, :, 160:].any())] == [True, False]
    assert [bool(pictures[1, :, :160].any()), bool(pictures[1, :, 160:].any())] == [False, True]


def test_the_overlay_shows_skeleton_boxes_and_mask_on_the_frame() -> None:
    pose, grey = SOMEBODY, torch.full((1, 240, 320, 3), 0.5)
    mask = torch.zeros(1, 240, 320)
    mask[:, :, 300:] = 1
    (made,) = PoseOverlay.execute(grey, pose, mask).args[0].numpy()
    assert np.allclose(made[10, 200], 0.5, atol=0.01)
    assert made[10, 310, 1] > 0.7 > made[10, 310, 0]
    left_side = (slice(100, 200), 66)  # of the box, beside the body
    assert (made[left_side] == np.float32([1, 1, 0])).all()
    plain = PoseOverlay.execute(grey, pose, None, boxes=False, faces=False).args[0][0].numpy()
    assert np.allclose(plain[left_side][:15], 0.5, atol=0.01)


def test_a_face_of_somebody_who_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="person is 3, pose has 1 people"):
        FaceCrop.execute(torch.zeros(1, 240, 320, 3), pose_of([person(100, 120)]), 3, "hold")


@pytest.mark.parametrize("frames", [1, 3])
def test_a_video_of_other_frames_than_the_pose_is_refused(frames: int) -> None:
    pose, video = pose_of([person(100, 120)], [person(110, 120)]), torch.zeros(frames, 240, 320, 3)
    for node, settings in ((PoseOverlay, ()), (FaceCrop, (0, "hold"))):
        with pytest.raises(ValueError, match=f"pose has 2 frames, video {frames}"):
            node.execute(video, pose, *settings)
    with pytest.raises(ValueError, match=f"pose has 2 frames, video {frames}"):
        SegmentPerson.execute(DETECTOR, video, pose, 0.5)


@pytest.mark.parametrize(
    ("shape", "said"), [((3, 240, 320), "3 of 320x240"), ((2, 8, 9), "2 of 9x8"), ((0, 240, 320), "0 of 320x240")]
)
def test_a_mask_of_another_video_is_not_drawn_on_this_one(shape: tuple[int, ...], said: str) -> None:
    pose = pose_of([person(100, 120)], [person(110, 120)])
    with pytest.raises(ValueError, match=f"mask is {said}, video 2 frames of 320x240"):
        PoseOverlay.execute(torch.zeros(2, 240, 320, 3), pose, torch.zeros(shape))


@pytest.mark.parametrize("shape", [(240, 320), (1, 240, 320), (2, 1, 240, 320)])
def test_masks_are_taken_in_every_shape_that_nodes_make(shape: tuple[int, ...]) -> None:
    pose, video, mask = pose_of([person(100, 120)], [person(110, 120)]), torch.zeros(2, 240, 320, 3), torch.ones(shape)
    assert (PoseOverlay.execute(video, pose, mask).args[0][:, 0, 0, 1] == 127 / 255).all()
    assert MaskShape.execute(mask, 2, "by count", 1, 1).args[0].shape == (2 if len(shape) == 4 else 1, 240, 320)
    assert [box.tolist() for box in around_mask(mask, 2, 320, 240)] == [[[0, 0, 320, 240]]] * 2


@pytest.mark.parametrize(
    "node",
    [
        lambda: DetectPose.execute(DETECTOR, GREY, **DETECT),
        lambda: SegmentPerson.execute(DETECTOR, GREY, SOMEBODY, 0.5),
        lambda: DrawPose.execute(SOMEBODY),
        lambda: FaceCrop.execute(GREY, SOMEBODY, 0, "hold"),
        lambda: MaskShape.execute(GREY[..., 0], 9, "off", 1, 1),
        lambda: PoseOverlay.execute(GREY, SOMEBODY),
    ],
)
def test_an_interrupt_stops_a_node_at_the_next_frame(node: Callable[[], object]) -> None:
    interrupt_current_processing(True)
    try:
        with pytest.raises(InterruptProcessingException):
            node()
    finally:
        interrupt_current_processing(False)
    node()


def test_a_mask_of_other_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="images are 2 of 8x8, mask is 1 of 8x8"):
        MaskShape.execute(torch.zeros(1, 8, 8), 0, "off", 1, 1, torch.zeros(2, 8, 8, 3))
