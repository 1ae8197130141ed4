"""Regression: targets that are numbers, and everything that is measured on them.

N is a number of examples, B a batch size, O the numbers predicted for each.
"""

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlcourse.descent import DescentMaker
from dlcourse.device import Device
from dlcourse.errors import ConfigError
from dlcourse.models.linear import LinearRegression
from dlcourse.plots import FittedCurve, Forecast, PredictedVsTrue
from dlcourse.spec import Batch, DataSpec, Report, Split
from dlcourse.tasks.scores import regression_scores
from dlcourse.tasks.task import LossTask, Scalars, output_shape, target_words, usual_task

_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": functional.mse_loss,
    "mae": functional.l1_loss,
    "huber": functional.huber_loss,
}
_GRID = 200
_MAX_TERMS = 10
_SHOWN_SERIES = 4


class Regression(LossTask):
    """Numbers for each example: squared, absolute or Huber loss."""

    takes_features: ClassVar[bool] = True
    main_metric = "r2"
    monitor = "mse"
    mode = "min"

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        device: Device,
        descend: DescentMaker,
        loss: Literal["mse", "mae", "huber"] = "mse",
    ) -> None:
        if spec.target != "value":
            raise ConfigError(
                f"task 'regression' (loss {loss}) needs numbers, and data '{spec.name}' has {target_words(spec)}; "
                f"use task={usual_task(spec)}"
            )
        shape = output_shape(model, spec, device)
        if shape != (spec.num_outputs,):
            raise ConfigError(
                f"task 'regression' needs {spec.num_outputs} outputs for data '{spec.name}', and the model's have "
                f"shape {shape}; use model=linreg or model=mlp"
            )
        super().__init__(model, device, descend)
        self.spec = spec
        self._loss = _LOSSES[loss]

    def losses(self, batch: Batch) -> Scalars:
        return {"loss": self._loss(self.model(batch.inputs), batch.targets)}  # both (B, O)

    def evaluate(self, split: Split, batch_size: int, *, full: bool = False) -> Report:
        predicted, targets = self.outputs(split, batch_size)
        scalars = {"loss": float(self._loss(predicted, targets)), **regression_scores(predicted, targets)}
        report = Report(scalars)
        if full:
            report.headline = "   ".join(
                f"{label} {scalars[name]:.4g}"
                for label, name in (("MSE", "mse"), ("RMSE", "rmse"), ("MAE", "mae"), ("R^2", "r2"))
            )
            if isinstance(self.model, LinearRegression) and self.spec.num_features <= _MAX_TERMS:
                report.highlights.append(self.model.formula(self.spec.feature_labels))
            self._draw(report, self.inputs(split, batch_size), predicted, targets, batch_size)
        return report

    def _draw(self, report: Report, inputs: Tensor, predicted: Tensor, targets: Tensor, batch_size: int) -> None:
        """Add the pictures; of several numbers for each example, the first is compared with the true one."""
        quantity = "value" if self.spec.num_outputs == 1 else "first value"
        report.pictures["predicted_vs_true"] = PredictedVsTrue(targets[:, 0].numpy(), predicted[:, 0].numpy(), quantity)
        if self.spec.input_shape == (1,):
            report.pictures["fit"] = self._fitted_curve(inputs, targets, batch_size)
        elif len(self.spec.input_shape) == 2 and self.spec.input_shape[1] == 1:  # (N, T, 1)
            few = slice(_SHOWN_SERIES)
            report.pictures["forecast"] = Forecast(
                inputs[few, :, 0].numpy(), targets[few].numpy(), predicted[few].numpy()
            )

    def _fitted_curve(self, inputs: Tensor, targets: Tensor, batch_size: int) -> FittedCurve:
        grid = torch.linspace(float(inputs.min()), float(inputs.max()), _GRID)[:, None]  # (G, 1)
        curve = self.predict(grid, batch_size)
        points = (inputs[:, 0].numpy(), targets[:, 0].numpy())
        return FittedCurve(*points, grid[:, 0].numpy(), curve[:, 0].numpy(), names=(self.spec.feature_labels[0], "y"))
