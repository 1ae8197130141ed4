"""The coefficients of a linear model on a table, in the units of the table and per standard deviation of each feature.

P is a number of features, O of outputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from dlcourse.metrics.report import Report
from dlcourse.models.feature_map import parts
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
        mapping, affine = parts(model)
        if not isinstance(affine, LinearRegression | LogisticRegression | SoftmaxRegression):
            return None
        weights, intercepts = (tensor.detach().cpu().double() for tensor in (affine.linear.weight, affine.linear.bias))
        if weights.numel() > _MOST_NUMBERS:
            return None
        if mapping is None:
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
        rows = [row for number, name in enumerate(outputs) for row in self._rows(number, name)]
        report.tables["coefficients"] = [["output", "feature", "coefficient", "per_standard_deviation"], *rows]
        report.lines += [*([""] if report.lines else []), *self._lines(outputs, what)]

    def _rows(self, number: int, output: str) -> list[list[object]]:
        weights = self.weights[number].tolist()
        scaled: list[object] = [""] * len(weights)
        if self.per_deviation is not None:
            scaled = self.per_deviation[number].tolist()
        rows: list[list[object]] = [[output, *row] for row in zip(self.features, weights, scaled, strict=True)]
        return [*rows, [output, "intercept", float(self.intercepts[number]), ""]]

    def _lines(self, outputs: Sequence[str], what: str) -> list[str]:
        """A table of the features, with a column for each output; of many the largest, by standard deviations if known."""
        compared = self.weights if self.per_deviation is None else self.per_deviation
        order = list(range(len(self.features)))
        which = ""
        if len(order) > _MOST_ROWS:
            order = compared.abs().amax(0).argsort(descending=True, stable=True)[:_MOST_ROWS].tolist()
            which = f"; the {_MOST_ROWS} largest of {len(self.features):,}"
        step, columns = "one", self._columns(outputs)
        if len(outputs) > 1 and self.per_deviation is not None:
            step = "one standard deviation"
        names = [*(self.features[index] for index in order), "intercept"]
        places = [*order, -1]
        rows = [[name, *(numbers[place] for _, numbers in columns)] for name, place in zip(names, places, strict=True)]
        rows = rows if any(rows[-1][1:]) else rows[:-1]
        head = ["feature", *(name for name, _ in columns)]
        return [f"coefficients: change of {what} with {step} more of a feature{which}", *aligned([head, *rows])]

    def _columns(self, outputs: Sequence[str]) -> list[tuple[str, list[str]]]:
        """Names of columns, each with a number for each feature and, last, the intercept if it is in the same unit."""
        intercepts, blanks = [f"{value:.4g}" for value in self.intercepts.tolist()], [""] * len(outputs)
        if len(outputs) > 1:
            shown, last = (self.weights, intercepts) if self.per_deviation is None else (self.per_deviation, blanks)
            return [(name, [*_texts(row), end]) for name, row, end in zip(outputs, shown, last, strict=True)][
                :_MOST_COLUMNS
            ]
        columns = [("coefficient", [*_texts(self.weights[0]), intercepts[0]])]
        if self.per_deviation is not None:
            columns.append(("per standard deviation", [*_texts(self.per_deviation[0]), ""]))
        return columns


def _texts(numbers: Tensor) -> list[str]:
    return [f"{number:.4g}" for number in numbers.tolist()]
