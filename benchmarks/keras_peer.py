"""The training by labels in Keras: a peer that `train_labels.py` brings, and no part of the product.

The network of `cbmir.encoders.efficientnet_network` from the same weights, its stem and first five blocks kept; the
same loss, softmax over cosines to a proxy of each label, labels smoothed; AdamW, and a moving average of what it
trains.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import torch

from cbmir.encoders.efficientnet_lite import EPSILON, HEAD, STEM, Block, blocks
from cbmir.encoders.efficientnet_network import DROPOUT, MOMENTUM, EfficientNetLite, is_kept
from cbmir.training.by_labels import LabelRecipe
from cbmir.training.proxies import SCALE, SMOOTHING, Proxies

keras, layers = tf.keras, tf.keras.layers
NEAR = 1e-3
"""How far its first loss may be from ours."""


class Cosines(layers.Layer):  # type: ignore[misc]
    """Features of unit length -> their cosines to the proxies, times `SCALE`."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self._labels = labels

    def build(self, shape: tuple[int, ...]) -> None:
        """Make the proxies."""
        self.directions = self.add_weight(shape=(self._labels, shape[-1]))

    def call(self, features: Any) -> Any:
        """float32 (n, dimension) -> (n, labels)."""
        return SCALE * keras.ops.matmul(features, keras.ops.transpose(keras.ops.normalize(self.directions)))


def trained(ours: EfficientNetLite, proxies: Proxies, side: int, threads: int) -> Any:
    """The network ready for `train_on_batch`, with our weights.

    Args:
        ours: the network, as it begins.
        proxies: of the labels.
        side: pixels of a picture's.
        threads: that a layer may use.
    """
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = _network(side, len(proxies.directions))
    state = {name: each.numpy() for name, each in ours.state_dict().items()}
    for layer in model.layers:
        if values := list(_values(layer, state)):
            layer.set_weights(values)
    model.layers[-1].set_weights([proxies.directions.detach().numpy()])
    recipe = LabelRecipe()
    optimiser = keras.optimizers.AdamW(
        recipe.learning_rate, weight_decay=recipe.weight_decay, use_ema=True, ema_momentum=recipe.memory
    )
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=SMOOTHING)
    model.compile(optimiser, loss, jit_compile=False)
    return model


def check(model: Any, ours: EfficientNetLite, proxies: Proxies, inputs: Any, targets: Any) -> None:
    """Both give the same loss for the same pictures, as they begin.

    Args:
        inputs: float32 (n, 1, side, side).
        targets: float32 (n, labels).

    Raises:
        AssertionError: if not: what is timed is then not the same.
    """
    with torch.inference_mode():
        features = ours.eval()(torch.from_numpy(inputs))
        wanted = proxies.loss(features, torch.from_numpy(targets)).item()
    found = float(model.test_on_batch(inputs.transpose(0, 2, 3, 1), targets))
    assert abs(found - wanted) < NEAR, f"Keras begins with a loss of {found}, torch with {wanted}."


def _network(side: int, labels: int) -> Any:
    inputs = keras.Input((side, side, 1))
    x, channels = layers.ReLU(6.0)(_normed(inputs, "stem", STEM, 3, 2)), STEM
    for number, shape in enumerate(blocks()):
        x, channels = _block(x, channels, shape, f"blocks.{number}"), shape.channels
    x = layers.GlobalAveragePooling2D()(layers.ReLU(6.0)(_normed(x, "head", HEAD)))
    x = layers.UnitNormalization()(layers.Dropout(DROPOUT)(x))
    return keras.Model(inputs, Cosines(labels)(x))


def _block(x: Any, channels: int, shape: Block, name: str) -> Any:
    wide = channels * shape.widening
    y = layers.ReLU(6.0)(_normed(x, f"{name}.widen", wide)) if shape.widening > 1 else x
    y = layers.ReLU(6.0)(_normed(y, f"{name}.depthwise", None, shape.kernel, shape.stride))
    y = _normed(y, f"{name}.narrow", shape.channels)
    return layers.Add()([x, y]) if shape.stride == 1 and shape.channels == channels else y


def _normed(x: Any, name: str, out: int | None, kernel: int = 1, stride: int = 1) -> Any:
    """A convolution and its norm; without a number of channels each has a filter of its own."""
    common = {"strides": stride, "padding": "same", "use_bias": False, "name": name}
    convolution = layers.Conv2D(out, kernel, **common) if out else layers.DepthwiseConv2D(kernel, **common)
    norm = layers.BatchNormalization(momentum=1 - MOMENTUM, epsilon=EPSILON, name=f"{name}.norm")
    convolution.trainable = norm.trainable = not is_kept(f"{name}.")
    return norm(convolution(x))


def _values(layer: Any, state: dict[str, Any]) -> Iterator[Any]:
    """Our tensors for a layer, as Keras wants them."""
    if isinstance(layer, layers.BatchNormalization):
        yield from (state[f"{layer.name}.{each}"] for each in ("weight", "bias", "running_mean", "running_var"))
    elif isinstance(layer, layers.DepthwiseConv2D):
        yield np.transpose(state[f"{layer.name}.weight"], (2, 3, 0, 1))
    elif isinstance(layer, layers.Conv2D):
        yield np.transpose(state[f"{layer.name}.weight"], (2, 3, 1, 0))
