"""How numbers of an evaluation are called and written where people read them: `top-3 accuracy  98.20 %` for `top3`."""

import re

from dlcourse.console import format_metric

NAMES = {
    "accuracy_tokens": "token accuracy",
    "mse": "mean squared error",
    "rmse": "root mean squared error",
    "mae": "mean absolute error",
    "r2": "R^2",
    "sigma": "learned standard deviation",
    "bits_per_character": "bits per character",
    "bits_per_dim": "bits per dimension",
    "reconstruction": "reconstruction loss",
    "kl": "KL divergence",
    "active_units": "active code dimensions",
    "explained": "explained variance",
    "loss_generator": "generator loss",
    "loss_discriminator": "discriminator loss",
    "d_real": "discriminator, real examples",
    "d_fake": "discriminator, generated ones",
    "penalty": "gradient penalty",
    "frechet": "Frechet distance",
    "frechet_real": "Frechet distance, real ones",
    "energy_distance": "energy distance",
    "modes": "modes found",
    "good": "share of good samples",
    "classes": "classes found",
    "recognized": "share of recognized samples",
    "neighbors": "neighbors of the same class",
    "analogies": "analogies found",
    "knowing_the_taste": "accuracy of who knows the taste",
    "f1": "F1",
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "won_first": "won against random moves, going first",
    "won_second": "won against random moves, going second",
    "lost_to_random": "lost to random moves",
    "lost_to_perfect": "lost to perfect play",
    "moves": "moves in a game",
    "ece": "expected calibration error",
}
_COUNTS = ("active_units", "modes", "classes")
_SHARES = (
    "good",
    "recognized",
    "explained",
    "neighbors",
    "analogies",
    "knowing_the_taste",
    "won_first",
    "won_second",
    "lost_to_random",
    "lost_to_perfect",
    "undefeated",
)


def metric_name(key: str) -> str:
    """The number of this key in words; a key that is a word already stays."""
    top = re.fullmatch(r"top(\d+)", key)
    return f"top-{top[1]} accuracy" if top else NAMES.get(key, key.replace("_", " "))


def metric_text(key: str, value: float) -> str:
    """The number itself: a count as a whole number, a share as a percentage, the rest as on the console."""
    if key in _COUNTS:
        return f"{value:.0f}"
    return f"{100 * value:.2f} %" if key in _SHARES else format_metric(key, value)
