"""Runs that a figure cannot draw are refused in one line that says which it needs, and which it was given."""

import pytest

from dlcourse.errors import ConfigError
from dlcourse.lectures.figures import FIGURES
from dlcourse.lectures.finished import Finished
from short_runs import finished

_NEEDS = {
    "cat_or_dog": "a classifier of images",
    "criterion": "a classifier with dropout, such as model=mlp model.dropout=0.5",
    "diffusion": "a run of a diffusion model on points",
    "diffusion_images": "a run of a conditional diffusion model on images",
    "gan": "runs of a GAN, such as experiment=gan_ring",
    "lecture_cnn48": "a run of model=cnn with classes",
    "vae": "a run of a VAE on images, such as data=mnist model=vae",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A classifier of flowers, for which none of these figures is."""
    return finished(tmp_path_factory.mktemp("runs") / "iris", "data=iris model=softmax trainer.epochs=1")


@pytest.mark.parametrize("name", _NEEDS)
def test_a_run_that_does_not_fit_is_refused(name: str, run: Finished) -> None:
    with pytest.raises(ConfigError) as refused:
        FIGURES[name](runs=[run])
    assert str(refused.value) == f"lecture.runs: the figure needs {_NEEDS[name]}, got {run.folder}"


def test_figures_of_one_run_refuse_several(run: Finished) -> None:
    for name in set(_NEEDS) - {"gan"}:
        with pytest.raises(ConfigError, match="needs 1 run, got 2"):
            FIGURES[name](runs=[run, run])
    with pytest.raises(ConfigError, match="at least one run of a GAN, got none"):
        FIGURES["gan"](runs=[])
