"""What predictions are worth: counts, shares and errors, each a pure function of targets and predictions.

N is a number of examples, K the number of classes, O the numbers predicted for an example.
"""

import math

import torch
from torch import Tensor


def confusion_counts(targets: Tensor, predicted: Tensor, num_classes: int) -> Tensor:
    """The counts `(K, K)` of true class (row) against predicted class (column) from two vectors `(N,)`."""
    return torch.bincount(targets * num_classes + predicted, minlength=num_classes**2).reshape(num_classes, num_classes)


def class_scores(counts: Tensor) -> dict[str, list[float]]:
    """Precision, recall and F1 of each class from counts `(K, K)`; 0 if there is nothing to divide by."""
    hits = counts.diagonal().double()
    predicted, true = counts.sum(0).double(), counts.sum(1).double()
    return {
        "precision": (hits / predicted.clamp(min=1)).tolist(),
        "recall": (hits / true.clamp(min=1)).tolist(),
        "f1": (2 * hits / (predicted + true).clamp(min=1)).tolist(),
    }


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a proportion (Wilson 1927): honest near 0 and 1, unlike the normal approximation."""
    z = 1.959963984540054
    share = successes / trials
    center = share + z**2 / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    scale = 1 + z**2 / trials
    return max(0.0, (center - spread) / scale), min(1.0, (center + spread) / scale)


def most_confused(counts: Tensor, limit: int = 3) -> list[tuple[int, int, int]]:
    """The most frequent mistakes as (true, predicted, count), most frequent first."""
    mistakes = counts - torch.diag(counts.diagonal())
    values, places = mistakes.flatten().sort(descending=True, stable=True)
    found = zip(places[:limit].tolist(), values[:limit].tolist(), strict=True)
    return [(place // len(counts), place % len(counts), count) for place, count in found if count > 0]


def confident_mistakes(probabilities: Tensor, targets: Tensor, limit: int) -> Tensor:
    """The indices of wrongly classified examples, most confident first, at most `limit`."""
    confidence, predicted = probabilities.max(1)
    wrong = (predicted != targets).nonzero().squeeze(1)
    return wrong[confidence[wrong].argsort(descending=True, stable=True)[:limit]]


def regression_scores(predicted: Tensor, targets: Tensor) -> dict[str, float]:
    """MSE, RMSE, MAE and R^2 of predictions `(N, O)`; R^2 is 0 for targets that do not vary.

    Of several outputs R^2 compares all squared errors with all squared distances from the outputs' means: the mean of
    their own R^2, weighted by their variances.
    """
    errors = predicted.double() - targets.double()
    mse = float(errors.square().mean())
    variance = float(targets.double().var(0, correction=0).mean())
    return {
        "mse": mse,
        "rmse": mse**0.5,
        "mae": float(errors.abs().mean()),
        "r2": 1 - mse / variance if variance > 0 else 0.0,
    }
