"""The decoder half of the paper's autoencoder: what 48 numbers keep of a picture."""

from __future__ import annotations

import torch

from cbmir.encoders import weights
from cbmir.encoders.base import Preprocessing
from cbmir.encoders.cnn_autoencoder import CnnAutoencoder
from cbmir.encoders.decoders import Decoder
from cbmir.types import FloatArray


def load(data: bytes, name: str, preprocessing: Preprocessing) -> Decoder:
    """See `cbmir.encoders.decoders.load`.

    Raises:
        cbmir.errors.WeightsMismatch: if the weights are not of this architecture at this side.
    """
    network = CnnAutoencoder(preprocessing.side)
    weights.fill(network, weights.from_bytes(data, name), name)
    half = network.decoder.eval()

    def decode(features: FloatArray) -> FloatArray:
        with torch.inference_mode():
            pictures: FloatArray = half(torch.from_numpy(features)).numpy()
            return pictures

    return decode
