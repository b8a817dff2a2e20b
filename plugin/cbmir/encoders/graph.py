"""An ONNX graph, put together in memory from the steps of an architecture and its weights.

Each step takes the names of values and gives the name of a new one. The words are those that convolutional networks
need; see https://onnx.ai/onnx/operators for what each operator does.
"""

from __future__ import annotations

from typing import Any

from onnx import TensorProto, helper, numpy_helper

from cbmir.types import FloatArray

OPSET, IR_VERSION = 17, 8
"""What every ONNX Runtime since 1.13 understands."""

INPUT, OUTPUT = "picture", "feature"


class Graph:
    """A network for one picture at a time: float32 (1, channels, side, side) -> float32 (1, dimension).

    Args:
        channels: of the input, 1 or 3.
        side: of the input in pixels.
    """

    def __init__(self, channels: int, side: int) -> None:
        self._shape = (1, channels, side, side)
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def conv(
        self, x: str, weight: FloatArray, bias: FloatArray, *, stride: int = 1, groups: int = 1, same: bool = False
    ) -> str:
        """A convolution, padded so that stride 1 keeps the size.

        Args:
            x: (1, in, rows, columns).
            weight: (out, in / groups, k, k), k odd; with as many groups as channels it is depthwise.
            bias: (out,).
            stride: in both directions.
            groups: of channels that do not mix.
            same: pad as TensorFlow does, at a stride of 2 more to the right and below; else k // 2 on all sides.
        """
        kernel = weight.shape[2:]
        padding: dict[str, Any] = {"auto_pad": "SAME_UPPER"} if same else {"pads": [kernel[0] // 2] * 4}
        inputs = [x, self._weight(weight), self._weight(bias)]
        return self._node("Conv", inputs, kernel_shape=kernel, strides=[stride] * 2, group=groups, **padding)

    def leaky_relu(self, x: str, slope: float) -> str:
        """x where it is positive, slope * x elsewhere."""
        return self._node("LeakyRelu", [x], alpha=slope)

    def relu6(self, x: str) -> str:
        """x, cut off below 0 and above 6."""
        return self._node("Clip", [x, self._number(0.0), self._number(6.0)])

    def add(self, x: str, y: str) -> str:
        """The sum of two values of one shape."""
        return self._node("Add", [x, y])

    def mean_over_map(self, x: str) -> str:
        """(1, channels, rows, columns) -> (1, channels)."""
        return self.flat(self._node("GlobalAveragePool", [x]))

    def flat(self, x: str) -> str:
        """(1, …) -> (1, all of them)."""
        return self._node("Flatten", [x], axis=1)

    def dense(self, x: str, weight: FloatArray, bias: FloatArray) -> str:
        """(1, in) -> (1, out); `weight` is (out, in), `bias` (out,)."""
        return self._node("Gemm", [x, self._weight(weight), self._weight(bias)], transB=1)

    def unit_length(self, x: str) -> str:
        """x / |x| along its channels: (1, channels)."""
        return self._node("LpNormalization", [x], axis=1, p=2)

    def joined(self, *parts: str) -> str:
        """(1, n), (1, m) and so on, one behind the other: (1, n + m + …)."""
        return self._node("Concat", list(parts), axis=1) if len(parts) > 1 else parts[0]

    def model(self, x: str, dimension: int) -> bytes:
        """The whole model, serialised; its output is `x`, (1, dimension)."""
        self._nodes.append(helper.make_node("Identity", [x], [OUTPUT]))
        graph = helper.make_graph(
            self._nodes,
            "encoder",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, self._shape)],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, (1, dimension))],
            self._weights,
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
        return bytes(model.SerializeToString())

    def _node(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        name = f"value{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def _weight(self, values: FloatArray) -> str:
        name = f"weight{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(values, name))
        return name

    def _number(self, value: float) -> str:
        name = f"weight{len(self._weights)}"
        self._weights.append(helper.make_tensor(name, TensorProto.FLOAT, (), [value]))
        return name
