"""What is said of data sets before they are read: how large they are, and whether their files are here."""

from pathlib import Path

import pytest

from dlcourse.config.registry import Choice
from dlcourse.data import DATASETS
from dlcourse.data.download import DataFiles
from dlcourse.data.own import KINDS
from dlcourse.data.published import PUBLISHED
from lab import composed
from tiny_data import tiny_data

FROM_FILES = [name for name in DATASETS if name not in KINDS and isinstance(DATASETS.build(Choice(name)), DataFiles)]


def test_every_downloaded_data_set_has_its_size_and_only_those_have_megabytes() -> None:
    assert {name for name, known in PUBLISHED.items() if known.megabytes} == set(FROM_FILES)


def quick(names: list[str], *chosen: str) -> list[object]:
    """The names, all but the chosen ones for the long suite alone."""
    return [pytest.param(name, marks=() if name in chosen else pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", quick([name for name in PUBLISHED if name not in FROM_FILES], "digits"))
def test_the_sizes_are_those_of_the_data_set(name: str) -> None:
    data = DATASETS.build(Choice(name)).build(name=name, seed=0)
    assert (len(data.train) + len(data.val), len(data.test)) == PUBLISHED[name][:2]


def test_the_sizes_of_mnist_are_right(real_data: Path) -> None:
    data = DATASETS.build(Choice("mnist", {"root": str(real_data)})).build(name="mnist", seed=0)
    assert (len(data.train) + len(data.val), len(data.test)) == PUBLISHED["mnist"][:2]


@pytest.mark.parametrize("name", quick(FROM_FILES, "mnist", "cifar10", "tinyshakespeare"))
def test_files_are_here_once_they_are(name: str, tmp_path: Path) -> None:
    empty = DATASETS.build(Choice(name, {"root": str(tmp_path / "empty")}))
    assert isinstance(empty, DataFiles) and not empty.is_here
    words = tiny_data(name, tmp_path)
    source = DATASETS.build(composed(*words).data)
    assert isinstance(source, DataFiles) and source.is_here
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    files[0].unlink()
    assert not source.is_here
