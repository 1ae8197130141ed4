"""Classification: cross-entropy or squared error, and everything that is measured on classes.

N is a number of examples, B a batch size, K the number of classes.
"""

import math
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from dlcourse.config.options import Count, Fraction
from dlcourse.data.split import targets_of
from dlcourse.device import Device
from dlcourse.errors import ConfigError, MisfitError
from dlcourse.metrics.predictions import confident_mistakes
from dlcourse.metrics.report import Report
from dlcourse.models.convolutions import first_filters, grad_cam, heat
from dlcourse.models.linear import SoftmaxRegression
from dlcourse.models.mlp import has_sigmoid
from dlcourse.plots import ActivationMaps, DecisionBoundary, FirstFilters, Picture, WeightImages
from dlcourse.spec import Batch, Data, DataSpec, Split
from dlcourse.tasks.answers import Answer, rank
from dlcourse.tasks.baselines import majority
from dlcourse.tasks.class_losses import CLASS_LOSSES, ClassLoss, CrossEntropy
from dlcourse.tasks.class_pictures import confusion_picture, mistakes_picture, ranking_picture, reliability_picture
from dlcourse.tasks.class_report import ClassOutcome, describe
from dlcourse.tasks.coefficients import Coefficients
from dlcourse.tasks.task import PredictionTask, Scalars, output_shape

_NUM_MISTAKES = 25
_NUM_EXPLAINED = 6
_GRID = 200


