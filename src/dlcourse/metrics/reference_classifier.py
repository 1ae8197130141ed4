"""A small classifier trained on the real images of a data set, to compare generated ones by their features and classes.

N is a number of images, B a batch size, F the features of an image, K the number of classes.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlcourse.device import Device
from dlcourse.spec import Data, DataSpec, Split

_FEATURES = 64
_CHANNELS = 16
_SMALLEST_SIDE = 4  # pixels; feature maps are halved down to this
_BATCH_SIZE = 128
_FEWEST_STEPS = 400  # about one pass over MNIST; smaller training sets are gone through as often as this takes
_RATE = 3e-3


class ReferenceClassifier:
    """A convolutional network and its accuracy on validation, which says how far its predictions can be trusted.

    It is trained anew in each run, by the same recipe and from the same seed, so that runs with one seed on the same data
    have the same one; the random state that training continues with is left alone.
    """

    def __init__(self, body: nn.Module, head: nn.Module, accuracy: float) -> None:
        self.accuracy = accuracy
        self._body, self._head = body, head

    @classmethod
    def train(cls, data: Data, device: Device) -> "ReferenceClassifier":
        """A classifier of images with classes: one pass over the training set, or several if that is small."""
        with device.forked_random_state(), torch.enable_grad():
            body, head = _layers(data.spec)
            network = device.place(nn.Sequential(body, head))
            _fit(network, data.train)
        classifier = cls(body.eval(), head.eval(), accuracy=0.0)
        hits = sum(
            int((classifier.classes(batch.inputs) == batch.targets).sum()) for batch in data.val.batches(_BATCH_SIZE)
        )
        classifier.accuracy = hits / len(data.val)
        return classifier

    @torch.no_grad()
    def features(self, inputs: Tensor) -> Tensor:
        """What the layer before the last one says of images normalized as the data set's are, `(N, C, H, W) -> (N, F)`."""
        return torch.cat([self._body(part) for part in torch.split(inputs, _BATCH_SIZE)])

    @torch.no_grad()
    def classes(self, inputs: Tensor) -> Tensor:
        """The likeliest class of each image, `(N, C, H, W) -> (N,)`."""
        logits: Tensor = self._head(self.features(inputs))  # (N, K)
        return logits.argmax(1)


def _layers(spec: DataSpec) -> tuple[nn.Module, nn.Module]:
    """From images to features `(B, C, H, W) -> (B, F)`, and from there to logits `(B, F) -> (B, K)`."""
    in_channels, height, width = spec.input_shape
    out_channels = _CHANNELS
    layers: list[nn.Module] = []
    while not layers or max(height, width) > _SMALLEST_SIDE:
        layers += [
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),
        ]
        height, width = -(-height // 2), -(-width // 2)
        in_channels, out_channels = out_channels, min(2 * out_channels, _FEATURES)
    layers += [nn.Flatten(), nn.Linear(in_channels * height * width, _FEATURES), nn.ReLU()]
    return nn.Sequential(*layers), nn.Linear(_FEATURES, spec.num_outputs)


def _fit(network: nn.Module, split: Split) -> None:
    """Adam on the cross-entropy, the learning rate falling to zero in a straight line."""
    optimizer = torch.optim.Adam(network.parameters(), lr=_RATE)
    steps_of_a_pass = math.ceil(len(split) / _BATCH_SIZE)
    passes = math.ceil(_FEWEST_STEPS / steps_of_a_pass)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=passes * steps_of_a_pass)
    network.train()
    for epoch in range(1, passes + 1):
        for inputs, targets in split.batches(_BATCH_SIZE, epoch=epoch):
            optimizer.zero_grad()
            torch.autograd.backward(functional.cross_entropy(network(inputs), targets))
            optimizer.step()
            schedule.step()
