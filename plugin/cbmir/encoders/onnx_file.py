"""Encoders that were made elsewhere: any feature extractor that was saved as ONNX. No torch here.

The weights file is safetensors like all others. It holds the model's very bytes as `model`, where its features are
reduced also `reduce.weight` and `reduce.bias`, and in its metadata which `output` of the model is the feature.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from cbmir.encoders.base import Preprocessing
from cbmir.encoders.reduction import Reduction
from cbmir.encoders.runtime import OnnxEncoder
from cbmir.encoders.tensors import Tensors, metadata

NAME = "onnx"


def load(data: bytes, name: str, preprocessing: Preprocessing) -> OnnxEncoder:
    """The encoder of a weights file that `packed` has made.

    Args:
        data: safetensors.
        name: of their file, for the error.
        preprocessing: what the model's input wants.

    Raises:
        cbmir.errors.WeightsMismatch: if it holds no model, or not a reduction's two parts.
    """
    tensors = Tensors(data, name)
    model, output = tensors.bytes_of("model"), metadata(data).get("output")
    return OnnxEncoder(NAME, model, preprocessing, output, _reduction(tensors))


def packed(model: bytes, output: str, reduction: Reduction | None = None) -> bytes:
    """The content of a weights file; the same parts give the same bytes."""
    tensors: dict[str, npt.NDArray[Any]] = {"model": np.frombuffer(model, np.uint8)}
    if reduction:
        tensors |= {"reduce.weight": reduction.weight, "reduce.bias": reduction.bias}
    return safetensors.numpy.save(tensors, {"output": output})


def _reduction(tensors: Tensors) -> Reduction | None:
    if "reduce.weight" not in tensors:
        return None
    weight = tensors.take("reduce.weight", None, None)
    return Reduction(weight, tensors.take("reduce.bias", len(weight)))
