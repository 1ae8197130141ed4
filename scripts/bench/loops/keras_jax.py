"""Keras 3 on JAX: `fit` on an array of normalized images, with the same layers."""

import os
from typing import Any

import numpy as np

from bench import mnist
from bench.contests import NETS, Figures, Work
from bench.loops.timing import Timing

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
from keras import layers


class Watch(keras.callbacks.Callback):  # type: ignore[misc] # Keras is not installed where types are checked
    """Tells `timing` of epochs and steps."""

    def __init__(self, timing: Timing) -> None:
        super().__init__()
        self.timing = timing

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.timing.begin_epoch()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.timing.after_step()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.timing.end_epoch()


class Code(layers.Layer):  # type: ignore[misc] # Keras is not installed where types are checked
    """Draws a code and adds the KL divergence to the loss."""

    def call(self, moments: Any) -> Any:
        mean, log_variance = moments
        kl = -0.5 * keras.ops.sum(1 + log_variance - mean**2 - keras.ops.exp(log_variance), axis=1)
        self.add_loss(keras.ops.mean(kl))
        noise = keras.random.normal(keras.ops.shape(mean), seed=self.noise)
        return mean + noise * keras.ops.exp(0.5 * log_variance)

    def build(self, shapes: Any) -> None:
        self.noise = keras.random.SeedGenerator()


class Positions(layers.Layer):  # type: ignore[misc] # Keras is not installed where types are checked
    """Adds a learned vector to each row."""

    def build(self, shape: Any) -> None:
        self.positions = self.add_weight(shape=(28, 64), initializer=keras.initializers.RandomNormal(stddev=0.02))

    def call(self, rows: Any) -> Any:
        return rows + self.positions


def run(work: Work) -> Figures:
    """Train."""
    images, labels = mnist.read(work)
    inputs = np.ascontiguousarray(mnist.normalized(images, work.net).transpose(0, 2, 3, 1))  # (N, H, W, C)
    targets = inputs.reshape(len(inputs), -1) if work.net == "vae" else labels
    model, timing = _build(work.net, inputs.shape[1:]), Timing()
    decay = NETS[work.net].weight_decay or None
    optimizer = keras.optimizers.Adam(1e-3, weight_decay=decay)
    model.compile(optimizer, loss=_loss(work.net), metrics=_metrics(work.net))
    model.fit(inputs, targets, batch_size=work.batch, epochs=work.epochs, verbose=0, callbacks=[Watch(timing)])
    jax.effects_barrier()
    parameters = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    return Figures(parameters, timing.speed(len(images)), timing.first_step_at)


def _loss(net: str) -> Any:
    if net == "vae":
        return lambda pixels, logits: 784 * keras.losses.binary_crossentropy(pixels, logits, from_logits=True)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _metrics(net: str) -> list[str]:
    return [] if net == "vae" else ["accuracy"]


def _build(net: str, shape: tuple[int, ...]) -> Any:
    inputs = keras.Input(shape)
    return keras.Model(inputs, _OUTPUTS[net](inputs))


def _softmax(x: Any) -> Any:
    return layers.Dense(10)(layers.Flatten()(x))


def _mlp(x: Any) -> Any:
    x = layers.Dense(256, activation="relu")(layers.Flatten()(x))
    return layers.Dense(10)(layers.Dense(128, activation="relu")(x))


def _cnn(x: Any) -> Any:
    for channels in (32, 64, 128):
        x = layers.Conv2D(channels, 3, padding="same", use_bias=False)(x)
        x = layers.MaxPooling2D(2)(layers.ReLU()(layers.BatchNormalization()(x)))
    return _head(x, 128, 0.25)


def _cnn_9216(x: Any) -> Any:
    for channels in (32, 64):
        x = layers.Conv2D(channels, 3, padding="same", activation="relu")(x)
    return _head(layers.MaxPooling2D(2)(x), 128, 0.25)


def _cnn48(x: Any) -> Any:
    for channels in (32, 64):
        x = layers.MaxPooling2D(2)(layers.Conv2D(channels, 3, padding="same", activation="relu")(x))
    return _head(layers.Conv2D(128, 3, padding="same", activation="relu")(x), 512, 0.5)


def _head(x: Any, hidden: int, dropout: float) -> Any:
    x = layers.Dropout(dropout)(layers.Flatten()(x))
    x = layers.Dropout(dropout)(layers.Dense(hidden, activation="relu")(x))
    return layers.Dense(10)(x)


def _rows(x: Any) -> Any:
    return layers.Reshape((28, 28))(x)


def _lstm(x: Any) -> Any:
    return layers.Dense(10)(layers.LSTM(128)(_rows(x)))


def _transformer(x: Any) -> Any:
    x = Positions()(layers.Dense(64)(_rows(x)))
    for _ in range(2):
        normed = layers.LayerNormalization(epsilon=1e-5)(x)
        x = x + layers.MultiHeadAttention(4, 16)(normed, normed)
        normed = layers.LayerNormalization(epsilon=1e-5)(x)
        x = x + layers.Dense(64)(layers.Dense(256, activation="gelu")(normed))
    return layers.Dense(10)(layers.GlobalAveragePooling1D()(layers.LayerNormalization(epsilon=1e-5)(x)))


def _vae(x: Any) -> Any:
    hidden = layers.Dense(400, activation="relu")(layers.Flatten()(x))
    z = Code()([layers.Dense(20)(hidden), layers.Dense(20)(hidden)])
    return layers.Dense(784)(layers.Dense(400, activation="relu")(z))


_OUTPUTS = {
    "softmax": _softmax,
    "mlp": _mlp,
    "cnn": _cnn,
    "cnn_9216": _cnn_9216,
    "cnn48": _cnn48,
    "lstm": _lstm,
    "transformer": _transformer,
    "vae": _vae,
}
