"""B5: cat or dog: how sure a network is of pictures that it has never seen, from the best answers to the worst."""

from collections.abc import Sequence
from typing import Annotated

import torch

from dlcourse.config.options import Range
from dlcourse.errors import ConfigError
from dlcourse.lectures.by_epoch import by_epoch
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.several import required
from dlcourse.metrics.calibration import Calibration
from dlcourse.metrics.report import Report
from dlcourse.plots import AnsweredImages, Collage, LineChart, LineCharts
from dlcourse.tasks.classification import Classification

_BINS, _FEWEST = 10, 20


def cat_or_dog(runs: Sequence[Finished], pictures: Annotated[int, Range(ge=2, le=60)] = 12) -> Report:
    """Test pictures with the probabilities of the classes, in order of that of the true one, and accuracy by certainty.

    The run is a classifier of images. Of all pictures those at equal distances of the order are shown.
    """
    (run,) = required(runs, 1)
    opened, data = run.open(), run.data()
    task = opened.task
    if not isinstance(task, Classification) or not data.spec.is_image:
        raise ConfigError(f"lecture.runs: the figure needs a classifier of images, got {run.folder}")
    with torch.no_grad():
        logits, targets = task.outputs(data.test, opened.config.trainer.eval_batch_size)
    probabilities = task.probabilities(logits)  # (N, K)
    of_truth = probabilities[torch.arange(len(targets)), targets]
    largest, guesses = probabilities.max(1)
    is_right = guesses == targets
    is_sure = largest >= largest.median()
    scalars = run.numbers() | {
        "test pictures": float(len(targets)),
        "accuracy": float(is_right.float().mean()),
        "accuracy of the surer half": float(is_right[is_sure].float().mean()),
        "accuracy of the other half": float(is_right[~is_sure].float().mean()),
        "chance": float(targets.bincount().max()) / len(targets),
    }
    order = of_truth.argsort(descending=True)
    chosen = order[torch.linspace(0, len(order) - 1, pictures).round().long()]
    shown = data.test.pictures(chosen)
    assert shown is not None, "images have pictures"
    title = "Pictures never seen before, from the best answer to the worst (blue: the true class)"
    answers = AnsweredImages(
        shown.numpy(), probabilities[chosen].numpy(), targets[chosen].numpy(), data.spec.class_names, title
    )
    charts = LineCharts([_course(run, scalars["chance"]), _by_certainty(largest, is_right)])
    return Report(scalars, pictures={"answers": Collage([[answers], [charts]])})


def _course(run: Finished, chance: float) -> LineChart:
    lines = {"training": by_epoch(run, "train/accuracy"), "validation": by_epoch(run, "val/accuracy")}
    return LineChart(lines, "epoch", "accuracy", "Better than guessing", share=True, at_y={"chance": chance})


def _by_certainty(confidence: torch.Tensor, is_right: torch.Tensor) -> LineChart:
    """The accuracy of the test answers by how sure they are, where there are some, beside what it should be."""
    found = Calibration.of(confidence, is_right, bins=_BINS)
    some = found.counts >= _FEWEST
    measured = (found.confidence[some].tolist(), found.accuracy[some].tolist())
    lines = {"answers": measured, "as sure as right": (measured[0], measured[0])}
    return LineChart(lines, "probability of the answer", "accuracy", "The surer, the more often right", share=True)
