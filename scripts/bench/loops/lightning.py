"""Lightning as its templates use it: a LightningModule that logs a mean loss and accuracy of torchmetrics, a DataLoader."""

from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torchmetrics import MeanMetric
from torchmetrics.classification import Accuracy

from bench import nets
from bench.contests import NETS, Figures, Work
from bench.loops.per_sample import loader
from bench.loops.timing import Timing


class Module(LightningModule):  # type: ignore[misc] # Lightning is not installed where types are checked
    """A network, its loss and its optimizer."""

    def __init__(self, net: str) -> None:
        super().__init__()
        self.net, self.name, self.criterion = nets.build(net), net, nets.criterion(net)
        self.train_loss = MeanMetric()
        self.train_accuracy = Accuracy(task="multiclass", num_classes=10)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        inputs, targets = batch
        output = self.net(inputs)
        loss = self.criterion(output, targets)
        self.train_loss(loss)
        self.log("train/loss", self.train_loss, on_step=False, on_epoch=True, prog_bar=True)
        if self.name != "vae":
            self.train_accuracy(output.argmax(1), targets)
            self.log("train/acc", self.train_accuracy, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.net.parameters(), lr=1e-3, weight_decay=NETS[self.name].weight_decay)


class Watch(Callback):  # type: ignore[misc] # Lightning is not installed where types are checked
    """Tells `timing` of epochs and steps."""

    def __init__(self, timing: Timing) -> None:
        self.timing = timing

    def on_train_epoch_start(self, *arguments: Any) -> None:
        self.timing.begin_epoch()

    def on_train_batch_end(self, *arguments: Any) -> None:
        self.timing.after_step()

    def on_train_epoch_end(self, *arguments: Any) -> None:
        self.timing.end_epoch()


def run(work: Work) -> Figures:
    """Train."""
    timing, module = Timing(), Module(work.net)
    trainer = Trainer(max_epochs=work.epochs, accelerator="cpu", logger=False, callbacks=[Watch(timing)])
    trainer.fit(module, loader(work))
    return Figures(nets.parameters(module.net), timing.speed(work.size), timing.first_step_at)
