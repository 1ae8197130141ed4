"""Faults to plant in real runs: in a model, a task, an optimizer or the data, as people make them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dlcourse.config.registry import Choice
from dlcourse.data.dataset import ClassSource, Source
from dlcourse.models import MODELS
from dlcourse.optim.optimizers import OPTIMIZERS
from dlcourse.optim.schedules import SCHEDULERS, ScheduleMaker
from dlcourse.spec import Batch
from dlcourse.tasks.classification import Classification
from dlcourse.tasks.regression import Regression
from dlcourse.tasks.task import Scalars

Plant = Callable[[pytest.MonkeyPatch], None]


def no_learning_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A schedule that is 0 from the first step to the last."""

    def nothing(final: float = 0.0) -> ScheduleMaker:
        return lambda updates: lambda update: 0.0

    monkeypatch.setitem(SCHEDULERS._table, "cosine", nothing)


def change_models(monkeypatch: pytest.MonkeyPatch, change: Callable[[nn.Module], None]) -> None:
    """Change every model once it is built."""
    build = MODELS.build

    def changed(choice: Choice, **run_time: Any) -> nn.Module:
        model = build(choice, **run_time)
        change(model)
        return model

    monkeypatch.setattr(MODELS, "build", changed)


def first_layer(model: nn.Module) -> nn.Module:
    """The first module with weights of its own."""
    return next(module for module in model.modules() if list(module.parameters(recurse=False)))


def frozen_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first layer is not to be trained, and no option says so."""
    change_models(monkeypatch, lambda model: first_layer(model).requires_grad_(False) and None)


def layer_without_optimizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The optimizer is not given the first two parameters."""
    build = OPTIMIZERS.build

    def forgetful(choice: Choice) -> Any:
        make = build(choice)

        def without_first(model: nn.Module) -> Any:
            class Rest(nn.Module):
                def parameters(self, recurse: bool = True) -> Any:
                    return iter(list(model.parameters())[2:])

            return make(Rest())

        return without_first

    monkeypatch.setattr(OPTIMIZERS, "build", forgetful)


def detached_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the first layer gives is cut off from it."""

    def cut(module: nn.Module, inputs: Any, output: Any) -> Any:
        return output.detach() if isinstance(output, Tensor) else (output[0].detach(), *output[1:])

    change_models(monkeypatch, lambda model: first_layer(model).register_forward_hook(cut) and None)


def detached_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss is a number that nothing can be learned from."""
    _change_losses(monkeypatch, lambda name, loss: loss.detach())


def loss_of_other_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    """What should fall is raised."""
    _change_losses(monkeypatch, lambda name, loss: -loss if name in ("loss", "objective") else loss)


def _change_losses(monkeypatch: pytest.MonkeyPatch, change: Callable[[str, Tensor], Tensor]) -> None:
    for task in (Classification, Regression):
        losses = task.losses

        def changed(self: Any, batch: Batch, losses: Any = losses) -> Scalars:
            return {name: change(name, loss) for name, loss in losses(self, batch).items()}

        monkeypatch.setattr(task, "losses", changed)


def softmax_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cross-entropy of probabilities, which takes their softmax once more."""

    def losses(self: Classification, batch: Batch) -> Scalars:
        outputs = self.model(batch.inputs).softmax(1)
        right = (outputs.argmax(1) == batch.targets).float().mean()
        return {"loss": nn.functional.cross_entropy(outputs, batch.targets), "accuracy": right}

    monkeypatch.setattr(Classification, "losses", losses)


def mean_over_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs are averaged over the batch before the loss, as over a wrong axis."""

    def losses(self: Classification, batch: Batch) -> Scalars:
        outputs = self.model(batch.inputs)
        mean = outputs.mean(0, keepdim=True).expand_as(outputs)
        return {"loss": nn.functional.cross_entropy(mean, batch.targets), "accuracy": outputs.mean().detach()}

    monkeypatch.setattr(Classification, "losses", losses)


def shuffled_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training targets are those of other training examples."""

    def shuffled(self: Source, targets: Tensor, *_: object) -> Tensor:
        return targets[torch.randperm(len(targets), generator=torch.Generator().manual_seed(1))]

    monkeypatch.setattr(Source, "_disturb", shuffled)
    monkeypatch.setattr(ClassSource, "_disturb", shuffled)
