"""Weights as safetensors, read into NumPy: nothing is unpickled, nothing of another shape taken. No torch here."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from cbmir.errors import WeightsMismatch
from cbmir.types import FloatArray

Shape = Sequence[int | None]


class Tensors:
    """The tensors of a safetensors file, taken by name and shape.

    Args:
        data: the file's content.
        name: its name, for the errors.

    Raises:
        cbmir.errors.WeightsMismatch: if it is not safetensors, or cut short.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self._name = name
        try:
            self._held = safetensors.numpy.load(data)
        except (SafetensorError, KeyError) as error:  # KeyError: a dtype that NumPy does not have
            raise WeightsMismatch(
                f"The weights file {name} is not a whole safetensors file.", "Copy or fetch it once more."
            ) from error

    def __contains__(self, key: str) -> bool:
        return key in self._held

    def between(self, start: str, end: str) -> list[str]:
        """What stands between such a start and end of the tensors' names, in alphabetical order: safetensors gives
        them in another one each time, and sums of floats hang on theirs."""
        fits = (key for key in sorted(self._held) if key.startswith(start) and key.endswith(end))
        return [key[len(start) : -len(end)] for key in fits if len(key) > len(start) + len(end)]

    def take(self, key: str, *shape: int | None) -> FloatArray:
        """The tensor of this name in float32, which must have this shape; None stands for any length. A file may
        keep it as float16.

        Raises:
            cbmir.errors.WeightsMismatch: if there is none, or it is of another shape or kind, or holds a number
                that is not finite.
        """
        held = self._held.get(key)
        if held is None or len(held.shape) != len(shape) or not _fits(held.shape, shape):
            raise misfit(self._name, key, None if held is None else held.shape, shape)
        if held.dtype not in (np.float32, np.float16) or not np.isfinite(held).all():
            raise WeightsMismatch(f"In the weights file {self._name}, {key} is not of finite float32 numbers.")
        return held.astype(np.float32, copy=False)

    def bytes_of(self, key: str) -> bytes:
        """The uint8 tensor of this name, as bytes.

        Raises:
            cbmir.errors.WeightsMismatch: if there is none.
        """
        held = self._held.get(key)
        if held is None or held.dtype != np.uint8:
            raise WeightsMismatch(f"The weights file {self._name} does not fit: it has no bytes named {key}.")
        return held.tobytes()


def misfit(name: str, key: str, found: Shape | None, wanted: Shape | None) -> WeightsMismatch:
    """The error of a tensor that is not as the network has it.

    Args:
        name: of the weights file.
        key: of the tensor.
        found: its shape in the file; None where it is not there.
        wanted: its shape in the network, where None stands for any length; None where it has no such tensor.
    """
    if found is None:
        said = f"it has no {key}"
    elif wanted is None:
        said = f"the network has no {key}"
    else:
        said = f"{key} has the shape {_written(found)}, not {_written(wanted)}"
    remedy = "Use the side in pixels and the architecture that it was trained with."
    return WeightsMismatch(f"The weights file {name} does not fit: {said}.", remedy)


def metadata(data: bytes) -> dict[str, str]:
    """What a safetensors file says of itself, beside its tensors; the file must be whole."""
    size = int.from_bytes(data[:8], "little")
    said: dict[str, str] = json.loads(data[8 : 8 + size]).get("__metadata__", {})
    return said


def _written(shape: Shape) -> str:
    return " x ".join("any" if length is None else str(length) for length in shape) or "of one number"


def _fits(found: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return all(want in (None, have) for have, want in zip(found, wanted, strict=True))
