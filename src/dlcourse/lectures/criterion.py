"""C3: what a wrong criterion says, what model.train() and model.eval() change, and what happens without zero_grad()."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlcourse.config.options import Count
from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.several import required
from dlcourse.metrics.report import Report
from dlcourse.plots import Collage, LineChart, LineCharts, Listing, Picture
from dlcourse.spec import Split
from dlcourse.tasks.classification import Classification
from dlcourse.training.opened import OpenedRun

_BATCH, _CLASSES = 4, 10
_WIDTH = 100  # characters of a line of an error


@dataclass(frozen=True)
class _Criterion:
    """A loss, the call that fits it and one that does not, as they are typed, and the mistake in words."""

    name: str
    task: str
    right: tuple[str, Callable[[], Tensor]]
    wrong: tuple[str, Callable[[], Tensor]]


def criterion(runs: Sequence[Finished], passes: Count = 20) -> Report:
    """Errors of torch, word by word; accuracy in both modes over `passes` passes; the gradient with and without zero_grad.

    The run is a classifier with dropout, whose accuracy is that on its test set.
    """
    (run,) = required(runs, 1)
    opened, split = _classifier(run), run.data().test
    listed = [_tried(each) for each in _criteria()]
    warned, broadcast, meant = _silent()
    accuracies = _accuracies(opened, split, passes)
    cleared, summed = (_gradient_norms(opened, split, clears=clears) for clears in (True, False))
    trained = sum(accuracies["model.train()"]) / passes
    scalars = {
        "errors": float(sum(error is not None for _, error in listed)),
        "broadcast loss": broadcast,
        "meant loss": meant,
        "accuracy in eval mode": accuracies["model.eval()"][0],
        "accuracy in train mode": trained,
        "accuracy lost in train mode": accuracies["model.eval()"][0] - trained,
        "different answers in eval mode": float(len(set(accuracies["model.eval()"])) - 1),
        "different answers in train mode": float(len(set(accuracies["model.train()"])) - 1),
        "gradient after two passes": summed[1] / summed[0],
        "gradient after two passes with zero_grad": cleared[1] / cleared[0],
    }
    lines = _listing(listed, warned, broadcast, meant)
    charts = LineCharts([_modes(accuracies), _growth(cleared, summed)])
    pictures: dict[str, Picture] = {
        "criterion": Collage([[Listing(lines, "Three criteria, each used right and wrong")], [charts]])
    }
    return Report(scalars, pictures=pictures, texts={"errors": "\n".join(error or "" for _, error in listed)})


def _modes(accuracies: dict[str, list[float]]) -> LineChart:
    lines = {mode: (range(1, len(found) + 1), found) for mode, found in accuracies.items()}
    return LineChart(lines, "pass over the test set", "accuracy", "The same weights in two modes", share=True)


def _growth(cleared: list[float], summed: list[float]) -> LineChart:
    lines = {"without zero_grad()": summed, "with zero_grad()": cleared}
    shown = {name: (range(1, len(norms) + 1), norms) for name, norms in lines.items()}
    return LineChart(shown, "backward() on the same batch", "length of the gradient", "Gradients add up")


def _criteria() -> list[_Criterion]:
    """Logits of four examples and their targets, as they belong together and as they do not."""
    logits, one_logit, value = torch.zeros(_BATCH, _CLASSES), torch.zeros(_BATCH, 1), torch.zeros(_BATCH, 1)
    classes = torch.arange(_BATCH)  # int64, (B,)
    yes = torch.ones(_BATCH, 1)
    return [
        _Criterion(
            "CrossEntropyLoss",
            "one of K classes",
            ("logits (4, 10), classes (4,) int64", lambda: nn.CrossEntropyLoss()(logits, classes)),
            ("logits (4, 10), classes (4,) float32", lambda: nn.CrossEntropyLoss()(logits, classes.float())),
        ),
        _Criterion(
            "BCEWithLogitsLoss",
            "yes or no",
            ("logits (4, 1), targets (4, 1) float32", lambda: nn.BCEWithLogitsLoss()(one_logit, yes)),
            ("logits (4, 1), targets (4,) float32", lambda: nn.BCEWithLogitsLoss()(one_logit, yes[:, 0])),
        ),
        _Criterion(
            "MSELoss",
            "a number",
            ("outputs (4, 1), values (4, 1)", lambda: nn.MSELoss()(value, yes)),
            ("outputs (4, 10), classes (4,)", lambda: nn.MSELoss()(logits, classes.float())),
        ),
    ]


def _tried(each: _Criterion) -> tuple[_Criterion, str | None]:
    """What torch says of the wrong call, word by word: the kind of the error and its message; None if nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            each.wrong[1]()
    except (RuntimeError, ValueError, IndexError) as error:
        return each, f"{type(error).__name__}: {error}"
    return each, None


