"""Strips and qualities of diffusion: in the order of the steps, from the same noise, and bad without training."""

from pathlib import Path

import pytest

from dlcourse.config.paths import conf_dir
from dlcourse.errors import ConfigError
from dlcourse.lectures.diffusion import diffusion, diffusion_images
from dlcourse.lectures.entry import read_lecture
from short_runs import finished

_SMALL = "task.samples=20 task.sample_steps=5 trainer.epochs=1"


def test_points_without_training_are_far_from_the_data(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", f"data=moons data.size=400 model=diffusion model.hidden=[8] {_SMALL}")
    first, again = (diffusion([run], steps=(50, 2), samples=200).scalars for _ in range(2))
    assert first == again, "the noise is the same whenever the figure is drawn"
    bands = {band.number: band for band in read_lecture(conf_dir() / "lecture" / "diffusion.yaml").check}
    assert not bands["energy distance at 50 steps"].holds(first["energy distance at 50 steps"])
    assert abs(first["energy distance of real points"]) < 0.03
    with pytest.raises(ConfigError, match="needs a run of a conditional diffusion model on images"):
        diffusion_images([run])
    with pytest.raises(ConfigError, match=r"lecture.steps must name two numbers or more to compare, got \[5\]"):
        diffusion([run], steps=(5,))


@pytest.mark.slow
def test_images_of_each_class_and_how_many_are_recognized(tmp_path: Path) -> None:
    words = f"data=digits model=diffusion model.channels=[4] model.conditional=true {_SMALL}"
    run = finished(tmp_path / "run", words)
    report = diffusion_images([run], steps=(2, 3), guidance=(0.0, 1.0), samples=20)
    shares = [
        report.scalars[f"recognized at {steps} steps and guidance {weight}"] for steps in (2, 3) for weight in (0, 1)
    ]
    assert all(0 <= share <= 0.5 for share in shares), "not after a moment of training"
    assert report.scalars["recognized of real images"] > 0.8
    with pytest.raises(ConfigError, match="needs a run of a diffusion model on points"):
        diffusion([run])
