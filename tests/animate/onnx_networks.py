"""ONNX files of the real shapes whose networks see coloured people with dots on them, and pictures of such people.

Somebody is a rectangle of pure red, green or blue with a white dot, where all joints are, and one of two mixed colours,
where all points of hands and face are. What the networks say is computed from the picture that they are given.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from wan_duet.animate.detector.onnx.persons import STRIDES, grid
from wan_duet.animate.pose import BODY, FEET, POINTS

Size = tuple[int, int]
GREY = 64
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # what such networks were trained with
SCORE = 0.9
Box = tuple[float, float, float, float]
"""Left, top, right and bottom; the nth person of a picture has the nth colour."""


def dots(box: Box) -> np.ndarray:
    """Where a person's white dot and mixed dot are [2, 2]."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    return np.array([(left + 0.37 * width, top + 0.31 * height), (left + 0.62 * width, top + 0.7 * height)])


def wholebody_of(box: Box) -> np.ndarray:
    """A person's points [133, 2]."""
    points = np.tile(dots(box)[1], (POINTS, 1))
    points[BODY], points[FEET] = dots(box)[0], dots(box)[0]
    return points


def picture_of(people: Sequence[Box], width: int = 400, height: int = 300) -> np.ndarray:
    """A picture [H, W, 3] in bytes."""
    image = np.full((height, width, 3), GREY, np.float64)
    rows, columns = np.mgrid[:height, :width]
    for channel, box in enumerate(people):
        left, top, right, bottom = map(round, box)
        image[top:bottom, left:right] = 255 * np.eye(3)[channel]
        white, mixed = np.ones(3), 1 - np.eye(3)[(channel + 1) % 3]
        for (x, y), colour in zip(dots(box), (white, mixed), strict=True):
            distance = (columns - x) ** 2 + (rows - y) ** 2
            share = np.exp(-distance / (2 * ((bottom - top) / 40) ** 2))[..., None]
            image += (255 * colour - image) * np.where(share < 0.02, 0, share)
    return image.round().astype(np.uint8)


@dataclass
class Network:
    """Operators one after the other; calling it adds one and gives the name of what it makes."""

    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    results: dict[str, str] = field(default_factory=dict)

    def __call__(self, operator: str, *inputs: str | float | np.ndarray, **settings: Any) -> str:
        name = f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, [self._named(value) for value in inputs], [name], **settings))
        return name

    def _named(self, value: str | float | np.ndarray) -> str:
        if isinstance(value, str):
            return value
        array = np.asarray(value) if isinstance(value, np.ndarray) else np.float32(value)
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def write(self, path: Path, given: Sequence[int | str], **made: Sequence[int | str]) -> Path:
        """Save it as a file that takes `images` of the shape `given`, and makes what is named, of the given shapes."""
        nodes = [*self.nodes, *(helper.make_node("Identity", [value], [name]) for name, value in self.results.items())]
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in made.items()]
        inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, given)]
        graph = helper.make_graph(nodes, "network", inputs, outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, path)
        return path


def _channels(net: Network, images: str) -> list[str]:
    axis = np.array([1], np.int64)
    return [net("Slice", images, np.array([n]), np.array([n + 1]), axis) for n in range(3)]


def _boxes(net: Network, size: int, white: float, channels: Sequence[int]) -> list[str]:
    """Left, top, right, bottom and score [1, 3, 1] of the people in the order of their colours."""
    planes = _channels(net, "images")
    colours = [planes[n] for n in channels]
    found = []
    for n in range(3):
        others = net("Max", colours[n - 1], colours[n - 2])
        pure = net("Sub", colours[n], others)
        near = net("Less", net("Abs", net("Sub", pure, white)), white / 2)
        mask = net("Cast", near, to=TensorProto.FLOAT)
        sides = []
        for axis, shape in ((2, (1, 1, 1, size)), (3, (1, 1, size, 1))):
            index = np.arange(size, dtype=np.float32).reshape(shape)
            line = net("ReduceMax", mask, axes=[axis])
            low = net("Sub", float(size), net("ReduceMax", net("Mul", line, size - index), axes=[5 - axis]))
            high = net("ReduceMax", net("Mul", line, index + 1), axes=[5 - axis])
            sides.append((low, high))
        score = net("Mul", net("ReduceMax", mask, axes=[2, 3], keepdims=1), SCORE - n / 10)
        flat = np.array([1, 1, 1])
        (left, right), (top, bottom) = sides
        found.append([net("Reshape", value, flat) for value in (left, top, right, bottom, score)])
    return [net("Concat", *(person[k] for person in found), axis=1) for k in range(5)]


def _middles(net: Network, sides: Sequence[str]) -> list[str]:
    left, top, right, bottom, _ = sides
    pairs = ((left, right), (top, bottom))
    middles = [net("Mul", net("Add", low, high), 0.5) for low, high in pairs]
    return [*middles, *(net("Sub", high, low) for low, high in pairs)]


def _rows(*values: float, count: int = 1) -> np.ndarray:
    return np.tile(np.array(values, np.float32), (1, count, 1))


def write_yolov10(path: Path, size: int = 640) -> Path:
    """A row of corners, score and class for each person, one for a bicycle, and as many empty ones as there are."""
    net = Network()
    sides = _boxes(net, size, 1.0, (0, 1, 2))
    people = net("Concat", *sides, _rows(0.0, count=3), axis=2)
    bicycle = _rows(10, 10, 300, 300, 0.99, 1)
    net.results["output0"] = net("Concat", people, bicycle, np.zeros((1, 296, 6), np.float32), axis=1)
    return net.write(path, (1, 3, size, size), output0=(1, 300, 6))


