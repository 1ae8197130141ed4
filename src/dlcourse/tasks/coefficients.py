"""The coefficients of a linear model on a table, in the units of the table and per standard deviation of each feature.

P is a number of features, O of outputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from dlcourse.metrics.report import Report
from dlcourse.models.features import FeatureMap
from dlcourse.models.linear import LinearRegression, LogisticRegression, SoftmaxRegression
from dlcourse.spec import DataSpec
from dlcourse.text_table import aligned

_MOST_NUMBERS = 5000
_MOST_ROWS = 30
_MOST_COLUMNS = 10


@dataclass(frozen=True, eq=False)
class Coefficients:
    """What a linear model multiplies and adds: weights `(O, P)` and intercepts `(O,)`, float64, on features as they are.

    `per_deviation` `(O, P)` are those of standardized features, if the model has them: how much an output changes with
    one standard deviation of a feature on the training set, by which features can be compared.
    """

    features: tuple[str, ...]
    weights: Tensor
    intercepts: Tensor
    per_deviation: Tensor | None = None

    @classmethod
    def of(cls, model: nn.Module, spec: DataSpec) -> "Coefficients | None":
        """Those of a linear model on a table, behind a feature map or none; None for any other, and if there are many."""
        if len(spec.input_shape) != 1 or spec.is_tokens:
            return None
        mapping = getattr(model, "features", None)
        affine: Any = model.get_submodule("model") if isinstance(mapping, FeatureMap) else model
        if not isinstance(affine, LinearRegression | LogisticRegression | SoftmaxRegression):
            return None
        weights, intercepts = (tensor.detach().cpu().double() for tensor in (affine.linear.weight, affine.linear.bias))
        if weights.numel() > _MOST_NUMBERS:
            return None
        if not isinstance(mapping, FeatureMap):
            return cls(spec.feature_labels, weights, intercepts)
        mean, std = mapping.mean.cpu().double(), mapping.std.cpu().double()
        raw = weights / std
        return cls(mapping.names, raw, intercepts - raw @ mean, weights if mapping.standardize else None)

    def in_units(self, mean: Tensor, std: Tensor) -> "Coefficients":
        """The same for outputs that are multiplied by `std` `(O,)` and added to `mean` `(O,)`."""
        mean, std = mean.cpu().double(), std.cpu().double()
        scaled = None if self.per_deviation is None else self.per_deviation * std[:, None]
        return Coefficients(self.features, self.weights * std[:, None], self.intercepts * std + mean, scaled)

    def add_to(self, report: Report, outputs: Sequence[str], what: str) -> None:
        """Write them into a report: `what` is what the outputs, of these names, are."""
        report.details["coefficients"] = {
            "of": what,
            "outputs": list(outputs),
            "features": list(self.features),
            "weights": self.weights.tolist(),
            "intercepts": self.intercepts.tolist(),
            "per_standard_deviation": None if self.per_deviation is None else self.per_deviation.tolist(),
        }
        report.tables["coefficients"] = [["output", "feature", "coefficient", "per_standard_deviation"]] + [
            row for number, name in enumerate(outputs) for row in self._rows(number, name)
        ]
        report.lines += ["", *self._lines(outputs, what)]

    def _rows(self, number: int, output: str) -> list[list[object]]:
        weights = self.weights[number].tolist()
        scaled = [""] * len(weights) if self.per_deviation is None else self.per_deviation[number].tolist()
        rows: list[list[object]] = [[output, *row] for row in zip(self.features, weights, scaled, strict=True)]
        return [*rows, [output, "intercept", float(self.intercepts[number]), ""]]

    def _lines(self, outputs: Sequence[str], what: str) -> list[str]:
        """A table of the features; of many the largest coefficients, per standard deviation if that is known."""
        compared = self.weights if self.per_deviation is None else self.per_deviation
        order = list(range(len(self.features)))
        heading = f"coefficients: change of {what} with one more of a feature"
        if len(order) > _MOST_ROWS:
            order = compared.abs().amax(0).argsort(descending=True, stable=True)[:_MOST_ROWS].tolist()
            heading += f"; the {_MOST_ROWS} largest of {len(self.features):,}"
        if len(outputs) == 1:
            columns = [("coefficient", self.weights[0], self.intercepts[0])]
            if self.per_deviation is not None:
                columns.append(("per standard deviation", self.per_deviation[0], None))
        else:
            heading = (
                heading.replace("one more", "one standard deviation more") if compared is not self.weights else heading
            )
            shown = outputs[:_MOST_COLUMNS]
            plain = compared is self.weights
            columns = [(name, compared[at], self.intercepts[at] if plain else None) for at, name in enumerate(shown)]
        rows = [["feature", *(name for name, _, _ in columns)]]
        rows += [[self.features[at], *(f"{float(values[at]):.4g}" for _, values, _ in columns)] for at in order]
        rows.append(["intercept", *("" if last is None else f"{float(last):.4g}" for _, _, last in columns)])
        rows = rows if any(rows[-1][1:]) else rows[:-1]
        return [heading, *aligned(rows)]
