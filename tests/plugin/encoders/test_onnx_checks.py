"""Models that serve as encoders, and models that do not: each has its own error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import safetensors.numpy
from onnx import ModelProto, TensorProto, helper, numpy_helper

from cbmir.encoders import onnx_file
from cbmir.encoders.base import Preprocessing
from cbmir.encoders.onnx_checks import Extractor, checked
from cbmir.encoders.reduction import Reduction
from cbmir.errors import BadRequest, EncoderMismatch, WeightsMismatch

Make = Callable[..., bytes]
Shape = Sequence[int | str]

SIDE = 8
GREY = Preprocessing(SIDE)


def weight(name: str, *shape: int) -> Any:
    values = np.random.default_rng(len(name)).normal(size=shape).astype(np.float32)
    return numpy_helper.from_array(values, name)


def value(name: str, shape: Shape, kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def network(
    nodes: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any], weights: Sequence[Any] = ()
) -> ModelProto:
    """A model of the standard's operators, version 17, as another program would have saved it."""
    graph = helper.make_graph(nodes, "network", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


PICTURE = value("picture", ("n", 1, SIDE, SIDE))


def check(data: bytes, layer: str | None = None, preprocessing: Preprocessing = GREY) -> Extractor:
    return checked(data, "net.onnx", preprocessing, layer)


@pytest.mark.parametrize("shape", [("n", 1, SIDE, SIDE), (1, 1, SIDE, SIDE), ("n", 1, "rows", "columns")])
def test_a_feature_extractor_serves(make_extractor: Make, shape: tuple[Any, ...]) -> None:
    data = make_extractor(shape)
    assert check(data) == Extractor(data, "feature", 12)


def test_an_output_or_a_value_within_may_be_chosen(make_extractor: Make) -> None:
    two = make_extractor(outputs={"feature": ("n", 12), "mean": ("n", 6, 1, 1)})
    assert check(two, "mean").dimension == 6
    within = check(make_extractor(), "flat")
    encoder = onnx_file.load(onnx_file.packed(within.model, within.output), "net", GREY)
    assert encoder.dimension == within.dimension == 6


def test_it_encodes_one_by_one_and_may_be_reduced(make_extractor: Make) -> None:
    extractor = check(make_extractor())
    inputs = np.random.default_rng(0).random((5, 1, SIDE, SIDE), np.float32)
    whole = onnx_file.load(onnx_file.packed(extractor.model, extractor.output), "net", GREY).encode(inputs)
    reduction = Reduction(np.eye(3, 12, dtype=np.float32), np.ones(3, np.float32))
    packed = onnx_file.packed(extractor.model, extractor.output, reduction)
    reduced = onnx_file.load(packed, "net", GREY)
    assert reduced.dimension == 3
    assert np.array_equal(reduced.encode(inputs), whole[:, :3] + 1)
    assert packed == onnx_file.packed(extractor.model, extractor.output, reduction)


def test_a_weights_file_without_a_model_is_refused() -> None:
    with pytest.raises(WeightsMismatch, match="model"):
        onnx_file.load(safetensors.numpy.save({"other": np.ones(3, np.float32)}), "net", GREY)


def refused(data: bytes, words: str, layer: str | None = None, preprocessing: Preprocessing = GREY) -> None:
    with pytest.raises(BadRequest, match=words) as raised:
        check(data, layer, preprocessing)
    assert "net.onnx" in raised.value.reason
    assert raised.value.remedy


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n not a model", b"<html></html>"])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    refused(data, "not an ONNX model")


def test_a_model_cut_short_is_refused(make_extractor: Make) -> None:
    data = make_extractor()
    refused(data[: len(data) // 2], "not an ONNX model|cannot run")


def test_two_inputs_are_named() -> None:
    nodes = [helper.make_node("Add", ["picture", "mask"], ["sum"]), helper.make_node("Flatten", ["sum"], ["flat"])]
    inputs = [PICTURE, value("mask", ("n", 1, SIDE, SIDE))]
    refused(network(nodes, inputs, [value("flat", ("n", 64))]).SerializeToString(), r"2 inputs \(picture, mask\)")


def test_weights_that_are_listed_among_the_inputs_are_no_inputs() -> None:
    nodes = [helper.make_node("Flatten", ["picture"], ["flat"]), helper.make_node("Gemm", ["flat", "w"], ["y"])]
    model = network(nodes, [PICTURE, value("w", (64, 5))], [value("y", ("n", 5))], [weight("w", 64, 5)])
    assert check(model.SerializeToString()).dimension == 5


@pytest.mark.parametrize("shape", [(4, 1, SIDE, SIDE), ("n", 3, SIDE, SIDE), ("n", 1, 16, 16)])
def test_another_input_is_refused(make_extractor: Make, shape: tuple[Any, ...]) -> None:
    refused(make_extractor(shape), r"where a picture is of \(1, 1, 8, 8\)")


def test_bytes_as_input_are_refused() -> None:
    nodes = [
        helper.make_node("Cast", ["picture"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["cast"], ["flat"]),
    ]
    model = network(nodes, [value("picture", (1, 1, SIDE, SIDE), TensorProto.UINT8)], [value("flat", (1, 64))])
    refused(model.SerializeToString(), "uint8")


def test_several_outputs_ask_for_a_choice(make_extractor: Make) -> None:
    two = make_extractor(outputs={"feature": ("n", 12), "mean": ("n", 6, 1, 1)})
    with pytest.raises(BadRequest, match="2 outputs") as raised:
        check(two)
    assert "feature, mean" in raised.value.remedy
    refused(two, "no value named other", "other")


def test_an_output_whose_size_depends_on_the_picture_is_refused() -> None:
    nodes = [
        helper.make_node("NonZero", ["picture"], ["places"]),
        helper.make_node("Cast", ["places"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["cast", "row"], ["found"]),
    ]
    row = helper.make_tensor("row", TensorProto.INT64, (2,), [1, -1])
    model = network(nodes, [PICTURE], [value("found", (1, "many"))], [row])
    refused(model.SerializeToString(), "changes its size")


def test_a_map_is_no_feature(make_extractor: Make) -> None:
    refused(make_extractor(outputs={"map": ("n", 6, SIDE, SIDE)}), r"\(1, 6, 8, 8\)")


def test_an_output_that_is_no_number_is_refused() -> None:
    nodes = [helper.make_node("Flatten", ["picture"], ["flat"]), helper.make_node("Log", ["flat"], ["log"])]
    refused(network(nodes, [PICTURE], [value("log", ("n", 64))]).SerializeToString(), "finite")


def test_an_output_that_is_always_the_same_is_refused() -> None:
    nodes = [
        helper.make_node("Flatten", ["picture"], ["flat"]),
        helper.make_node("Mul", ["flat", "none"], ["black"]),
        helper.make_node("Add", ["black", "bias"], ["y"]),
    ]
    none = numpy_helper.from_array(np.zeros(1, np.float32), "none")
    bias = [none, weight("bias", 64)]
    refused(network(nodes, [PICTURE], [value("y", ("n", 64))], bias).SerializeToString(), "same for every picture")


def test_an_output_of_integers_is_refused() -> None:
    nodes = [
        helper.make_node("Flatten", ["picture"], ["flat"]),
        helper.make_node("Cast", ["flat"], ["y"], to=TensorProto.INT32),
    ]
    refused(network(nodes, [PICTURE], [value("y", ("n", 64), TensorProto.INT32)]).SerializeToString(), "int32")


def test_an_unknown_operator_is_named() -> None:
    node = helper.make_node("Entangle", ["picture"], ["y"], domain="com.example")
    model = network([node], [PICTURE], [value("y", ("n", 64))])
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    refused(model.SerializeToString(), "Entangle")


def test_weights_in_other_files_are_refused(make_extractor: Make, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    model = onnx.load_model_from_string(make_extractor())
    onnx.save(model, path, save_as_external_data=True, location="net.bin", size_threshold=0)
    refused(path.read_bytes(), "weights in other files")


def elsewhere(name: str) -> Any:
    """Six numbers that lie in a file beside the program."""
    told = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[6], data_location=TensorProto.EXTERNAL)
    for key, said in {"location": "net.bin", "offset": "0", "length": "24"}.items():
        told.external_data.add(key=key, value=said)
    return told


def sparse() -> Any:
    places = helper.make_tensor("places", TensorProto.INT64, [6], range(6))
    return onnx.SparseTensorProto(values=elsewhere("kept"), indices=places, dims=[6])


def within_a_function() -> ModelProto:
    nodes = [
        helper.make_node("Constant", [], ["kept"], value=elsewhere("kept")),
        helper.make_node("Add", ["given", "kept"], ["sum"]),
    ]
    standard, own = helper.make_opsetid("", 17), helper.make_opsetid("own", 1)
    function = helper.make_function("own", "Shift", ["given"], ["sum"], nodes, [standard])
    graph = helper.make_graph(
        [helper.make_node("Shift", ["picture"], ["sum"], domain="own")],
        "network",
        [PICTURE],
        [value("sum", (1, 6))],
    )
    return helper.make_model(graph, functions=[function], opset_imports=[standard, own], ir_version=8)


def as_sparse_weights() -> ModelProto:
    model = network([helper.make_node("Add", ["picture", "kept"], ["sum"])], [PICTURE], [value("sum", (1, 6))])
    model.graph.sparse_initializer.append(sparse())
    return model


def as_a_sparse_constant() -> ModelProto:
    nodes = [
        helper.make_node("Constant", [], ["kept"], sparse_value=sparse()),
        helper.make_node("Add", ["picture", "kept"], ["sum"]),
    ]
    return network(nodes, [PICTURE], [value("sum", (1, 6))])


@pytest.mark.parametrize("make", [within_a_function, as_sparse_weights, as_a_sparse_constant])
def test_no_part_of_a_model_may_lie_in_another_file(make: Callable[[], ModelProto]) -> None:
    refused(make().SerializeToString(), "weights in other files")


def test_a_feature_that_changes_its_size_later_is_refused() -> None:
    nodes = [
        helper.make_node("NonZero", ["picture"], ["places"]),
        helper.make_node("Cast", ["places"], ["found"], to=TensorProto.FLOAT),
    ]
    model = network(nodes, [PICTURE], [value("found", (4, "many"))]).SerializeToString()
    encoder = onnx_file.load(onnx_file.packed(model, "found"), "net", GREY)
    with pytest.raises(EncoderMismatch):
        encoder.encode(np.ones((1, 1, SIDE, SIDE), np.float32))
