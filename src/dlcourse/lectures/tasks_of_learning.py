"""The figure of what machine learning is used for: eight tasks on small real data, each beside its chance level.

N is a number of examples, D of pixels, P of principal components. Where no run trains the model, it has a closed form or
is scikit-learn's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dlcourse.lectures.finished import Finished
from dlcourse.lectures.reading import accuracy, examples
from dlcourse.lectures.several import required
from dlcourse.metrics.report import Report
from dlcourse.models.principal_components import PrincipalComponents
from dlcourse.plots import BarPanel, Panels
from dlcourse.spec import Batch, DataSpec
from dlcourse.tasks.closed_form import solve

_COMPONENTS = 20
_FEW_COMPONENTS = 10
_NORMAL = 0
_RIDGE = 10.0

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Result:
    """A number in [0, 1] that a task reached, and what is reached without learning."""

    reached: float
    chance: float


def tasks(runs: Sequence[Finished]) -> Report:
    """Eight tasks: regression and classification by the two runs, six more on the images of the second."""
    numbers, classes = required(runs, 2, ", of regression and of classification")
    images = Images.of(classes)
    found = {
        "regression": Result(numbers.numbers()["test/r2"], 0.0),
        "classification": Result(accuracy(classes, images.test), 1 / len(classes.data().spec.class_names)),
        **{name: task(images) for name, task in ON_IMAGES.items()},
    }
    scalars = {name: result.reached for name, result in found.items()}
    scalars |= {f"{name}, chance": result.chance for name, result in found.items()}
    scalars["least above chance"] = min(result.reached - result.chance for result in found.values())
    bars = {
        "reached": [result.reached for result in found.values()],
        "without learning": [result.chance for result in found.values()],
    }
    names = [f"{name}\n{_MEASURES[name]}" for name in found]
    rows = [["task", "measure", "reached", "without learning"]]
    rows += [[name, _MEASURES[name], f"{r.reached:.4f}", f"{r.chance:.4f}"] for name, r in found.items()]
    panel = BarPanel(bars, names, "score", "Eight tasks, each beside what is reached without learning")
    tables: dict[str, list[list[object]]] = {"tasks": [list(row) for row in rows]}
    return Report(scalars, pictures={"tasks": Panels([panel], width=8.5, height=5.4)}, tables=tables)


_MEASURES = {
    "regression": "R^2",
    "classification": "accuracy",
    "clustering": "purity",
    "dimension reduction": "variance kept",
    "anomaly detection": "ROC area",
    "imputation": "R^2",
    "density estimation": "real is likelier",
    "generation": "taken for real",
}


@dataclass(frozen=True)
class Images:
    """Training and test images with their classes, and images `(N, D)` whose pixels know nothing of each other."""

    train: Batch
    test: Batch
    fakes: Tensor

    @classmethod
    def of(cls, run: Finished) -> "Images":
        """Those of a run; the made-up ones have each pixel of another training image."""
        data = run.data()
        train, test = examples(data.train), examples(data.test)
        pixels = train.inputs.flatten(1)
        generator = torch.Generator().manual_seed(0)
        columns = [column[torch.randint(len(pixels), (len(test.targets),), generator=generator)] for column in pixels.T]
        return cls(train, test, torch.stack(columns, 1))

    @cached_property
    def components(self) -> PrincipalComponents:
        """The first principal components of the training images."""
        return fitted_components(self.train.inputs, _COMPONENTS)

    @cached_property
    def mixture(self) -> Any:
        """A mixture of Gaussians of the training images' components."""
        from sklearn.mixture import GaussianMixture

        return GaussianMixture(20, reg_covar=1e-2, random_state=0).fit(self.coded(self.train.inputs))

    def coded(self, images: Tensor) -> Array:
        """Images in the coordinates of the components, `(N, P)`."""
        return self.components(images.flatten(1)).double().numpy()


def fitted_components(images: Tensor, count: int) -> PrincipalComponents:
    """Principal components of images `(N, ...)`."""
    flat = images.flatten(1)
    components = PrincipalComponents(DataSpec("images", (flat.shape[1],), 1), count)
    components.fit(flat)
    return components


def clustering(images: Images) -> Result:
    """Ten clusters without labels; purity is the accuracy if each is called by its most frequent class."""
    from sklearn.cluster import KMeans

    means = KMeans(10, n_init=5, random_state=0).fit(images.train.inputs.flatten(1).double().numpy())
    found = means.predict(images.test.inputs.flatten(1).double().numpy())
    classes = images.test.targets.numpy()
    right = sum(np.bincount(classes[found == cluster]).max() for cluster in np.unique(found))
    return Result(float(right / len(classes)), float(np.bincount(classes).max() / len(classes)))


def dimension_reduction(images: Images) -> Result:
    """The share of the test images' variance in a few principal components, and in as many random directions."""
    flat = images.test.inputs.flatten(1)
    centered = flat - images.train.inputs.flatten(1).mean(0)
    few = images.components.components[:_FEW_COMPONENTS]
    kept = (centered @ few.T).square().sum() / centered.square().sum()
    return Result(float(kept), _FEW_COMPONENTS / flat.shape[1])


def anomaly_detection(images: Images) -> Result:
    """How well the error of a reconstruction that was fitted to one class alone ranks the other classes above it."""
    from sklearn.metrics import roc_auc_score

    normal = fitted_components(images.train.inputs[images.train.targets == _NORMAL], _FEW_COMPONENTS)
    flat = images.test.inputs.flatten(1)
    errors = (flat - normal.center - normal(flat) @ normal.components).square().sum(1)
    return Result(float(roc_auc_score(images.test.targets != _NORMAL, errors)), 0.5)


def imputation(images: Images) -> Result:
    """The lower half of each image from its upper half, by ridge regression; without learning by the mean image."""
    halves = images.train.inputs.flatten(1).chunk(2, dim=1)
    weights, intercepts = solve(halves[0], halves[1].double(), _RIDGE)
    upper, lower = images.test.inputs.flatten(1).double().chunk(2, dim=1)
    error = (upper @ weights.T + intercepts - lower).square().sum()
    around = (lower - halves[1].double().mean(0)).square().sum()
    return Result(1 - float(error / around), 0.0)


def density_estimation(images: Images) -> Result:
    """How often a mixture of Gaussians finds a real image likelier than one of independent pixels."""
    real, fake = (images.mixture.score_samples(images.coded(each)) for each in (images.test.inputs, images.fakes))
    return Result(float((real > fake).mean()), 0.5)


def generation(images: Images) -> Result:
    """The share of new images, drawn from the mixture, whose nearest neighbor among real and new ones is real.

    Images that cannot be told from real ones have one half; the chance level is that of images of independent pixels.
    """
    real = images.coded(images.test.inputs)
    drawn, _ = images.mixture.sample(len(real))
    return Result(taken_for_real(drawn, real), taken_for_real(images.coded(images.fakes), real))


def taken_for_real(new: Array, real: Array) -> float:
    """The share of new points `(N, P)` whose nearest neighbor is one of as many real ones, not another new one."""
    among = torch.cdist(torch.from_numpy(new), torch.from_numpy(new)).fill_diagonal_(torch.inf)
    nearest_real = torch.cdist(torch.from_numpy(new), torch.from_numpy(real)).amin(1)
    return float((nearest_real < among.amin(1)).double().mean())


ON_IMAGES: dict[str, Callable[[Images], Result]] = {
    "clustering": clustering,
    "dimension reduction": dimension_reduction,
    "anomaly detection": anomaly_detection,
    "imputation": imputation,
    "density estimation": density_estimation,
    "generation": generation,
}
