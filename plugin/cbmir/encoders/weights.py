"""Weights as safetensors: nothing is unpickled, and nothing of another shape is taken."""

from __future__ import annotations

from collections.abc import Mapping

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor, nn

from cbmir.encoders.tensors import misfit
from cbmir.errors import WeightsMismatch


def to_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """The content of a safetensors file; the same tensors and at most one entry of metadata give the same bytes."""
    plain = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    return safetensors.torch.save(plain, dict(metadata) if metadata else None)


def from_bytes(data: bytes, name: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Args:
        data: the file's content.
        name: its name, for the error.

    Raises:
        cbmir.errors.WeightsMismatch: if it is not safetensors, or cut short.
    """
    try:
        return safetensors.torch.load(data)
    except SafetensorError as error:
        raise WeightsMismatch(
            f"The weights file {name} is not a whole safetensors file.", "Copy or fetch it once more."
        ) from error


def fill(network: nn.Module, tensors: Mapping[str, Tensor], name: str) -> None:
    """Put tensors into a network.

    Args:
        network: whose parameters and buffers are overwritten; their memory format stays.
        tensors: one for each, by its name in the network's state.
        name: of the file that they come from, for the error.

    Raises:
        cbmir.errors.WeightsMismatch: if one is missing, one too many, or of another shape.
    """
    wanted = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    found = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    for key in sorted(wanted.keys() | found.keys()):
        if found.get(key) != wanted.get(key):
            raise misfit(name, key, found.get(key), wanted.get(key))
    network.load_state_dict(dict(tensors))
