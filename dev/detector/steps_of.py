"""A TensorFlow Lite graph as the steps of animate/detector/network.py: channels first, padding spelled out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tflite
from tflite_file import Operator, TfliteFile

ACTIVATIONS = {0: None, 1: "relu", 3: "relu6"}
SAME = 0
CHANNELS_FIRST = {0: 0, 1: 2, 2: 3, 3: 1}
Step = dict[str, Any]
Pads = tuple[int, int, int, int]  # left, right, top, bottom, as torch's pad has them


def steps_of(file: TfliteFile) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The graph and its weights in half floats."""
    translation = _Translation(file)
    for operator in file.operators:
        translation.add(operator)
    (source,) = file.inputs
    graph = {"size": file.shape(source)[1], "input": source, "outputs": file.outputs, "steps": translation.steps}
    return graph, {name: np.ascontiguousarray(w.astype(np.float16)) for name, w in translation.weights.items()}


class _Translation:
    def __init__(self, file: TfliteFile):
        self.file = file
        self.steps: list[Step] = []
        self.weights: dict[str, np.ndarray] = {}
        self.margins: dict[int, tuple[int, Pads]] = {}  # spatial PADs, which their convolution takes over

    def add(self, operator: Operator) -> None:
        translate: Callable[[Operator], Step | None] = getattr(self, f"_{operator.name.lower()}")
        if (step := translate(operator)) is not None:
            inputs = step.pop("inputs", operator.inputs[:1])
            if unmade := [i for i in inputs if i in self.margins]:
                raise ValueError(f"{operator.name} reads the padded tensors {unmade}, which only convolutions may")
            self.steps.append({"op": step.pop("op"), "in": inputs, "out": operator.output, **step})

    def _options(self, operator: Operator, kind: type) -> Any:
        options = kind()
        options.Init(operator.options.Bytes, operator.options.Pos)
        return options

    def _store(self, operator: Operator, weight: np.ndarray) -> None:
        self.weights[f"{operator.output}.weight"] = weight
        self.weights[f"{operator.output}.bias"] = self.file.constants[operator.inputs[2]]

    def _convolution(self, operator: Operator, options: Any, weight: np.ndarray, groups: int) -> Step:
        if (options.DilationHFactor(), options.DilationWFactor()) != (1, 1):
            raise ValueError(f"{operator.name} is dilated")
        self._store(operator, weight)
        source, pads = self.margins.get(operator.inputs[0], (operator.inputs[0], (0, 0, 0, 0)))
        stride = options.StrideH()
        if options.Padding() == SAME:
            if any(pads):
                raise ValueError(f"{operator.name} would be padded twice")
            pads = _same(self.file.shape(source), weight.shape[-2:], stride)
        step: Step = {"op": "convolution", "inputs": [source], "stride": stride, "pads": pads, "groups": groups}
        activation = ACTIVATIONS[options.FusedActivationFunction()]
        return {**step, "activation": activation} if activation else step

    def _conv_2d(self, operator: Operator) -> Step:
        weight = self.file.constants[operator.inputs[1]].transpose(0, 3, 1, 2)
        return self._convolution(operator, self._options(operator, tflite.Conv2DOptions), weight, 1)

    def _depthwise_conv_2d(self, operator: Operator) -> Step:
        weight = self.file.constants[operator.inputs[1]].transpose(3, 0, 1, 2)
        options = self._options(operator, tflite.DepthwiseConv2DOptions)
        return self._convolution(operator, options, weight, self.file.shape(operator.inputs[0])[3])

    def _convolution2dtransposebias(self, operator: Operator) -> Step:
        weight = self.file.constants[operator.inputs[1]].transpose(3, 0, 1, 2)
        _, *stride = np.frombuffer(operator.options[:12], "<i4").tolist()
        if stride != [2, 2] or weight.shape[2:] != (2, 2):
            raise ValueError("only transposed convolutions of 2 x 2 with stride 2 are known")
        self._store(operator, weight)
        return {"op": "upconvolution", "stride": 2}

    def _fully_connected(self, operator: Operator) -> Step:
        self._store(operator, self.file.constants[operator.inputs[1]])
        return {"op": "linear"}

    def _prelu(self, operator: Operator) -> Step:
        self.weights[f"{operator.output}.weight"] = self.file.constants[operator.inputs[1]].reshape(-1)
        return {"op": "prelu"}

    def _relu(self, operator: Operator) -> Step:
        return {"op": "relu"}

    def _hard_swish(self, operator: Operator) -> Step:
        return {"op": "hardswish"}

    def _logistic(self, operator: Operator) -> Step:
        return {"op": "sigmoid"}

    def _add(self, operator: Operator) -> Step:
        activation = ACTIVATIONS[self._options(operator, tflite.AddOptions).FusedActivationFunction()]
        step: Step = {"op": "add", "inputs": operator.inputs}
        return {**step, "activation": activation} if activation else step

    def _mul(self, operator: Operator) -> Step:
        return {"op": "multiply", "inputs": operator.inputs}

    def _pad(self, operator: Operator) -> Step | None:
        batch, rows, columns, channels = self.file.constants[operator.inputs[1]].tolist()
        if any(batch) or channels[0] or (channels[1] and any(rows + columns)):
            raise ValueError(f"padding by {batch, rows, columns, channels} is not known")
        if channels[1]:
            return {"op": "add_channels", "count": channels[1]}
        self.margins[operator.output] = (operator.inputs[0], (*columns, *rows))
        return None

    def _max_pool_2d(self, operator: Operator) -> Step:
        options = self._options(operator, tflite.Pool2DOptions)
        size, stride = options.FilterHeight(), options.StrideH()
        if any(_same(self.file.shape(operator.inputs[0]), (size, size), stride)):
            raise ValueError("max pooling with padding is not known")
        return {"op": "max_pool", "size": size, "stride": stride}

    def _average_pool_2d(self, operator: Operator) -> Step:
        if self.file.shape(operator.output)[1:3] != [1, 1]:
            raise ValueError("only averages over everything are known")
        return {"op": "mean", "keep": True}

    def _mean(self, operator: Operator) -> Step:
        return {"op": "mean", "keep": False}

    def _resize_bilinear(self, operator: Operator) -> Step:
        options = self._options(operator, tflite.ResizeBilinearOptions)
        if options.AlignCorners() or not options.HalfPixelCenters():
            raise ValueError("only resizing by pixel centres is known")
        return {"op": "resize", "size": self.file.constants[operator.inputs[1]].tolist()}

    def _depth_to_space(self, operator: Operator) -> Step:
        return {"op": "depth_to_space", "block": self._options(operator, tflite.DepthToSpaceOptions).BlockSize()}

    def _reshape(self, operator: Operator) -> Step:
        return {"op": "rows", "shape": self.file.shape(operator.output)[1:]}

    def _concatenation(self, operator: Operator) -> Step:
        axis = self._options(operator, tflite.ConcatenationOptions).Axis()
        if len(self.file.shape(operator.output)) == 4:
            axis = CHANNELS_FIRST[axis % 4]
        return {"op": "concat", "inputs": operator.inputs, "axis": axis}

    def _strided_slice(self, operator: Operator) -> Step:
        before, after = self.file.shape(operator.inputs[0]), self.file.shape(operator.output)
        starts = self.file.constants[operator.inputs[1]].tolist()
        if any(starts) or before[:3] != after[:3]:
            raise ValueError("only the first channels can be sliced")
        return {"op": "first_channels", "count": after[3]}


def _same(shape: list[int], kernel: tuple[int, ...], stride: int) -> Pads:
    """Padding of TensorFlow's SAME: more at the end where it is odd."""
    height, width = (max((-(-n // stride) - 1) * stride + k - n, 0) for n, k in zip(shape[1:3], kernel, strict=True))
    return width // 2, width - width // 2, height // 2, height - height // 2
