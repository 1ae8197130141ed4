"""The figure of a VAE: the bound is the sum of its parts, and codes of one class lie together if there is a reason."""

from pathlib import Path

import pytest

from dlcourse.lectures.vae import vae
from short_runs import finished


def test_parts_of_the_bound_and_the_plane_of_codes(tmp_path: Path) -> None:
    run = finished(
        tmp_path / "run", "data=digits model=vae model.hidden=[32] model.latent=2 task.samples=2 trainer.epochs=8"
    )
    report = vae([run])
    assert report.scalars["sum of the parts"] == pytest.approx(report.scalars["test/loss"], rel=1e-6)
    assert report.scalars["test/loss"] == pytest.approx(run.numbers()["test/loss"], rel=1e-4)
    assert report.scalars["latent dimensions"] == 2
    assert report.scalars["same digit nearby"] > 0.2, "chance is a tenth"
    (left, right), *_ = report.pictures["vae"].rows
    assert type(left.rows[0][0]).__name__ == "LatentScatter" and right.rows[0][0].title == "The plane of codes"
