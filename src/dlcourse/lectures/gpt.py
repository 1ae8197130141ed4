"""The figures of generative pretraining: tasks shown in a prompt, fine-tuning against a start from scratch, scaling laws."""

import math
from collections.abc import Sequence

import torch

from dlcourse.data import DATASETS
from dlcourse.data.in_context import InContext, best_accuracy
from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.several import required
from dlcourse.metrics.report import Report
from dlcourse.plots import LineChart

_PROMPTS = 1000


def few_shot(runs: Sequence[Finished]) -> Report:
    """The share of right answers against the examples in the prompt, and that of who knows all tasks and Bayes' rule."""
    (run,) = required(runs, 1)
    source = DATASETS.build(run.config.data)
    if not isinstance(source, InContext):
        raise ConfigError(f"lecture.runs: the figure needs a run of data=in_context, got data '{run.config.data.name}'")
    batch = next(iter(run.data().test.batches(_PROMPTS)))
    with torch.no_grad():
        logits = run.open().task.model(batch.inputs)
    found = (logits.argmax(-1) == batch.targets).float().mean(0)[0::2].tolist()
    best = best_accuracy(source.dialects(), batch.inputs).tolist()
    shots = list(range(len(found)))
    scalars = run.numbers() | {
        "accuracy without an example": found[0],
        "accuracy with one example": found[1] if len(found) > 1 else math.nan,
        "accuracy with most examples": found[-1],
        "most examples": float(shots[-1]),
        "rise": found[-1] - found[0],
        "largest distance to the best": max(abs(there - here) for here, there in zip(found, best, strict=True)),
    }
    lines = {"GPT": (shots, found), "best possible": (shots, best)}
    chance = {"chance": 1 / source.words}
    chart = LineChart(lines, "examples in the prompt", "accuracy", share=True, at_y=chance, limits_y=(0, 1.02))
    return Report(scalars, pictures={"few_shot": chart})
