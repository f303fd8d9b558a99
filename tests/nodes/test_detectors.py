"""Detectors of the user's own, and boxes and masks of other nodes, on the real server."""

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

import folder_paths
import numpy as np
import pytest
import torch
from wan_duet.dev.client import PromptError
from wan_duet.nodes.animate.detect import DetectPose, LoadDetector
from wan_duet.tests.animate.onnx_networks import write_vitpose, write_yolov10
from wan_duet.tests.nodes.graph import Graph, Node, Result, Runner

FOLDER = "tests"  # below models/detection
POSE, PERSON = f"{FOLDER}/pose.onnx", f"{FOLDER}/person.onnx"
DETECT = {"people": 1, "pick": "largest", "skip": 0, "smoothing": "off", "fill_gaps": 0}
WHITE_DOT = (150, 90)


@pytest.fixture
def files(run: Runner) -> Iterator[None]:
    """Two ONNX files where the server looks for them."""
    folder = run.server.base / "models" / "detection" / FOLDER
    folder.mkdir(parents=True)
    write_vitpose(folder / "pose.onnx")
    write_yolov10(folder / "person.onnx")
    yield
    shutil.rmtree(folder)


def coloured(graph: Graph, width: int, height: int, colour: int) -> Node:
    return graph.add("EmptyImage", width=width, height=height, batch_size=2, color=colour)


def somebody(graph: Graph) -> Node:
    """Two frames of 320x240 with a red rectangle, a white dot on it and a yellow one."""
    image = coloured(graph, 320, 240, 0x404040)
    for x, y, width, height, colour in (
        (100, 40, 100, 180, 0xFF0000),
        (WHITE_DOT[0] - 4, WHITE_DOT[1] - 4, 9, 9, 0xFFFFFF),
        (166, 146, 9, 9, 0xFFFF00),
    ):
        part = coloured(graph, width, height, colour)
        image = graph.add("ImageCompositeMasked", destination=image, source=part, x=x, y=y, resize_source=False)
    return image


def detect(graph: Graph, detector: dict[str, str], **given: Node | list) -> Node:
    loaded = graph.add("WanDuet_LoadDetector", device="cpu", **detector)
    return graph.add("WanDuet_DetectPose", detector=loaded, video=somebody(graph), **DETECT, **given)


def nose(result: Result, shown: Node) -> np.ndarray:
    """Where the first person's nose is in the last frame of a POSE_KEYPOINT."""
    return np.array(ast.literal_eval(result.text(shown))[-1]["people"][0]["pose_keypoints_2d"][:2])


@pytest.mark.usefixtures("files")
def test_onnx_files_find_somebody_and_their_boxes_find_them_again(run: Runner, graph: Graph) -> None:
    first = detect(graph, {"pose_model": POSE, "person_model": PERSON})
    again = detect(graph, {"pose_model": POSE}, boxes=first[2])
    mask = graph.add("SolidMask", value=1.0, width=320, height=240)
    masked = detect(graph, {"pose_model": POSE}, mask=mask)
    shown = [graph.show(pose[1]) for pose in (first, again, masked)]
    report = graph.show(first[3])
    result = run(graph)
    assert "person 0: found in 2 of 2 frames" in result.text(report)
    for keypoints in shown:
        assert np.abs(nose(result, keypoints) - WHITE_DOT).max() < 2.5


@pytest.mark.usefixtures("files")
def test_the_host_offers_the_files_and_the_wrong_one_is_refused(run: Runner, graph: Graph) -> None:
    inputs = run.client.request("/object_info/WanDuet_LoadDetector")["WanDuet_LoadDetector"]["input"]["optional"]
    for name in ("pose_model", "person_model"):
        assert {"embedded", POSE, PERSON} <= set(inputs[name][1]["options"])
    graph.show(detect(graph, {"pose_model": PERSON})[3])
    with pytest.raises(PromptError, match=r"pose_model is tests/person\.onnx, which finds persons only"):
        run(graph)


def test_a_file_that_is_not_there_is_said_by_the_node(run: Runner, graph: Graph) -> None:
    graph.show(detect(graph, {"pose_model": "lost.onnx"})[3])
    with pytest.raises(PromptError, match=r"lost\.onnx is not in models/detection"):
        run(graph)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_mask_without_anybody_is_no_error(run: Runner, graph: Graph, value: float) -> None:
    mask = graph.add("SolidMask", value=value, width=320, height=240)
    report = graph.show(detect(graph, {}, mask=mask)[3])
    assert "person 0: found in 0 of 2 frames" in run(graph).text(report)


def test_boxes_and_a_mask_together_are_refused() -> None:
    detector = LoadDetector.execute("cpu").args[0]
    given = {"boxes": [[]], "mask": torch.zeros(1, 8, 8)}
    with pytest.raises(ValueError, match="boxes and mask are both connected"):
        DetectPose.execute(detector, torch.zeros(1, 8, 8, 3), **DETECT, **given)


def test_a_file_that_changes_makes_the_node_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "detection", ([str(tmp_path)], set()))
    settings = {"device": "cpu", "pose_model": "a.onnx", "person_model": None}
    missing = LoadDetector.fingerprint_inputs(**settings)
    (tmp_path / "a.onnx").write_bytes(b"1")
    there = LoadDetector.fingerprint_inputs(**settings)
    (tmp_path / "a.onnx").write_bytes(b"22")
    assert len({missing, there, LoadDetector.fingerprint_inputs(**settings)}) == 3
