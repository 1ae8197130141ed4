"""`dlcourse sample`: pictures and text of finished runs, from the run folder alone."""

import contextlib
import functools
import multiprocessing
import os
import shutil
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from dlcourse import error_line
from dlcourse.cli.main import main
from dlcourse.errors import UserError
from dlcourse.metrics.report import Report
from dlcourse.plots import Captioned, ConfusionMatrix, to_image, to_png
from dlcourse.runs.find import find_run
from dlcourse.training import sampling
from lab import Lab, composed
from torture.processes import IS_POSSIBLE
from torture.starts import start_together

PYDOC = ["data=pydoc", "data.context=16", "data.windows=80", "data.val_fraction=0.001", "data.test_fraction=0.001"]


def sample(lab: Lab, *words: str) -> int:
    code = main(["sample", *words])
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


@pytest.mark.skipif(not IS_POSSIBLE, reason="needs fork, which Linux has")
def test_six_that_write_at_once_get_a_file_each(tmp_path: Path) -> None:
    pictures = [ConfusionMatrix([[number]], ["a"]) for number in range(6)]
    expected = {png_of(picture) for picture in pictures}
    assert len(expected) == 6
    codes, _ = written_at_once(tmp_path, pictures, None)
    assert codes == [0] * 6
    names = [f"samples_{number:04d}.png" for number in range(1, 7)]
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == names
    assert {(tmp_path / "samples" / name).read_bytes() for name in names} == expected


@pytest.mark.skipif(not IS_POSSIBLE, reason="needs fork, which Linux has")
def test_of_six_that_want_the_same_file_one_gets_it_and_the_others_are_told(tmp_path: Path) -> None:
    pictures = [ConfusionMatrix([[number]], ["a"]) for number in range(6)]
    out = tmp_path / "one.png"
    codes, said = written_at_once(tmp_path, pictures, out)
    assert sorted(codes) == [0, *[2] * 5]
    assert set(said) == {"", f"dlcourse: error: --out {out} exists already; name a file that does not\n"}
    assert out.read_bytes() == png_of(pictures[codes.index(0)])
    assert [path.name for path in tmp_path.glob("*one*")] == ["one.png"]


def png_of(picture: ConfusionMatrix) -> bytes:
    """The file that a sample of a run with the default config is written to."""
    return to_png(to_image(Captioned(picture, "mlp on digits")))


def written_at_once(run: Path, pictures: list[ConfusionMatrix], out: Path | None) -> tuple[list[int], list[str]]:
    """Exit codes and stderr of processes that each write a picture of a run's at the same moment.

    That is the worst one: when all of them have seen that a name is free, and none has taken it.
    """
    config = composed("model=mlp", "data=digits")
    together = multiprocessing.get_context("fork").Barrier(len(pictures), timeout=60)
    exists = Path.exists

    def all_see(path: Path) -> bool:
        is_there = exists(path)
        if path.name == "samples_0001.png":
            together.wait()
        return is_there

    def work(number: int) -> int:
        with (
            (run / f"{number}.err").open("w") as err,
            contextlib.redirect_stderr(err),
            mock.patch.object(Path, "exists", all_see),
        ):
            try:
                sampling.write(Report({}, pictures={"samples": pictures[number]}), run, config, out)
            except UserError as error:
                return error_line.report(error)
        return 0

    ended = start_together([functools.partial(work, number) for number in range(len(pictures))])
    return [code for _, code in ended], [(run / f"{number}.err").read_text() for number in range(len(pictures))]


def test_a_run_without_weights_is_refused_and_what_lies_below_is_left_alone(lab: Lab, vae: Path) -> None:
    unfinished = lab.folder / "unfinished"
    shutil.copytree(vae, unfinished)
    (unfinished / "weights.safetensors").unlink()
    shutil.copytree(vae, unfinished / "older")
    for words in (["sample", "unfinished"], ["train", "data=digits", "model=vae", "init_from=unfinished"]):
        assert main(words) == 2
        said = lab.capsys.readouterr().err
        assert (
            "unfinished' is not finished, it has no" in said
            or "init_from=unfinished is not finished, it has no" in said
        )
        assert said.endswith("; write dlcourse resume unfinished\n") and said.count("\n") == 1


def test_the_newest_run_below_a_folder_is_taken(tmp_path: Path) -> None:
    """By time, not by name, among folders at both depths."""
    for age, name in enumerate(("b", "c/a", "a")):
        weights = tmp_path / name / "weights.safetensors"
        weights.parent.mkdir(parents=True)
        weights.touch()
        os.utime(weights, (2e9 - age, 2e9 - age))
    assert find_run(str(tmp_path), "RUN") == tmp_path / "b"
    os.utime(tmp_path / "c/a/weights.safetensors", (2e9 + 1, 2e9 + 1))
    assert find_run(str(tmp_path), "RUN") == tmp_path / "c/a"


def test_text_goes_on_from_a_prompt(lab: Lab) -> None:
    run = lab.train("model=gru", "model.hidden=16", *PYDOC, "trainer.epochs=1")
    assert sample(lab, str(run), "--prompt", "The ", "--length", "30", "--temperature", "0") == 0
    text = lab.out
    assert text.startswith("The ") and len(text) == len("The ") + 30 + 1
    assert sample(lab, str(run), "--prompt", "The ", "--length", "30", "--top-k", "1", "--out", "text.txt") == 0
    assert (lab.folder / "text.txt").read_text(encoding="utf-8") == text
    assert sample(lab, str(run), "--prompt", "The 名") == 2
    assert "--prompt: the training data have no '名' (character 5); leave it out" in lab.err


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
        (["nowhere"], "'nowhere' does not exist"),
        (["{run}", "--label", "3"], "--label has no meaning for this run; it takes --count"),
        (["{run}", "--cuont", "3"], "unknown flag '--cuont'; did you mean '--count'?"),
        (["{run}", "--count", "many"], "--count must be a whole number in [1, 10000], got 'many'"),
        (["{run}", "--count", "0"], "--count must be a whole number in [1, 10000], got 0"),
        (["{run}", "more"], "unrecognized arguments: more; write dlcourse sample --help"),
    ],
)
def test_mistakes(lab: Lab, vae: Path, words: list[str], message: str) -> None:
    assert sample(lab, *(word.format(run=vae) for word in words)) == 2
    assert message in lab.err and lab.err.count("\n") == 1


def test_a_classifier_makes_nothing_up(lab: Lab) -> None:
    run = lab.train("data=digits", "trainer.epochs=1")
    assert sample(lab, str(run)) == 2
    assert "is not generative" in lab.err


@pytest.mark.parametrize("damage", ["spec.json", "weights.safetensors", "config.yaml"])
def test_a_damaged_run_is_named(lab: Lab, vae: Path, damage: str) -> None:
    (vae / damage).write_text("{]", encoding="utf-8")
    assert sample(lab, str(vae)) == 2
    assert damage in lab.err and lab.err.count("\n") == 1