class Classification(PredictionTask):
    """One class for each example, from K outputs or, of two classes, one; the loss says what outputs mean.

    Under cross-entropy they are logits. Under squared error they are the probabilities, as those of model.output=sigmoid.
    """

    main_metric = "accuracy"
    measured_in_training: ClassVar[bool] = True
    _train_counts: Tensor | None = None

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        device: Device,
        loss: ClassLoss = "cross_entropy",
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
        if loss == "cross_entropy" and has_sigmoid(model):
            raise ConfigError(
                "model.output=sigmoid gives probabilities, and task.loss=cross_entropy needs logits, of which it takes the "
                "sigmoid itself; write task.loss=mse or model.output=identity"
            )
        super().__init__(model, spec, device)
        self._loss = CLASS_LOSSES[loss]
        self.label_smoothing = label_smoothing
        self.top_k = top_k
        self.monitor = monitor
        self.mode = "max" if monitor == "accuracy" else "min"

    @property
    def chance_loss(self) -> float | None:
        return math.log(self.spec.num_outputs) if self._loss is CLASS_LOSSES["cross_entropy"] else None

    def prepare(self, data: Data) -> list[str]:
        self._train_counts = torch.bincount(targets_of(data.train), minlength=self.spec.num_outputs)
        return []

    def losses(self, batch: Batch) -> Scalars:
        outputs = self.model(batch.inputs)  # (B, K), or (B, 1) if binary
        loss = self._loss.mean(outputs, batch.targets, self.label_smoothing)
        with torch.no_grad():
            predicted = outputs[:, 0] > self._loss.threshold if self.is_binary else outputs.argmax(1)
            accuracy = (predicted == batch.targets).float().mean()
        return {"loss": loss, "accuracy": accuracy}

    def evaluate(self, split: Split, batch_size: int, *, full: bool = False) -> Report:
        outputs, targets = self.outputs(split, batch_size)
        probabilities = self.probabilities(outputs)  # (N, K)
        scalars = {
            "loss": float(self._loss.mean(outputs, targets, 0.0)),
            "accuracy": int((probabilities.argmax(1) == targets).sum()) / len(targets),
        }
        if self.top_k < self.spec.num_outputs:
            best = probabilities.topk(self.top_k).indices  # (N, top_k)
            scalars[f"top{self.top_k}"] = (best == targets[:, None]).any(1).float().mean().item()
        report = Report(scalars)
        if full:
            outcome = ClassOutcome(probabilities, targets, self.spec.class_names)
            counts = self._train_counts
            baseline = None if counts is None else majority(counts, targets, self.spec.class_names)
            describe(report, outcome, self.top_k, baseline)
            self._add_coefficients(report)
            report.tables["predictions"] = _prediction_rows(probabilities, targets, self.spec.class_names)
            self._add_pictures(report, outcome, split, batch_size)
        return report

    def answer(self, inputs: Tensor) -> list[Answer]:
        """The classes of each input with their probabilities."""
        with self.device.autocast():
            outputs = self.model(inputs)
        return rank(self.probabilities(outputs.float()), self.spec.class_names)

    @property
    def outputs_are_logits(self) -> bool:
        """Whether probabilities are the softmax of the outputs, or of one output the sigmoid."""
        return isinstance(self._loss, CrossEntropy)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Of each class `(N, K)`, from the model's outputs, `(N, K)` or `(N, 1)` if binary."""
        return self._loss.probabilities(outputs)

    def _add_coefficients(self, report: Report) -> None:
        """What a linear model on a table has come to; nothing for any other."""
        names, coefficients = self.spec.class_names, Coefficients.of(self.model, self.spec)
        if coefficients is not None:
            binary = f"the {self._loss.binary_quantity} of '{names[1]}'"
            what = binary if self.is_binary else f"each class's {self._loss.quantity}"
            coefficients.add_to(report, names[1:] if self.is_binary else names, what)

    def _add_pictures(self, report: Report, outcome: ClassOutcome, split: Split, batch_size: int) -> None:
        report.pictures["confusion_matrix"] = confusion_picture(outcome)
        mistakes = confident_mistakes(outcome.probabilities, outcome.targets, _NUM_MISTAKES)
        images = split.pictures(mistakes) if len(mistakes) else None
        if images is not None:
            report.pictures["mistakes"] = mistakes_picture(outcome, mistakes, images)
        if isinstance(self.model, SoftmaxRegression) and self.spec.is_image:
            weights = self.model.linear.weight.detach().cpu().reshape(-1, *self.spec.input_shape)
            report.pictures["weights"] = WeightImages(weights.numpy(), self.spec.class_names)
        if self.spec.input_shape == (2,):
            points = self.inputs(split, batch_size)
            report.pictures["decision_boundary"] = self._decision_boundary(points, outcome.targets, batch_size)
        ranking = ranking_picture(outcome)
        if ranking is not None:
            report.pictures["roc_pr"] = ranking
        report.pictures["calibration"] = reliability_picture(outcome)
        filters = first_filters(self.model) if self.spec.is_image else None
        if filters is not None:
            report.pictures["filters"] = FirstFilters(filters.numpy())
        if images is not None and self.spec.is_image:
            few = slice(_NUM_EXPLAINED)
            self._explain_mistakes(report, outcome, mistakes[few], images[few])

    def _explain_mistakes(self, report: Report, outcome: ClassOutcome, mistakes: Tensor, images: Tensor) -> None:
        """Add where these mistakes `(n,)` speak for the class predicted and for the true one, if the model has maps."""
        inputs = self.spec.from_pixels(images) if self.spec.pixel_mean else images
        inputs = inputs.to(self.device.torch_device)
        classes = (outcome.predicted[mistakes], outcome.targets[mistakes])
        maps = [grad_cam(self.model, inputs, partial(self._logit_of, classes=wanted)) for wanted in classes]
        found = [heat(each, *self.spec.input_shape[1:]).cpu().numpy() for each in maps if each is not None]
        if len(found) == len(classes):
            predicted, true = ([self.spec.class_names[index] for index in indices.tolist()] for indices in classes)
            report.pictures["grad_cam"] = ActivationMaps(images.numpy(), found[0], found[1], predicted, true)

    def _logit_of(self, logits: Tensor, classes: Tensor) -> Tensor:
        """The logit `(B,)` of a class `(B,)` for each example; one logit speaks against the first of two classes."""
        classes = classes.to(logits.device)
        if self.is_binary:
            return logits[:, 0] * (2 * classes - 1)
        return logits.gather(1, classes[:, None])[:, 0]

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