def _silent() -> tuple[str, float, float]:
    """The mistake that is only warned of: `(B, 1)` against `(B,)` compares each output with each value.

    Returns the warning, the loss that comes out, and the one that was meant, which is 0.
    """
    values = torch.tensor([1.0, 2.0, 3.0, 4.0])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loss = functional.mse_loss(values[:, None], values)
    text = str(caught[0].message) if caught else ""
    return text, float(loss), float(functional.mse_loss(values, values))


def _listing(
    listed: Sequence[tuple[_Criterion, str | None]], warned: str, broadcast: float, meant: float
) -> list[tuple[str, str, str]]:
    lines: list[tuple[str, str, str]] = []
    for each, error in listed:
        lines.append(("", f"{each.name}: {each.task}", "head"))
        lines.append(("right", f"{each.right[0]}   ->   loss {float(each.right[1]()):.4f}", "main"))
        lines.append(("wrong", each.wrong[0], "main"))
        lines += [("", line, "note") for line in _wrapped(error or "no error")]
    lines.append(("", "The worst mistake is no error: MSELoss of outputs (4, 1) and the same values as (4,)", "head"))
    lines.append(
        ("wrong", f"loss {broadcast:g} instead of {meant:g}, as each output is compared with each value", "main")
    )
    return lines + [("", line, "note") for line in _wrapped(f"UserWarning: {warned}")]


def _wrapped(text: str) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= _WIDTH:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _classifier(run: Finished) -> OpenedRun:
    """The run, if it is of a classifier with dropout; raises ConfigError."""
    opened = run.open()
    has_dropout = any(isinstance(layer, nn.Dropout) and layer.p > 0 for layer in opened.task.model.modules())
    if not isinstance(opened.task, Classification) or not has_dropout:
        raise ConfigError(
            "lecture.runs: the figure needs a classifier with dropout, such as model=mlp model.dropout=0.5, got "
            f"{run.folder}"
        )
    return opened


def _accuracies(opened: OpenedRun, split: Split, passes: int) -> dict[str, list[float]]:
    """The accuracy on a split in several passes, in both modes of the model."""
    task = opened.task
    assert isinstance(task, Classification)
    found: dict[str, list[float]] = {"model.eval()": [], "model.train()": []}
    with torch.no_grad():
        for mode, accuracies in found.items():
            task.model.train(mode == "model.train()")
            for _ in range(passes):
                logits, targets = task.outputs(split, opened.config.trainer.eval_batch_size)
                right = task.probabilities(logits).argmax(1) == targets
                accuracies.append(float(right.float().mean()))
    task.model.eval()
    return found


def _gradient_norms(opened: OpenedRun, split: Split, *, clears: bool, passes: int = 5) -> list[float]:
    """The length of the gradient after each of several backward passes on one batch, without an update between them."""
    task = opened.task
    assert isinstance(task, Classification)
    batch = next(iter(split.batches(64)))
    task.model.zero_grad()
    norms = []
    for _ in range(passes):
        if clears:
            task.model.zero_grad()
        task.losses(batch)["loss"].backward()
        squares = [parameter.grad.square().sum() for parameter in task.model.parameters() if parameter.grad is not None]
        norms.append(float(torch.stack(squares).sum().sqrt()))
    task.model.zero_grad()
    return norms
