"""What is said of a classification: the scores of each class and their averages, how it ranks and how it is calibrated.

N is a number of examples, K of classes.
"""

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from dlcourse.metrics.calibration import Calibration
from dlcourse.metrics.predictions import class_scores, confusion_counts, most_confused, wilson_interval
from dlcourse.metrics.ranking import Ranking, one_against_rest
from dlcourse.metrics.report import Baseline, Report
from dlcourse.text_table import aligned

_SHOWN_CLASSES = 10


@dataclass(frozen=True, eq=False)
class ClassOutcome:
    """What a model answered to N examples: probabilities `(N, K)` of classes of these names, and the true classes `(N,)`."""

    probabilities: Tensor
    targets: Tensor
    names: tuple[str, ...]

    @cached_property
    def predicted(self) -> Tensor:
        """The most probable classes, `(N,)`."""
        return self.probabilities.argmax(1)

    @cached_property
    def counts(self) -> Tensor:
        """How often each true class, a row, was answered by each predicted one, `(K, K)`."""
        return confusion_counts(self.targets, self.predicted, len(self.names))

    @cached_property
    def support(self) -> list[int]:
        """How many examples each class has."""
        support: list[int] = self.counts.sum(1).tolist()
        return support

    @cached_property
    def rankings(self) -> dict[str, Ranking]:
        """Each class that can be ranked against the rest, by name; of two classes the second."""
        names = self.names[1:] if len(self.names) == 2 else self.names
        found = zip(names, one_against_rest(self.probabilities, self.targets), strict=True)
        return {name: ranking for name, ranking in found if ranking is not None}

    @cached_property
    def calibration(self) -> Calibration:
        """Of the predicted class's probability."""
        return Calibration.of(self.probabilities.amax(1), self.predicted == self.targets)


def describe(report: Report, outcome: ClassOutcome, top_k: int, baseline: Baseline | None) -> None:
    """Add to a report all that is said of the outcome; its scalars are there already."""
    counts, names, support = outcome.counts, outcome.names, outcome.support
    low, high = wilson_interval(int(counts.trace()), int(counts.sum()))
    per_class = class_scores(counts)
    averages = _averages(per_class, support)
    report.details |= {
        "accuracy_interval": [low, high],
        **averages,
        "classes": {
            name: {score: values[index] if support[index] else None for score, values in per_class.items()}
            | {"support": support[index]}
            for index, name in enumerate(names)
        },
        "confusion_matrix": counts.tolist(),
    }
    report.tables["confusion_matrix"] = [["true \\ predicted", *names]]
    report.tables["confusion_matrix"] += [[name, *row] for name, row in zip(names, counts.tolist(), strict=True)]
    report.headline = _headline(report.scalars, low, high, top_k)
    accuracy = f"{100 * report.scalars['accuracy']:.2f} %"
    report.facts.append(("accuracy", f"{accuracy}   95 % interval {100 * low:.2f} to {100 * high:.2f} % (Wilson)"))
    if baseline is not None:
        report.compare(baseline)
    _add_ranking(report, outcome)
    report.highlights += _highlights(outcome)
    report.lines += _score_lines(outcome, per_class, averages)


def _averages(per_class: dict[str, list[float]], support: list[int]) -> dict[str, dict[str, float]]:
    """The mean over the classes that have examples, each alike (macro) or by the number of its examples (weighted)."""
    seen = [index for index, count in enumerate(support) if count]
    return {
        "macro": {score: sum(values[index] for index in seen) / len(seen) for score, values in per_class.items()},
        "weighted": {
            score: sum(values[index] * support[index] for index in seen) / sum(support)
            for score, values in per_class.items()
        },
    }


def _add_ranking(report: Report, outcome: ClassOutcome) -> None:
    """The areas under the curves, the mean of them over the classes, and the calibration error."""
    rankings, calibration = list(outcome.rankings.values()), outcome.calibration
    areas = {
        "roc_auc": [ranking.roc_auc for ranking in rankings],
        "average_precision": [ranking.average_precision for ranking in rankings],
    }
    report.details |= {name: sum(values) / len(values) if values else None for name, values in areas.items()}
    report.details["ranking"] = {
        name: {"roc_auc": ranking.roc_auc, "average_precision": ranking.average_precision}
        for name, ranking in outcome.rankings.items()
    }
    report.details["ece"] = calibration.error
    report.details["calibration"] = {
        "count": calibration.counts.tolist(),
        "confidence": calibration.confidence.tolist(),
        "accuracy": calibration.accuracy.tolist(),
    }
    of = f"class '{outcome.names[1]}'" if len(outcome.names) == 2 else "mean over the classes, each against the rest"
    for name, values in areas.items() if rankings else ():
        label = {"roc_auc": "area under ROC", "average_precision": "average precision"}[name]
        report.facts.append((label, f"{sum(values) / len(values):.4f}   ({of})"))
    bins = len(calibration.counts)
    report.facts.append(("calibration", f"expected calibration error {100 * calibration.error:.2f} %   ({bins} bins)"))


def _headline(scalars: dict[str, float], low: float, high: float, top_k: int) -> str:
    parts = [f"accuracy {100 * scalars['accuracy']:.2f} % ({100 * low:.2f} to {100 * high:.2f})"]
    if f"top{top_k}" in scalars:
        parts.append(f"top-{top_k} {100 * scalars[f'top{top_k}']:.2f} %")
    return "   ".join([*parts, f"loss {scalars['loss']:.4g}"])


def _highlights(outcome: ClassOutcome) -> list[str]:
    """The most frequent confusions, and the classes that no average counts."""
    names, lines = outcome.names, []
    confused = most_confused(outcome.counts)
    if confused:
        pairs = ", ".join(f"{names[true]} -> {names[guess]} ({count})" for true, guess, count in confused)
        lines.append(f"most confused: {pairs}")
    unseen = [f"'{name}'" for name, count in zip(names, outcome.support, strict=True) if not count]
    if unseen:
        shown = ", ".join(unseen[:_SHOWN_CLASSES]) + (", ..." if len(unseen) > _SHOWN_CLASSES else "")
        lines.append(f"left out of the averages, as they have no examples here: {shown}")
    return lines


def _score_lines(
    outcome: ClassOutcome, per_class: dict[str, list[float]], averages: dict[str, dict[str, float]]
) -> list[str]:
    rows = [["class", "precision", "recall", "F1", "support"]]
    for name, *scores, count in zip(outcome.names, *per_class.values(), outcome.support, strict=True):
        rows.append([name, *(f"{score:.4f}" if count else "-" for score in scores), str(count)])
    total = str(sum(outcome.support))
    for name, values in averages.items():
        rows.append([f"{name} average", *(f"{values[score]:.4f}" for score in ("precision", "recall", "f1")), total])
    return aligned(rows)