def write_yolo(path: Path, size: int = 640) -> Path:
    """Columns of middle, size and the scores of 80 classes; everybody twice, the second time less surely."""
    net, count = Network(), len(grid((size, size))[0])
    *corners, score = _boxes(net, size, 1.0, (0, 1, 2))
    x, y, width, height = _middles(net, (*corners, score))
    others = _rows(*[0.01] * 79, count=3)
    once = net("Concat", x, y, width, height, score, others, axis=2)
    again = net("Concat", net("Add", x, 4.0), y, width, height, net("Mul", score, 0.8), others, axis=2)
    rows = net("Concat", once, again, np.zeros((1, count - 6, 84), np.float32), axis=1)
    net.results["output0"] = net("Transpose", rows, perm=[0, 2, 1])
    return net.write(path, (1, 3, size, size), output0=(1, 84, count))


def write_yolox(path: Path, size: int = 640, classes: int = 80) -> Path:
    """Cells of middle, size, presence and classes as YOLOX writes them; everybody in one cell of each stride."""
    net = Network()
    sides = _boxes(net, size, 255.0, (2, 1, 0))
    x, y, width, height = _middles(net, sides)
    places, parts, first = grid((size, size))[0], [], 0
    for stride, sure in zip(STRIDES, (0.7, 1.0, 0.8), strict=True):
        cells = (size // stride) ** 2
        here = slice(first + 7, first + 10)  # any cell can speak of any place
        columns, rows = (places[here, axis].astype(np.float32).reshape(1, 3, 1) for axis in (0, 1))
        right, down = net("Sub", net("Div", x, stride), columns), net("Sub", net("Div", y, stride), rows)
        logs = [net("Log", net("Div", side, stride)) for side in (width, height)]
        classed = _rows(1.0, *[0.01] * (classes - 1), count=3)
        there = net("Concat", right, down, *logs, net("Mul", sides[4], sure), classed, axis=2)
        before, after = (np.zeros((1, count, 5 + classes), np.float32) for count in (7, cells - 10))
        parts += [before, there, after]
        first += cells
    net.results["output"] = net("Concat", *parts, axis=1)
    return net.write(path, (1, 3, size, size), output=(1, len(places), 5 + classes))


def _heat(net: Network) -> tuple[str, str]:
    """How white, and how mixed, each pixel of the normalised crops [N, 3, h, w] is: two [N, 1, h, w] in 0..1."""
    std, mean = (np.array(values, np.float32).reshape(1, 3, 1, 1) for values in (STD, MEAN))
    planes = _channels(net, net("Add", net("Mul", "images", std), mean))
    least, most = net("Min", *planes), net("Max", *planes)
    middle = net("Sub", net("Sub", net("Sum", *planes), least), most)
    above = net("Relu", net("Sub", least, 0.4))
    return net("Div", above, 0.6), net("Sub", middle, least)


def _of_points(net: Network, white: str, mixed: str, rest: tuple[int, ...]) -> str:
    """White for the body's and feet's points, mixed for the others: [N, 133, ...]; the best value of each is SCORE."""
    made = []
    for heat, count in ((white, FEET.stop), (mixed, POINTS - FEET.stop)):
        best = net("ReduceMax", heat, axes=list(range(2, 2 + len(rest))))
        sure = net("Mul", net("Cast", net("Greater", best, 0.05), to=TensorProto.FLOAT), SCORE)
        scaled = net("Mul", net("Div", heat, net("Max", best, 0.05)), sure)
        made.append(net("Tile", scaled, np.array([1, count, *[1] * len(rest)])))
    return net("Concat", *made, axis=1)


def write_vitpose(path: Path, size: Size = (256, 192), batch: int | str = "batch", points: int = POINTS) -> Path:
    """Heat maps whose peaks, some cells wide, are where the dots are."""
    net = Network()
    steps = np.arange(-16, 17)
    bell = np.exp(-(steps**2) / (2 * 7.0**2))
    kernel = np.outer(bell, bell).astype(np.float32)[None, None]
    heat = [net("Conv", one, kernel, strides=[4, 4], pads=[16] * 4) for one in _heat(net)]
    made = _of_points(net, *heat, size)
    net.results["output_0"] = net("Slice", made, np.array([0]), np.array([points]), np.array([1]))
    return net.write(path, (batch, 3, *size), output_0=(batch, points, size[0] // 4, size[1] // 4))


def write_dwpose(path: Path, size: Size = (384, 288), batch: int | str = "batch", swapped: bool = False) -> Path:
    """Two axes, in half pixels, whose best bins are where the dots are; how long they are is not declared."""
    net = Network()
    heat, twice = _heat(net), np.array([1, 1, 2], np.float32)
    how = {"mode": "linear", "coordinate_transformation_mode": "asymmetric"}
    for name, axis, bins in (("simcc_x", 2, 2 * size[1]), ("simcc_y", 3, 2 * size[0])):
        lines = [net("ReduceMax", one, axes=[axis], keepdims=0) for one in heat]
        net.results[name] = net("Resize", _of_points(net, *lines, (bins,)), np.zeros(0, np.float32), twice, **how)
    if swapped:
        net.results = dict(reversed(net.results.items()))
    return net.write(path, (batch, 3, *size), **{name: (batch, "points", "bins") for name in net.results})
