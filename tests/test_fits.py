"""Which model trains on which data set: every pair is tried, and the table that `dlcourse list fits` shows is checked.

After a change `DLCOURSE_WRITE_FITS=1 scripts/test tests/test_fits.py -n 0` writes the table anew.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from dlcourse import cli, logger
from dlcourse.commands.fits import FITS_FILE, fits
from dlcourse.data import DATASETS
from dlcourse.models import MODELS
from dlcourse.tasks import judge
from lab import Lab
from tiny_data import tiny_data

TINY_MODELS = {
    "cnn": ["model.channels=[4]", "model.head=[8]"],
    "resnet": ["model.width=4"],
    "mlp": ["model.hidden=[8]"],
    "vae": ["model.hidden=[8]", "model.latent=2", "task.samples=2"],
    "autoencoder": ["model.hidden=[8]", "model.latent=2"],
    "rnn": ["model.hidden=8"],
    "gru": ["model.hidden=8"],
    "lstm": ["model.hidden=8"],
    "transformer": ["model.width=8", "model.layers=1", "model.heads=2"],
    "gan": ["model.hidden=[8]", "model.channels=4", "task.samples=30"],
    "diffusion": ["model.hidden=[8]", "model.channels=[8]", "task.steps=10", "task.sample_steps=2", "task.samples=30"],
}


def write_row(model: str, found: list[str]) -> None:
    rows = fits() | {model: tuple(found)}
    head = "# Which model trains on which data set: written and checked by tests/test_fits.py."
    lines = [f"{name}: [{', '.join(rows[name])}]" for name in MODELS if name in rows]
    FITS_FILE.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")


@pytest.mark.parametrize("model", list(MODELS))
def test_every_model_trains_on_every_data_set_it_claims_and_says_no_to_the_others(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.setattr(logger, "to_image", lambda picture: np.zeros((2, 2, 3), np.uint8))  # drawing has its own tests
    monkeypatch.setattr(judge, "_FEWEST_STEPS", 1)  # it has to be there, not to be good
    found = []
    for data in DATASETS:
        words = [f"model={model}", *TINY_MODELS.get(model, []), *tiny_data(data, tmp_path)]
        code = lab.attempt(*words, "trainer.epochs=1", "trainer.eval_every=1", "trainer.batch_size=16")
        if code == 0:
            found.append(data)
        else:
            assert code == 2, (words, lab.err)
            assert lab.err.startswith(f"dlcourse: error: model '{model}' "), (words, lab.err)
            assert f"data '{data}'" in lab.err and "; use " in lab.err and lab.err.count("\n") == 1, (words, lab.err)
    if os.environ.get("DLCOURSE_WRITE_FITS"):
        write_row(model, found)
    assert tuple(found) == fits()[model]


def test_the_table_names_models_and_data_sets_that_are_there() -> None:
    assert list(fits()) == list(MODELS)
    assert all(set(row) <= set(DATASETS) and row for row in fits().values())


def test_list_shows_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list", "fits"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in MODELS)
    assert cli.main(["list", "model=cnn"]) == 0
    assert "trains on" in capsys.readouterr().out
