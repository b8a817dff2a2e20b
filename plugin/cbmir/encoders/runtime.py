"""Networks are run by ONNX Runtime: a third of torch's time on a processor, and a tenth of its import."""

from __future__ import annotations

import numpy as np
import onnxruntime

from cbmir.encoders.base import Preprocessing
from cbmir.encoders.reduction import Reduction
from cbmir.errors import EncoderMismatch
from cbmir.types import FloatArray

ERRORS_ONLY = 3
"""ONNX Runtime's logging level."""


class OnnxEncoder:
    """A `cbmir.encoders.base.Encoder`: a network in ONNX, run by the processor.

    One picture goes through at a time, in the thread that asks: a feature is then the same to the bit alone and
    among others, a batch costs no more memory than a picture, and it is as fast as any batch. Who encodes much does
    so by several threads, which do not wait for one another.

    Args:
        architecture: its name in the registry.
        model: the ONNX model, serialised; input float32 (1 or any, channels, side, side).
        preprocessing: what is done to a picture first.
        output: name of the output that is the feature; None is the first.
        reduction: what makes fewer numbers of them; None keeps all.

    Attributes:
        dimension: numbers of a feature.
        model, output, reduction: what it was made of.
    """

    def __init__(
        self,
        architecture: str,
        model: bytes,
        preprocessing: Preprocessing,
        output: str | None = None,
        reduction: Reduction | None = None,
    ) -> None:
        self.architecture = architecture
        self.preprocessing = preprocessing
        self.model, self.reduction = model, reduction
        self._session = session(model)
        self._input = self._session.get_inputs()[0].name
        self.output = output or self._session.get_outputs()[0].name
        side, channels = preprocessing.side, preprocessing.channels
        self.dimension = len(self._one(np.zeros((1, channels, side, side), np.float32)))

    def encode(self, inputs: FloatArray) -> FloatArray:
        """See `cbmir.encoders.base.Encoder.encode`."""
        features = np.empty((len(inputs), self.dimension), np.float32)
        for row, picture in enumerate(np.ascontiguousarray(inputs, np.float32)):
            feature = self._one(picture[np.newaxis])
            if len(feature) != self.dimension:
                raise EncoderMismatch(f"A picture gave {len(feature)} numbers, where others gave {self.dimension}.")
            features[row] = feature
        return features

    def _one(self, picture: FloatArray) -> FloatArray:
        (values,) = self._session.run([self.output], {self._input: picture})
        feature: FloatArray = np.asarray(values).ravel()
        return self.reduction.apply(feature) if self.reduction else feature


def session(model: bytes) -> onnxruntime.InferenceSession:
    """Make a model ready to run, in the thread that asks.

    Raises:
        Exception: of ONNX Runtime's own kinds, if it is no model that can be run.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
