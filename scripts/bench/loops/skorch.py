"""skorch: `fit` of a NeuralNetClassifier on an array of normalized images."""

from typing import Any

import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback

from bench import mnist, nets
from bench.contests import NETS, Figures, Work
from bench.loops.timing import Timing


class Watch(Callback):  # type: ignore[misc] # skorch is not installed where types are checked
    """Tells `timing` of epochs and steps."""

    def __init__(self, timing: Timing) -> None:
        self.timing = timing

    def on_epoch_begin(self, net: Any, **arguments: Any) -> None:
        self.timing.begin_epoch()

    def on_batch_end(self, net: Any, **arguments: Any) -> None:
        self.timing.after_step()

    def on_epoch_end(self, net: Any, **arguments: Any) -> None:
        self.timing.end_epoch()


def run(work: Work) -> Figures:
    """Train."""
    images, labels = mnist.read(work)
    timing, model = Timing(), nets.build(work.net)
    classifier = NeuralNetClassifier(
        model,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        optimizer__weight_decay=NETS[work.net].weight_decay,
        lr=1e-3,
        max_epochs=work.epochs,
        batch_size=work.batch,
        iterator_train__shuffle=True,
        train_split=None,
        callbacks=[Watch(timing)],
    )
    classifier.fit(mnist.normalized(images, work.net), labels)
    return Figures(nets.parameters(model), timing.speed(len(images)), timing.first_step_at)
