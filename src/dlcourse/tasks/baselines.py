"""What is reached without looking at the inputs: by the most frequent class of the training set, or by its mean.

N is a number of examples, K of classes, O the numbers predicted for each example.
"""

from collections.abc import Sequence

from torch import Tensor

from dlcourse.metrics.predictions import regression_scores
from dlcourse.metrics.report import Baseline


def majority(train_counts: Tensor, targets: Tensor, names: Sequence[str]) -> Baseline:
    """The accuracy on targets `(N,)` of the class that the training set has most of, by its counts `(K,)`."""
    most = int(train_counts.argmax())
    share = 100 * int(train_counts[most]) / max(int(train_counts.sum()), 1)
    return Baseline(
        "majority baseline",
        f"always '{names[most]}', {share:.1f} % of the training set",
        {"accuracy": float((targets == most).double().mean())},
    )


def mean_value(train_mean: Tensor, targets: Tensor) -> Baseline:
    """The errors on targets `(N, O)` of the mean `(O,)` of the training targets."""
    scores = regression_scores(train_mean.expand_as(targets), targets)
    answer = f"always {float(train_mean[0]):.5g}" if len(train_mean) == 1 else "always each output's mean"
    return Baseline(
        "mean baseline",
        f"{answer}, the mean of the training set" if len(train_mean) == 1 else f"{answer} in the training set",
        {name: scores[name] for name in ("mse", "r2")},
    )
