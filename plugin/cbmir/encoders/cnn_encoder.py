"""The encoder half of the paper's autoencoder, ready to encode. No torch here; `cnn_autoencoder` has the whole.

Three convolutions, 128 filters of 3 x 3, stride 2, LeakyReLU(0.2), then a dense layer to 48 numbers.
"""

from __future__ import annotations

from cbmir.encoders.base import Preprocessing
from cbmir.encoders.graph import INPUT, Graph
from cbmir.encoders.runtime import OnnxEncoder
from cbmir.encoders.tensors import Tensors
from cbmir.errors import WeightsMismatch

NAME = "cnn-autoencoder"
DIMENSION = 48
FILTERS = 128
LAYERS = 3
SHRINK = 2**LAYERS
SLOPE = 0.2


def load(data: bytes, name: str, preprocessing: Preprocessing) -> OnnxEncoder:
    """The encoder of a trained autoencoder.

    Args:
        data: safetensors of the whole autoencoder, of which the decoder is left aside.
        name: of their file, for the error.
        preprocessing: one channel, the side that the network was trained with.

    Raises:
        cbmir.errors.WeightsMismatch: if the weights are not of this architecture at this side.
    """
    if preprocessing.channels != 1:
        raise WeightsMismatch(f"The weights file {name} is recorded with {preprocessing.channels} channels, not 1.")
    return OnnxEncoder(NAME, model(Tensors(data, name), preprocessing.side), preprocessing)


def model(tensors: Tensors, side: int) -> bytes:
    """The encoder half as an ONNX model; the names of the tensors are those of `CnnAutoencoder`'s state.

    Raises:
        cbmir.errors.WeightsMismatch: if the weights are not of this architecture at this side.
    """
    graph, x, channels = Graph(1, side), INPUT, 1
    for layer in range(LAYERS):
        at = f"encoder.{2 * layer}"  # each is followed by its activation
        weight = tensors.take(f"{at}.weight", FILTERS, channels, 3, 3)
        x = graph.leaky_relu(graph.conv(x, weight, tensors.take(f"{at}.bias", FILTERS), stride=2), SLOPE)
        channels = FILTERS
    at = f"encoder.{2 * LAYERS + 1}"  # after the flattening
    weight = tensors.take(f"{at}.weight", DIMENSION, FILTERS * (side // SHRINK) ** 2)
    return graph.model(graph.dense(graph.flat(x), weight, tensors.take(f"{at}.bias", DIMENSION)), DIMENSION)
