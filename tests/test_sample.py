"""`dlcourse sample`: pictures and text of finished runs, from the run folder alone."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlcourse import cli
from lab import Lab

PYDOC = ["data=pydoc", "data.context=16", "data.windows=80", "data.val_fraction=0.001", "data.test_fraction=0.001"]


def sample(lab: Lab, *words: str) -> int:
    code = cli.main(["sample", *words])
    lab.out, lab.err = lab.capsys.readouterr()
    return code


@pytest.fixture
def vae(lab: Lab) -> Path:
    return lab.train("model=vae", "data=digits", "model.hidden=[16]", "trainer.epochs=1", "task.samples=2")


def test_pictures_are_numbered_repeat_with_the_seed_and_are_never_overwritten(lab: Lab, vae: Path) -> None:
    assert sample(lab, str(vae), "--count", "9") == 0
    assert lab.out == f"saved  {vae}/samples/samples_0001.png\n"
    assert sample(lab, "outputs", "--count", "9") == 0  # the newest run below
    assert sample(lab, str(vae), "--count", "9", "--seed", "1", "--out", "own.png") == 0
    first, again, other = (
        np.asarray(Image.open(path))
        for path in (vae / "samples/samples_0001.png", vae / "samples/samples_0002.png", lab.folder / "own.png")
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert sample(lab, str(vae), "--out", "own.png") == 2
    assert "--out own.png exists already" in lab.err


def test_text_goes_on_from_a_prompt(lab: Lab) -> None:
    run = lab.train("model=gru", "model.hidden=16", *PYDOC, "trainer.epochs=1")
    assert sample(lab, str(run), "--prompt", "The ", "--length", "30", "--temperature", "0") == 0
    text = lab.out
    assert text.startswith("The ") and len(text) == len("The ") + 30 + 1
    assert sample(lab, str(run), "--prompt", "The ", "--length", "30", "--top-k", "1", "--out", "text.txt") == 0
    assert (lab.folder / "text.txt").read_text(encoding="utf-8") == text
    assert sample(lab, str(run), "--prompt", "The 名") == 2
    assert "--prompt: the training data have no '名' (character 5); write the text without" in lab.err


def test_no_unit_is_dropped_while_sampling(lab: Lab) -> None:
    run = lab.train("model=gru", "model.hidden=16", "model.dropout=0.9", *PYDOC, "trainer.epochs=1")
    texts = set()
    for seed in ("1", "2", "3"):  # which nothing but dropout would depend on
        assert sample(lab, str(run), "--prompt", "The ", "--length", "30", "--temperature", "0", "--seed", seed) == 0
        texts.add(lab.out)
    assert len(texts) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "RUN=nowhere does not exist"),
        (["{run}", "--label", "3"], "--label has no meaning for this run; it takes --count"),
        (["{run}", "--cuont", "3"], "unknown flag '--cuont'; did you mean '--count'?"),
        (["{run}", "--count", "many"], "--count must be a whole number in [1, 10000], got 'many'"),
        (["{run}", "--count", "0"], "--count must be a whole number in [1, 10000], got '0'"),
        (["{run}", "more"], "unrecognized arguments: more; try dlcourse sample --help"),
    ],
)
def test_mistakes(lab: Lab, vae: Path, words: list[str], message: str) -> None:
    assert sample(lab, *(word.format(run=vae) for word in words)) == 2
    assert message in lab.err and lab.err.count("\n") == 1


def test_a_classifier_makes_nothing_up(lab: Lab) -> None:
    run = lab.train("data=digits", "trainer.epochs=1")
    assert sample(lab, str(run)) == 2
    assert "makes nothing up" in lab.err


@pytest.mark.parametrize("damage", ["spec.json", "weights.safetensors", "config.yaml"])
def test_a_damaged_run_is_named(lab: Lab, vae: Path, damage: str) -> None:
    (vae / damage).write_text("{]", encoding="utf-8")
    assert sample(lab, str(vae)) == 2
    assert damage in lab.err and lab.err.count("\n") == 1
