"""Networks in 8 bits: a third of the time where the processor multiplies bytes (AVX-512 VNNI), at a small error.

Weights become int8, with one scale a filter; what flows between layers becomes uint8, with scales that are learned
from pictures; both ends stay in float32. A network in 8 bits is another encoder: its features are near those of the
first, and never compared with them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import onnx
from onnx import helper, shape_inference
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from cbmir.types import FloatArray

ACTIVATIONS = ("Clip", "LeakyRelu", "Relu")
"""These are computed with the convolution before them."""

PREPARED = {"onnx.quant.pre_process": "onnxruntime.quant"}
"""Tells the quantiser that shapes are inferred, or it would ask for it."""


def quantised(model: bytes, inputs: Iterable[FloatArray]) -> bytes:
    """The model in 8 bits, serialised; input and output stay float32.

    Args:
        model: in ONNX, with one input.
        inputs: prepared pictures that the scales are learned from, float32 (channels, side, side) each: some
            hundred that are like those to come.
    """
    whole = shape_inference.infer_shapes(onnx.load_model_from_string(model))
    helper.set_model_props(whole, PREPARED)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quantised.onnx"
        quantize_static(
            whole,
            str(path),
            _Pictures(whole.graph.input[0].name, inputs),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            nodes_to_exclude=_ends(whole),
        )
        return path.read_bytes()


def is_quantised(model: bytes) -> bool:
    """Whether a serialised model has numbers in 8 bits within already."""
    return any("Quantize" in node.op_type for node in onnx.load_model_from_string(model).graph.node)


def _ends(model: Any) -> list[str]:
    """Names of the nodes that stay in float32, which cost little time and lose most: the first convolution, whose
    input is the picture, and what makes numbers of the last one's map. Nodes without a name get one."""
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"node{number}"
    convolutions = [number for number, node in enumerate(model.graph.node) if node.op_type == "Conv"]
    if not convolutions:
        return []
    after = model.graph.node[convolutions[-1] + 1 :]
    first = model.graph.node[convolutions[0]]
    return [first.name, *(node.name for node in after if node.op_type not in ACTIVATIONS)]


class _Pictures(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, name: str, inputs: Iterable[FloatArray]) -> None:
        self._inputs: Iterator[dict[str, FloatArray]] = ({name: each[None]} for each in inputs)

    def get_next(self) -> dict[str, FloatArray] | None:
        """The next picture, by the name of the model's input; None at the end."""
        return next(self._inputs, None)
