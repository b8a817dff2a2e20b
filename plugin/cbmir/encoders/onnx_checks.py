"""What an ONNX file must be to serve as an encoder: each thing that it is not has an error of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError, Message
from onnx import TensorProto, helper
from onnxruntime.capi import onnxruntime_pybind11_state as runtime_errors

from cbmir.encoders.base import Preprocessing
from cbmir.encoders.runtime import session
from cbmir.errors import BadRequest
from cbmir.types import FloatArray

CANNOT_RUN = (
    runtime_errors.Fail,
    runtime_errors.InvalidArgument,
    runtime_errors.InvalidGraph,
    runtime_errors.InvalidProtobuf,
    runtime_errors.NotImplemented,
    runtime_errors.RuntimeException,
)
"""ONNX Runtime's words for a model that it cannot run, or not with such an input."""

Shape = list[int | None]

ROUNDING = 1e-6
"""Of the largest number of a feature in float32: what differs by less is the same."""


@dataclass(frozen=True)
class Extractor:
    """A model that serves: serialised, its chosen output, and how many numbers that gives."""

    model: bytes
    output: str
    dimension: int


def checked(data: bytes, name: str, preprocessing: Preprocessing, layer: str | None = None) -> Extractor:
    """The extractor that a file holds, after it was run on a few drawn pictures.

    Args:
        data: the file's content.
        name: of the file, for the errors.
        preprocessing: what the input will be.
        layer: name of the output, or of a value within, that is the feature; None is the only output.

    Raises:
        cbmir.errors.BadRequest: if it cannot be one; it says why.
    """
    model = _parsed(data, name)
    _check_input(model, name, preprocessing)
    output = _chosen(model, name, layer)
    kept = data if output in _outputs(model) else _with_output(model, output)
    return Extractor(kept, output, _dimension(kept, name, output, preprocessing))


def _parsed(data: bytes, name: str) -> Any:
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise BadRequest(f"{name} is not an ONNX model.", "Export the network as ONNX first.") from error
    if not model.graph.node:
        raise BadRequest(f"{name} is not an ONNX model.", "Export the network as ONNX first.")
    if any(each.data_location == TensorProto.EXTERNAL for each in _tensors(model)):
        raise BadRequest(
            f"{name} keeps its weights in other files.",
            "Save it as one file: onnx.save(onnx.load(FILE), NEW_FILE, save_as_external_data=False).",
        )
    return model


def _tensors(part: Message) -> Iterator[Any]:
    """All that are stored in a model, wherever: also in branches, loops and functions, and within sparse ones."""
    if isinstance(part, TensorProto):
        yield part
    for field, held in part.ListFields():
        if field.message_type:
            for inner in [held] if isinstance(held, Message) else held:
                yield from _tensors(inner)


def _check_input(model: Any, name: str, preprocessing: Preprocessing) -> None:
    weights = {each.name for each in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in weights]
    if len(inputs) != 1:
        names = ", ".join(each.name for each in inputs) or "none"
        raise BadRequest(
            f"{name} has {len(inputs)} inputs ({names}); an encoder has one, the picture.",
            "Export the part of the network that takes nothing but the picture.",
        )
    kind = inputs[0].type.tensor_type
    shape = [each.dim_value if each.HasField("dim_value") else None for each in kind.shape.dim]
    wanted = (1, preprocessing.channels, preprocessing.side, preprocessing.side)
    if len(shape) != 4 or any(have not in (None, want) for have, want in zip(shape, wanted, strict=True)):
        raise BadRequest(
            f"The input of {name} is of shape {_words(shape)}, where a picture is of {_words(list(wanted))}: "
            "one at a time, channels, rows, columns.",
            "Give its --input and --channels, or export it with such an input.",
        )
    if kind.elem_type != TensorProto.FLOAT:
        kind_name = TensorProto.DataType.Name(kind.elem_type).lower()
        raise BadRequest(f"The input of {name} is of {kind_name}, not of float (32 bits).", "Export it in float32.")


def _outputs(model: Any) -> list[str]:
    return [each.name for each in model.graph.output]


def _chosen(model: Any, name: str, layer: str | None) -> str:
    outputs = _outputs(model)
    if layer is None and len(outputs) == 1:
        return str(outputs[0])
    if layer is None:
        raise BadRequest(f"{name} has {len(outputs)} outputs.", f"Choose one by --layer: {', '.join(outputs)}.")
    within = {each for node in model.graph.node for each in node.output}
    if layer not in within and layer not in outputs:
        raise BadRequest(f"{name} has no value named {layer}.", f"Its outputs are: {', '.join(outputs)}.")
    return layer


def _with_output(model: Any, output: str) -> bytes:
    model.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, None))
    return bytes(model.SerializeToString())


def _dimension(model: bytes, name: str, output: str, preprocessing: Preprocessing) -> int:
    features = _features(model, name, output, preprocessing)
    shapes = [tuple(feature.shape) for feature in features]
    if len(set(shapes)) > 1:
        raise BadRequest(
            f"{output} of {name} changes its size with the picture: {_words(shapes[0])}, {_words(shapes[-1])}.",
            "Choose an output of a fixed size by --layer.",
        )
    shape = shapes[0]
    if len(shape) < 2 or shape[0] != 1 or max(shape) != features[0].size:
        raise BadRequest(
            f"{output} of {name} is of shape {_words(shape)}, and not one feature, (1, numbers).",
            "Choose another by --layer, or export the network with its mean over the map as output.",
        )
    if any(feature.dtype != np.float32 for feature in features):
        raise BadRequest(f"{output} of {name} is of {features[0].dtype}, not of float32.", "Choose another.")
    if not all(np.isfinite(feature).all() for feature in features):
        raise BadRequest(f"{output} of {name} is not a finite number for every picture.", "Check its export.")
    if _all_alike(np.concatenate([feature.reshape(1, -1) for feature in features])):
        raise BadRequest(
            f"{output} of {name} is the same for every picture: it tells none from another.",
            "Choose another output by --layer, or check --mean, --std and the export.",
        )
    return features[0].size


def _all_alike(features: FloatArray) -> bool:
    """Whether the rows differ by no more than rounding."""
    return bool(np.ptp(features, axis=0).max() <= ROUNDING * np.abs(features).max())


def _pictures(preprocessing: Preprocessing) -> Iterator[FloatArray]:
    """A few that differ, prepared: black, white, noise, and a bright spot."""
    side = preprocessing.side
    black, noise = np.zeros((side, side), np.uint8), np.random.default_rng(0).integers(0, 256, (side, side))
    spot = black.copy()
    spot[side // 2, side // 2] = 255
    for pixels in (black, black + 255, noise.astype(np.uint8), spot):
        yield preprocessing.apply(pixels)[np.newaxis]


def _features(model: bytes, name: str, output: str, preprocessing: Preprocessing) -> list[FloatArray]:
    try:
        ready = session(model)
        into = ready.get_inputs()[0].name
        found = [ready.run([output], {into: picture})[0] for picture in _pictures(preprocessing)]
    except CANNOT_RUN as error:
        said = str(error).partition("\n")[0]
        raise BadRequest(
            f"ONNX Runtime cannot run {name}: {said}", "Export it with operators of ONNX's own, for opset 17."
        ) from error
    return [np.asarray(each) for each in found]


def _words(shape: Sequence[int | None]) -> str:
    return f"({', '.join('any' if each is None else str(each) for each in shape)})"
