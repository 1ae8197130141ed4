"""Regression: targets that are numbers, and everything that is measured on them.

N is a number of examples, B a batch size, O the numbers predicted for each.
"""

import torch
from torch import Tensor, nn

from dlcourse.data.split import targets_of
from dlcourse.device import Device
from dlcourse.errors import ConfigError, MisfitError
from dlcourse.metrics.predictions import regression_scores
from dlcourse.metrics.report import Report
from dlcourse.models.convolutions import first_filters
from dlcourse.models.linear import LinearRegression
from dlcourse.models.mlp import has_sigmoid
from dlcourse.models.target_scale import TargetScale
from dlcourse.plots import FirstFilters, FittedCurve, Forecast, PredictedVsTrue
from dlcourse.spec import Batch, Data, DataSpec, Split
from dlcourse.tasks.answers import Answer
from dlcourse.tasks.baselines import mean_value
from dlcourse.tasks.coefficients import Coefficients
from dlcourse.tasks.task import PredictionTask, Scalars, output_shape
from dlcourse.tasks.value_losses import GaussianNLL, ValueLoss, value_loss

_GRID = 200
_MAX_TERMS = 10
_SHOWN_SERIES = 4


class Regression(PredictionTask):
    """Numbers for each example: squared, absolute or Huber loss, or a Gaussian negative log likelihood.

    The model learns targets that are standardized by the mean and standard deviation of the training set, so that one
    learning rate does for prices and for shares; Huber's loss is quadratic up to one such deviation. Everything that is
    reported, the losses too, is in the targets' own units, averaged over the outputs: the minimized loss times the square
    of the deviation (of `mae`, times the deviation; of `nll`, plus its logarithm). The scale is kept with the weights,
    but is never another run's: under `init_from` the weights of the other run predict in deviations of this run's own
    targets. `standardize=False` leaves the targets as they are.
    """

    main_metric = "r2"
    monitor = "mse"
    mode = "min"
    _train_mean: Tensor | None = None

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        device: Device,
        loss: ValueLoss = "mse",
        standardize: bool = True,
    ) -> None:
        if spec.target != "value":
            raise MisfitError(
                f"task 'regression' (loss {loss}) needs numbers, and data '{spec.name}' has {spec.target_kind.words}",
                needs="values",
                otherwise=f"task={spec.target_kind.task}",
            )
        shape = output_shape(model, spec, device)
        if shape != (spec.num_outputs,):
            raise ConfigError(
                f"task 'regression' needs {spec.num_outputs} outputs for data '{spec.name}', and the model's have "
                f"shape {shape}; write model=linreg or model=mlp"
            )
        if standardize and has_sigmoid(model):
            raise ConfigError(
                "model.output=sigmoid stays between 0 and 1, and standardized targets do not; write "
                "task.standardize=false or model.output=identity"
            )
        super().__init__(model, spec, device)
        self._loss = value_loss(loss, model, spec.num_outputs, device.torch_device)
        self._scale = TargetScale(model, spec.num_outputs, device.torch_device, standardize=standardize)

    def prepare(self, data: Data) -> list[str]:
        targets = targets_of(data.train)
        self._scale.fit(targets.to(self.device.torch_device))
        self._train_mean = targets.double().mean(0)
        return []

    def losses(self, batch: Batch) -> Scalars:
        wanted = self._scale.standardized(batch.targets).float()
        each = self._loss.each(self.model(batch.inputs), wanted)  # (B, O)
        return {"loss": self._loss_in_units(each.detach()), "objective": each.mean()}

    def in_units(self, outputs: Tensor) -> Tensor:
        """Predictions `(N, O)` in the targets' own units, float64 on the CPU, from the model's outputs."""
        return self._scale.in_units(outputs)

    def _loss_in_units(self, losses: Tensor) -> Tensor:
        """The mean of the losses `(B, O)` of standardized targets, in the targets' own units."""
        return self._loss.in_units(losses, self._scale.std).mean()

    def evaluate(self, split: Split, batch_size: int, *, full: bool = False) -> Report:
        outputs, targets = self.outputs(split, batch_size)
        wanted = self._scale.standardized(targets.double())
        loss = self._loss_in_units(self._loss.each(outputs.double(), wanted))
        predicted = self._scale.in_units(outputs)
        report = Report({"loss": float(loss), **regression_scores(predicted, targets), **self._sigma()})
        if full:
            self._add_words(report, targets)
            report.tables["predictions"] = _prediction_rows(predicted, targets)
            self._draw(report, self.inputs(split, batch_size), predicted, targets, batch_size)
        return report

    def _sigma(self) -> dict[str, float]:
        """The deviation of the noise, if the loss learns one; of several outputs the root of the mean square."""
        if not isinstance(self._loss, GaussianNLL):
            return {}
        return {"sigma": float(self._loss.sigma(self._scale.std).square().mean().sqrt())}

    def answer(self, inputs: Tensor) -> list[Answer]:
        """The numbers that are predicted for each input, in their own units."""
        with self.device.autocast():
            outputs = self.model(inputs)
        names = _output_names(self.spec.num_outputs)
        rows = self._scale.in_units(outputs.float().cpu()).tolist()  # (B, O)
        return [Answer(values=dict(zip(names, row, strict=True))) for row in rows]

    def _add_words(self, report: Report, targets: Tensor) -> None:
        labels = (("MSE", "mse"), ("RMSE", "rmse"), ("MAE", "mae"), ("R^2", "r2"))
        report.headline = "   ".join(f"{label} {report.scalars[name]:.4g}" for label, name in labels)
        if self.spec.num_outputs > 1:
            report.headline += f" (of all {self.spec.num_outputs} outputs, weighted by their variance)"
            report.facts.append(
                ("outputs", f"{self.spec.num_outputs}; all numbers are of all of them, R^2 weighted by variance")
            )
        if "sigma" in report.scalars:
            sigma, rmse = (report.scalars[name] for name in ("sigma", "rmse"))
            report.facts.append(("sigma", f"{sigma:.5g}, the learned deviation of the noise; RMSE here {rmse:.5g}"))
        if isinstance(self.model, LinearRegression) and self.spec.num_features <= _MAX_TERMS:
            mean, std = float(self._scale.mean[0]), float(self._scale.std[0])
            report.highlights.append(self.model.formula(self.spec.feature_labels, mean=mean, std=std))
        if self._train_mean is not None:
            report.compare(mean_value(self._train_mean, targets))
        coefficients = Coefficients.of(self.model, self.spec)
        if coefficients is not None:
            outputs = _output_names(self.spec.num_outputs)
            what = "the predicted value" if len(outputs) == 1 else "each predicted value"
            coefficients.in_units(self._scale.mean, self._scale.std).add_to(report, outputs, what)

    def _draw(self, report: Report, inputs: Tensor, predicted: Tensor, targets: Tensor, batch_size: int) -> None:
        """Add the pictures; of several numbers for each example, the first is compared with the true one."""
        quantity = "value" if self.spec.num_outputs == 1 else "first value"
        report.pictures["predicted_vs_true"] = PredictedVsTrue(targets[:, 0].numpy(), predicted[:, 0].numpy(), quantity)
        filters = first_filters(self.model) if self.spec.is_image else None
        if filters is not None:
            report.pictures["filters"] = FirstFilters(filters.numpy())
        if self.spec.input_shape == (1,):
            report.pictures["fit"] = self._fitted_curve(inputs, targets, batch_size)
        elif len(self.spec.input_shape) == 2 and self.spec.input_shape[1] == 1:  # (N, T, 1)
            few = slice(_SHOWN_SERIES)
            report.pictures["forecast"] = Forecast(
                inputs[few, :, 0].numpy(), targets[few].numpy(), predicted[few].numpy()
            )

    def _fitted_curve(self, inputs: Tensor, targets: Tensor, batch_size: int) -> FittedCurve:
        grid = torch.linspace(float(inputs.min()), float(inputs.max()), _GRID, dtype=inputs.dtype)[:, None]  # (G, 1)
        curve = self._scale.in_units(self.predict(grid, batch_size))
        points = (inputs[:, 0].numpy(), targets[:, 0].numpy())
        return FittedCurve(*points, grid[:, 0].numpy(), curve[:, 0].numpy(), names=(self.spec.feature_labels[0], "y"))


def _output_names(count: int) -> list[str]:
    return ["value"] if count == 1 else [f"value_{place}" for place in range(1, count + 1)]


def _prediction_rows(predicted: Tensor, targets: Tensor) -> list[list[object]]:
    """A head and a row for each example: the numbers `(N, O)` that are true, those predicted, and how far these are off."""
    width = targets.shape[1]
    marks = [""] if width == 1 else [f"_{place}" for place in range(1, width + 1)]
    columns = [f"{word}{mark}" for word in ("true", "predicted") for mark in marks]
    errors = (predicted.double() - targets.double()).square().mean(1, keepdim=True)
    rows = torch.cat([targets.double(), predicted.double(), errors], dim=1).tolist()
    head: list[object] = ["example", *columns, "squared_error"]
    return [head] + [[example, *(f"{value:.9g}" for value in row)] for example, row in enumerate(rows)]
