"""Classification: cross-entropy, and everything that is measured on classes.

N is a number of examples, B a batch size, K the number of classes.
"""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlcourse.config.options import Count, Fraction
from dlcourse.device import Device
from dlcourse.errors import ConfigError, MisfitError
from dlcourse.metrics.predictions import (
    class_scores,
    confident_mistakes,
    confusion_counts,
    most_confused,
    wilson_interval,
)
from dlcourse.metrics.report import Report
from dlcourse.models.linear import SoftmaxRegression
from dlcourse.plots import ConfusionMatrix, DecisionBoundary, ImageGrid, Picture, WeightImages
from dlcourse.spec import Batch, DataSpec, Split
from dlcourse.tasks.answers import Answer, rank
from dlcourse.tasks.task import PredictionTask, Scalars, output_shape
from dlcourse.text_table import aligned

_NUM_MISTAKES = 25
_GRID = 200
_SHOWN_CLASSES = 10


class Classification(PredictionTask):
    """One class for each example: cross-entropy on K logits, or binary cross-entropy if the model has one logit."""

    main_metric = "accuracy"
    measured_in_training: ClassVar[bool] = True

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        device: Device,
        label_smoothing: Fraction = 0.0,
        top_k: Count = 3,
        monitor: Literal["accuracy", "loss"] = "accuracy",
    ) -> None:
        if spec.target != "class":
            raise MisfitError(
                f"task 'classification' needs classes, and data '{spec.name}' has {spec.target_kind.words}",
                needs="classes",
                otherwise=f"task={spec.target_kind.task}",
            )
        shape = output_shape(model, spec, device)
        self.is_binary = shape == (1,) and spec.num_outputs == 2
        if not self.is_binary and shape != (spec.num_outputs,):
            raise ConfigError(
                f"task 'classification' needs one output for each of the {spec.num_outputs} classes of data "
                f"'{spec.name}', and the model's outputs have shape {shape}; write model=softmax, model=mlp or model=cnn"
            )
        super().__init__(model, spec, device)
        self.label_smoothing = label_smoothing
        self.top_k = top_k
        self.monitor = monitor
        self.mode = "max" if monitor == "accuracy" else "min"

    def losses(self, batch: Batch) -> Scalars:
        logits = self.model(batch.inputs)  # (B, K), or (B, 1) if binary
        loss = self._cross_entropy(logits, batch.targets, self.label_smoothing)
        with torch.no_grad():
            predicted = logits[:, 0] > 0 if self.is_binary else logits.argmax(1)
            accuracy = (predicted == batch.targets).float().mean()
        return {"loss": loss, "accuracy": accuracy}

    def evaluate(self, split: Split, batch_size: int, *, full: bool = False) -> Report:
        logits, targets = self.outputs(split, batch_size)
        probabilities = self.probabilities(logits)  # (N, K)
        counts = confusion_counts(targets, probabilities.argmax(1), self.spec.num_outputs)
        correct, total = int(counts.trace()), len(targets)
        scalars = {
            "loss": float(self._cross_entropy(logits, targets, 0.0)),
            "accuracy": correct / total,
        }
        if self.top_k < self.spec.num_outputs:
            best = probabilities.topk(self.top_k).indices  # (N, top_k)
            scalars[f"top{self.top_k}"] = (best == targets[:, None]).any(1).float().mean().item()
        report = Report(scalars)
        if full:
            self._add_details(report, counts)
            report.tables["predictions"] = _prediction_rows(probabilities, targets, self.spec.class_names)
            self._add_pictures(report, counts, probabilities, targets, split, batch_size)
        return report

    def answer(self, inputs: Tensor) -> list[Answer]:
        """The classes of each input with their probabilities."""
        with self.device.autocast():
            logits = self.model(inputs)
        return rank(self.probabilities(logits.float()), self.spec.class_names)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Of each class `(N, K)`, from the model's outputs, `(N, K)` or `(N, 1)` if binary."""
        if not self.is_binary:
            return logits.softmax(1)
        second = logits[:, 0].sigmoid()
        return torch.stack([1 - second, second], dim=1)

    def _cross_entropy(self, logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        if not self.is_binary:
            return functional.cross_entropy(logits, targets, label_smoothing=smoothing)
        wanted = targets.to(logits.dtype) * (1 - smoothing) + smoothing / 2
        return functional.binary_cross_entropy_with_logits(logits[:, 0], wanted)

    def _add_details(self, report: Report, counts: Tensor) -> None:
        names = self.spec.class_names
        per_class = class_scores(counts)
        low, high = wilson_interval(int(counts.trace()), int(counts.sum()))
        support = counts.sum(1).tolist()
        seen = [index for index, count in enumerate(support) if count]
        macro = {name: sum(values[index] for index in seen) / len(seen) for name, values in per_class.items()}
        report.details = {
            "accuracy_interval": [low, high],
            "macro": macro,
            "classes": {
                name: {score: values[index] if support[index] else None for score, values in per_class.items()}
                | {"support": support[index]}
                for index, name in enumerate(names)
            },
            "confusion_matrix": counts.tolist(),
        }
        report.tables = {
            "confusion_matrix": [["true \\ predicted", *names]]
            + [[name, *row] for name, row in zip(names, counts.tolist(), strict=True)]
        }
        report.headline = self._headline(report.scalars, low, high)
        confused = most_confused(counts)
        if confused:
            pairs = ", ".join(f"{names[true]} -> {names[guess]} ({count})" for true, guess, count in confused)
            report.highlights.append(f"most confused: {pairs}")
        if len(seen) < len(names):
            unseen = [f"'{name}'" for name, count in zip(names, support, strict=True) if not count]
            shown = ", ".join(unseen[:_SHOWN_CLASSES]) + (", ..." if len(unseen) > _SHOWN_CLASSES else "")
            report.highlights.append(f"left out of the averages, as they have no examples here: {shown}")
        report.lines = _score_lines(names, support, per_class, macro)

    def _headline(self, scalars: dict[str, float], low: float, high: float) -> str:
        parts = [f"accuracy {100 * scalars['accuracy']:.2f} % ({100 * low:.2f} to {100 * high:.2f})"]
        if f"top{self.top_k}" in scalars:
            parts.append(f"top-{self.top_k} {100 * scalars[f'top{self.top_k}']:.2f} %")
        return "   ".join([*parts, f"loss {scalars['loss']:.4g}"])

    def _add_pictures(
        self, report: Report, counts: Tensor, probabilities: Tensor, targets: Tensor, split: Split, batch_size: int
    ) -> None:
        names = self.spec.class_names
        report.pictures["confusion_matrix"] = ConfusionMatrix(counts.numpy(), names)
        mistakes = confident_mistakes(probabilities, targets, _NUM_MISTAKES)
        images = split.pictures(mistakes)
        if images is not None and len(mistakes):
            confidence, guesses = probabilities[mistakes].max(1)
            captions = [
                f"{names[true]} as {names[guess]}\n{100 * share:.0f} %"
                for true, guess, share in zip(
                    targets[mistakes].tolist(), guesses.tolist(), confidence.tolist(), strict=True
                )
            ]
            report.pictures["mistakes"] = ImageGrid(
                images.numpy(), captions, "Most confident mistakes (true as predicted)"
            )
        if isinstance(self.model, SoftmaxRegression) and self.spec.is_image:
            weights = self.model.linear.weight.detach().cpu().reshape(-1, *self.spec.input_shape)
            report.pictures["weights"] = WeightImages(weights.numpy(), names)
        if self.spec.input_shape == (2,):
            points = self.inputs(split, batch_size)
            report.pictures["decision_boundary"] = self._decision_boundary(points, targets, batch_size)

    def _decision_boundary(self, points: Tensor, targets: Tensor, batch_size: int) -> Picture:
        margin = 0.1 * (points.amax(0) - points.amin(0))
        low, high = points.amin(0) - margin, points.amax(0) + margin
        grid_x = torch.linspace(float(low[0]), float(high[0]), _GRID, dtype=points.dtype)
        grid_y = torch.linspace(float(low[1]), float(high[1]), _GRID, dtype=points.dtype)
        grid = torch.cartesian_prod(grid_y, grid_x).flip(1)  # (G * G, 2), x running fastest
        probabilities = self.probabilities(self.predict(grid, batch_size))
        return DecisionBoundary(
            points=points.numpy(),
            labels=targets.numpy(),
            grid_x=grid_x.numpy(),
            grid_y=grid_y.numpy(),
            probabilities=probabilities.reshape(_GRID, _GRID, -1).numpy(),
            class_names=self.spec.class_names,
            feature_names=self.spec.feature_labels,
        )


def _prediction_rows(probabilities: Tensor, targets: Tensor, names: tuple[str, ...]) -> list[list[object]]:
    """A head and a row for each example: its class, the predicted one, and what the model gave to either."""
    confidence, predicted = probabilities.max(1)
    given = probabilities.gather(1, targets[:, None])[:, 0]
    columns = zip(targets.tolist(), predicted.tolist(), confidence.tolist(), given.tolist(), strict=True)
    rows: list[list[object]] = [["example", "true", "predicted", "right", "probability", "probability_of_true"]]
    for example, (true, guess, share, of_true) in enumerate(columns):
        rows.append([example, names[true], names[guess], int(guess == true), f"{share:.7g}", f"{of_true:.7g}"])
    return rows


def _score_lines(
    names: tuple[str, ...], support: list[int], per_class: dict[str, list[float]], macro: dict[str, float]
) -> list[str]:
    rows = [["class", "precision", "recall", "F1", "support"]]
    for name, *scores, count in zip(names, *per_class.values(), support, strict=True):
        rows.append([name, *(f"{score:.4f}" if count else "-" for score in scores), str(count)])
    average = [f"{macro[score]:.4f}" for score in ("precision", "recall", "f1")]
    return aligned([*rows, ["macro average", *average, str(sum(support))]])
