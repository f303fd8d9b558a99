"""A TensorFlow Lite file as its operators and constants: what dev/detector/convert.py translates.

The format is that of tensorflow/compiler/mlir/lite/schema/schema.fbs, read by the `tflite` package.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tflite

TYPES = {0: np.float32, 1: np.float16, 2: np.int32}
CODES = {code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)}
STORED = ("DEQUANTIZE", "DENSIFY")  # how a constant is kept, not what is computed with it


@dataclass(frozen=True)
class Operator:
    """One operator: its inputs and output as tensor numbers, and its options, a table or a custom operator's bytes."""

    name: str
    inputs: list[int]
    output: int
    options: Any


class TfliteFile:
    """The only subgraph of a file, its constants already dense."""

    def __init__(self, path: Path):
        self.model = tflite.Model.GetRootAs(path.read_bytes(), 0)
        self.graph = self.model.Subgraphs(0)
        self.constants = {
            number: constant
            for number in range(self.graph.TensorsLength())
            if (constant := self._constant(number)) is not None
        }
        self.operators = list(self._operators())
        self.inputs: list[int] = self.graph.InputsAsNumpy().tolist()
        self.outputs: list[int] = self.graph.OutputsAsNumpy().tolist()

    def shape(self, tensor: int) -> list[int]:
        """The shape of a tensor, channels last."""
        return self.graph.Tensors(tensor).ShapeAsNumpy().tolist()

    def _constant(self, number: int) -> np.ndarray | None:
        tensor = self.graph.Tensors(number)
        stored = self.model.Buffers(tensor.Buffer())
        if not stored.DataLength():
            return None
        values = np.frombuffer(stored.DataAsNumpy().tobytes(), TYPES[tensor.Type()])
        if tensor.Sparsity():
            return dense(tensor.Sparsity(), values, self.shape(number))
        return values.reshape(self.shape(number) if tensor.ShapeLength() else ())

    def _operators(self) -> Iterator[Operator]:
        for place in range(self.graph.OperatorsLength()):
            operator = self.graph.Operators(place)
            code = self.model.OperatorCodes(operator.OpcodeIndex())
            name = CODES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            inputs, (output,) = operator.InputsAsNumpy().tolist(), operator.OutputsAsNumpy().tolist()
            if name in STORED:
                self.constants[output] = self.constants[inputs[0]]
                continue
            if name == "CUSTOM":
                yield Operator(code.CustomCode().decode(), inputs, output, operator.CustomOptionsAsNumpy().tobytes())
                continue
            yield Operator(name, inputs, output, operator.BuiltinOptions())


def dense(sparsity: Any, values: np.ndarray, shape: list[int]) -> np.ndarray:
    """The array that `values` are the kept elements of (TACO's levels: the dimensions, then those inside a block)."""
    order, blocks = sparsity.TraversalOrderAsNumpy().tolist(), np.atleast_1d(sparsity.BlockMapAsNumpy()).tolist()
    rank = len(shape)
    within = {
        blocks[axis - rank]: sparsity.DimMetadata(level).DenseSize() for level, axis in enumerate(order[rank:], rank)
    }
    places = np.zeros((1, rank), np.int64)
    for level, axis in enumerate(order):
        metadata = sparsity.DimMetadata(level)
        if metadata.Format() == tflite.DimensionType.DENSE:
            counts = np.full(len(places), metadata.DenseSize())
            steps = np.tile(np.arange(metadata.DenseSize()), len(places))
        else:
            counts = np.diff(_vector(metadata.ArraySegmentsType(), metadata.ArraySegments()))
            steps = _vector(metadata.ArrayIndicesType(), metadata.ArrayIndices())
        places = np.repeat(places, counts, axis=0)
        if axis < rank:
            places[:, axis] += steps * within.get(axis, 1)
        else:
            places[:, blocks[axis - rank]] += steps
    found = np.zeros(shape, values.dtype)
    found[tuple(places.T)] = values
    return found


def _vector(kind: int, table: Any) -> np.ndarray:
    vector = {1: tflite.Int32Vector, 2: tflite.Uint16Vector, 3: tflite.Uint8Vector}[kind]()
    vector.Init(table.Bytes, table.Pos)
    return np.asarray(vector.ValuesAsNumpy(), np.int64)
