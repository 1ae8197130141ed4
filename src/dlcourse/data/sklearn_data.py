"""The real data sets that scikit-learn carries, so that they need no network: one image set and four tables."""

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dlcourse.data import announced
from dlcourse.data.dataset import ClassSource, ImageSource, Source, Tables, TableSource


@dataclass(frozen=True, kw_only=True)
class Digits(TableSource, ImageSource):
    """1,797 handwritten digits of 8x8 gray pixels (Alpaydin and Kaynak, 1998)."""

    SPECS = (announced.images(1, 8, classes=10),)

    def load(self) -> Tables:
        rows = torch.from_numpy(_digits())
        pixels = rows[:, :-1].reshape(-1, 1, 8, 8) * (255 / 16)  # ink counts 0 to 16 -> gray levels 0 to 255
        return self.divide(pixels.round().to(torch.uint8), rows[:, -1].long(), tuple("0123456789"))


@dataclass(frozen=True, kw_only=True)
class Iris(TableSource, ClassSource):
    """Three species of iris told apart by four lengths in cm, 150 flowers (Fisher, 1936)."""

    SPECS = (announced.numbers(4, classes=3),)

    def load(self) -> Tables:
        from sklearn.datasets import load_iris

        return _divide_classes(self, load_iris())


@dataclass(frozen=True, kw_only=True)
class Wine(TableSource, ClassSource):
    """Three growers of wine told apart by 13 chemical measurements, 178 wines (Forina et al., 1988)."""

    SPECS = (announced.numbers(13, classes=3),)

    def load(self) -> Tables:
        from sklearn.datasets import load_wine

        return _divide_classes(self, load_wine())


@dataclass(frozen=True, kw_only=True)
class BreastCancer(TableSource, ClassSource):
    """Malignant or benign tumours told apart by 30 measures of cell nuclei, 569 women (Street et al., 1993)."""

    SPECS = (announced.numbers(30, classes=2),)

    def load(self) -> Tables:
        from sklearn.datasets import load_breast_cancer

        return _divide_classes(self, load_breast_cancer())


@dataclass(frozen=True, kw_only=True)
class Diabetes(TableSource, Source):
    """Progress of diabetes after a year, 25 to 346, from ten raw measurements of 442 patients (Efron et al., 2004)."""

    SPECS = (announced.numbers(10),)

    def load(self) -> Tables:
        from sklearn.datasets import load_diabetes

        bunch = load_diabetes(scaled=False)
        targets = torch.from_numpy(bunch.target).float().unsqueeze(1)  # (N,) -> (N, 1)
        return self.divide(torch.from_numpy(bunch.data).float(), targets, feature_names=_names(bunch.feature_names))


def _digits() -> NDArray[np.float64]:
    """The `(1797, 65)` ink counts and digits, read without importing scikit-learn and SciPy, which takes two seconds."""
    (folder,) = importlib.util.find_spec("sklearn").submodule_search_locations  # type: ignore[union-attr,misc]
    file = Path(folder, "datasets", "data", "digits.csv.gz")
    if file.is_file():
        return _read_rows(file)
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return np.column_stack([bunch.data, bunch.target])


@functools.cache
def _read_rows(file: Path) -> NDArray[np.float64]:
    """The numbers of a file, read once for all runs of a sweep, of which it took a sixth of the time; not to be changed."""
    return np.loadtxt(file, delimiter=",")


def _divide_classes(source: TableSource, bunch: Any) -> Tables:
    """The training and test tables of a scikit-learn bunch with classes."""
    inputs, targets = torch.from_numpy(bunch.data).float(), torch.from_numpy(bunch.target).long()
    return source.divide(inputs, targets, _names(bunch.target_names), _names(bunch.feature_names))


def _names(names: Any) -> tuple[str, ...]:
    """The names as plain text, if scikit-learn gives numbers or NumPy's own strings."""
    return tuple(str(name) for name in names)
