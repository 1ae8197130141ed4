"""The pictures of a classification that show what was answered, whatever the model: confusions, mistakes, curves.

N is a number of examples, K of classes.
"""

from torch import Tensor

from dlcourse.metrics.ranking import Ranking, mean_precision_recall, mean_roc, thinned
from dlcourse.plots import ConfusionMatrix, ImageGrid, RankedClass, RankingCurves, ReliabilityDiagram
from dlcourse.tasks.class_report import ClassOutcome


def confusion_picture(outcome: ClassOutcome) -> ConfusionMatrix:
    """Each true class against each predicted one."""
    return ConfusionMatrix(outcome.counts.numpy(), outcome.names)


def mistakes_picture(outcome: ClassOutcome, mistakes: Tensor, images: Tensor) -> ImageGrid:
    """The images `(n, channels, height, width)` of these mistakes `(n,)`, with what they are and were taken for."""
    confidence, guesses = outcome.probabilities[mistakes].max(1)
    named = zip(outcome.targets[mistakes].tolist(), guesses.tolist(), confidence.tolist(), strict=True)
    captions = [f"{outcome.names[true]} as {outcome.names[guess]}\n{100 * share:.0f} %" for true, guess, share in named]
    return ImageGrid(images.numpy(), captions, "Most confident mistakes (true as predicted)")


def ranking_picture(outcome: ClassOutcome) -> RankingCurves | None:
    """ROC and precision-recall; None if no class can be ranked."""
    rankings = list(outcome.rankings.values())
    if not rankings:
        return None
    classes = [_ranked(name, ranking) for name, ranking in outcome.rankings.items()]
    if len(outcome.names) == 2:
        return RankingCurves(classes)
    roc, precision_recall = mean_roc(rankings), mean_precision_recall(rankings)
    areas = [
        sum(values) / len(rankings)
        for values in zip(*((each.roc_auc, each.average_precision) for each in rankings), strict=True)
    ]
    return RankingCurves(classes, RankedClass("mean of the classes", roc, precision_recall, *areas))


def _ranked(name: str, ranking: Ranking) -> RankedClass:
    return RankedClass(
        name, thinned(ranking.roc), thinned(ranking.precision_recall), ranking.roc_auc, ranking.average_precision
    )


def reliability_picture(outcome: ClassOutcome) -> ReliabilityDiagram:
    """Accuracy by confidence."""
    found = outcome.calibration
    return ReliabilityDiagram(found.counts.numpy(), found.confidence.numpy(), found.accuracy.numpy(), found.error)
