"""The film of a GAN: one scene for each run, of the same noise, with scores that an untrained one does not reach."""

from pathlib import Path

import pytest

from dlcourse.config.paths import conf_dir
from dlcourse.lectures.entry import read_lecture
from dlcourse.lectures.gan import gan
from dlcourse.metrics.report import Report
from short_runs import finished

_RING = "data=ring data.size=400 model=gan model.hidden=[8] task.samples=20 trainer.batch_size=100"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Of two runs that are far too short, the longer one first."""
    root = tmp_path_factory.mktemp("runs")
    return gan([finished(root / str(epochs), f"{_RING} trainer.epochs={epochs}") for epochs in (2, 1)], samples=200)


def test_scenes_are_in_order_and_have_scores(report: Report) -> None:
    assert (
        report.scalars["epochs of scene 1"] == 1
        and report.scalars["epochs of scene 2"] == report.scalars["epochs"] == 2
    )
    assert 0 <= report.scalars["good in scene 2"] <= 1 and "modes in scene 1" in report.scalars
    strip = report.pictures["gan"].rows[0][0]
    assert list(strip.captions) == ["after 1 epoch", "after 2 epochs"]
    assert len(strip.clouds[0]) == 200 and (strip.clouds[0] != strip.clouds[1]).any()


def test_a_generator_without_training_is_out_of_its_bands(report: Report) -> None:
    bands = {band.number: band for band in read_lecture(conf_dir() / "lecture" / "gan.yaml").check}
    for number in ("test/modes", "test/good"):
        assert not bands[number].holds(report.scalars[number])


@pytest.mark.slow
def test_samples_of_images_stand_beside_their_nearest_training_images(tmp_path: Path) -> None:
    words = "data=digits model=gan model.channels=4 task.samples=20 trainer.epochs=1 trainer.batch_size=256"
    report = gan([finished(tmp_path / "run", words)], samples=40)
    assert report.scalars["distance to the nearest training image"] > report.scalars["distance of real test images"] > 0
    assert "frechet in scene 1" in report.scalars
    (strip,), _, (nearest,) = report.pictures["gan"].rows
    assert strip.images.shape[:2] == (3, 12) and nearest.images.shape[:2] == (2, 12)
