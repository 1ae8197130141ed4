"""D4: a variational autoencoder: both parts of its bound, reconstructions, codes and what these decode to."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dlcourse.config.options import Count
from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.several import required
from dlcourse.metrics.report import Report
from dlcourse.plots import Collage, LineChart, LineCharts, Picture
from dlcourse.spec import Split
from dlcourse.tasks.variational import Variational
from dlcourse.training.evaluate import evaluate

_COMPARED = 2000
_PLANE = ("codes", "manifold")
_MANY = ("samples", "traversals")


def vae(runs: Sequence[Finished], neighbors: Count = 10) -> Report:
    """The negative bound as the sum of reconstruction error and divergence, what is decoded, and where the classes lie.

    The run is a VAE on images with classes. `same digit nearby` is the share of test images whose class most of the
    `neighbors` nearest codes of others have, though training saw no labels.
    """
    (run,) = required(runs, 1)
    opened, data = run.open(), run.data()
    if not isinstance(opened.task, Variational) or not data.spec.is_image:
        raise ConfigError(
            f"lecture.runs: the figure needs a run of a VAE on images, such as data=mnist model=vae, got {run.folder}"
        )
    found = evaluate(opened.task, data.test, opened.config.trainer.eval_batch_size, full=True)
    scalars = run.numbers() | {f"test/{name}": value for name, value in found.scalars.items()}
    bound = found.details["importance_weighted"]
    assert isinstance(bound, dict)
    scalars["importance-weighted bound"] = float(bound["loss"])
    scalars["sum of the parts"] = scalars["test/reconstruction"] + scalars["test/kl"]
    scalars["latent dimensions"] = float(opened.task.model.latent)
    scalars["same digit nearby"] = _same_nearby(opened.task, data.test, neighbors)
    names = _PLANE if "manifold" in found.pictures else _MANY
    left, right = (found.pictures[name] for name in names)
    columns: list[Picture] = [
        Collage([[left], [_course(run)]], margin=0),
        Collage([[right], [found.pictures["reconstructions"]]], margin=0),
    ]
    return Report(scalars, pictures={"vae": Collage([columns])})


def _course(run: Finished) -> Picture:
    """The bound on validation and its two parts over the epochs."""
    lines = {
        "-ELBO": run.series("val/loss"),
        "reconstruction": run.series("val/reconstruction"),
        "KL": run.series("val/kl"),
    }
    return LineCharts([LineChart(lines, "epoch", "nats per image (validation)", "-ELBO = reconstruction + KL")])


@torch.no_grad()
def _same_nearby(task: Variational, split: Split, neighbors: int) -> float:
    """How many of the first test images have the class that is the most frequent among their nearest codes."""
    batch = next(iter(split.batches(_COMPARED)))
    codes = task.model.represent(task.spec.to_pixels(batch.inputs)).float().cpu()  # (n, L)
    classes = batch.targets.cpu()
    distances = torch.cdist(codes, codes).fill_diagonal_(torch.inf)
    nearest = distances.topk(min(neighbors, len(codes) - 1), largest=False).indices  # (n, neighbors)
    found: Tensor = classes[nearest].mode(dim=1).values
    return float((found == classes).float().mean())
