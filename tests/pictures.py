"""Pictures of made-up numbers, and what tests read off a drawn one."""

import numpy as np

from dlcourse.plots.classes import ConfusionMatrix, DecisionBoundary
from dlcourse.plots.latent import LatentScatter

CONFUSION = ConfusionMatrix(np.array([[90, 8, 2], [0, 50, 0], [0, 0, 0]]), ["cat", "dog", "bird"])
GRID_X, GRID_Y = np.linspace(-2, 2, 41), np.linspace(-1, 1, 21)


def boundary(**changes) -> DecisionBoundary:
    """Two classes parted at x = 0.5, the class above 0.5 surer with distance."""
    share = np.tile(1 / (1 + np.exp(-4 * (GRID_X - 0.5))), (len(GRID_Y), 1))
    fields = {
        "points": np.array([[-1.0, 0.0], [1.0, 0.5], [1.5, -0.5]]),
        "labels": np.array([0, 1, 1]),
        "grid_x": GRID_X,
        "grid_y": GRID_Y,
        "probabilities": np.stack([1 - share, share], axis=-1),
        "class_names": ["left", "right"],
    }
    return DecisionBoundary(**{**fields, **changes})


def codes_picture(num_classes: int) -> LatentScatter:
    angle = 2 * np.pi * np.arange(num_classes) / num_classes
    return LatentScatter(
        np.stack([np.cos(angle), np.sin(angle)], 1), np.arange(num_classes), [f"class {n}" for n in range(num_classes)]
    )


def tick_names(axis) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]
