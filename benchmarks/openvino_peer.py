"""A network as OpenVINO runs it: a peer that `extract.py` brings in a process of its own, and no more than that."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import numpy as np
import openvino

from cbmir.encoders import machine
from cbmir.types import FloatArray

IN_FLOAT32 = {"INFERENCE_PRECISION_HINT": "f32"}
"""Of what is not in 8 bits: OpenVINO would take bfloat16 where the processor has it."""


def seconds(model: str, inputs: str, at_once: int) -> float:
    """The seconds of CPU that `features` takes."""
    began = time.process_time()
    features(model, inputs, at_once)
    return time.process_time() - began


def features(model: str, inputs: str, at_once: int) -> FloatArray:
    """What a network makes of pictures.

    Args:
        model: the path of the ONNX model.
        inputs: the path of an array, float32 (n, channels, side, side); `at_once` divides n.
        at_once: pictures of a request. All cores work at many together; of single ones each core has its own.

    Returns:
        float32 (n, dimension).
    """
    pictures, found = _loaded(inputs), dict[int, FloatArray]()
    queue = _queue(model, at_once, pictures.shape[1:])
    queue.set_callback(lambda request, start: found.update({start: request.get_output_tensor(0).data.copy()}))
    for start in range(0, len(pictures), at_once):
        queue.start_async({0: pictures[start : start + at_once]}, start)
    queue.wait_all()
    return np.concatenate([found[start] for start in sorted(found)])


@cache
def _loaded(inputs: str) -> FloatArray:
    pictures: FloatArray = np.load(inputs)
    return pictures


@cache
def _queue(model: str, at_once: int, shape: tuple[int, ...]) -> Any:
    core, cores = openvino.Core(), machine.cores()
    streams = cores if at_once == 1 else 1
    network = core.read_model(model)
    network.reshape([at_once, *shape])
    options = {**IN_FLOAT32, "NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": cores}
    return openvino.AsyncInferQueue(core.compile_model(network, "CPU", options), streams)
