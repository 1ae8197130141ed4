"""`debug=fast` on real runs: one batch of everything, and no look at the test set."""

import dataclasses
import json
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

import dlcourse
from dlcourse.cli.main import main
from dlcourse.config.run_config import FolderConfig, RunConfig
from dlcourse.console import Console
from dlcourse.device import cpu
from dlcourse.errors import ConfigError, DataError
from dlcourse.runs.folder import DEBUG
from dlcourse.runs.listing import list_runs
from dlcourse.training import session
from dlcourse.training.debug.folder import place
from dlcourse.training.debug.one_batch import OneBatch, is_stand_in, one_batch_of_each
from dlcourse.training.debug.start import MODES
from dlcourse.training.set_up import set_up
from dlcourse.training.test_set import measure_on_test
from fake_runs import config_of, leave
from lab import Lab, composed, report
from torture.families import NAMES, family
from torture.warm import TINY_CNN, compose

WORDS = ("debug=fast", "model=mlp", "data=digits", "model.hidden=[8]", "device.threads=1")


@pytest.mark.usefixtures("with_pictures")
def test_one_batch_of_everything_runs(lab: Lab) -> None:
    words = ("data=line", "model=linreg", "trainer.batch_size=32", "trainer.accumulate=3", "trainer.eval_batch_size=40")
    run = lab.train("debug=fast", "trainer.epochs=50", *words)
    assert run.parent == lab.folder / "outputs" / DEBUG / "line-linreg"
    assert "data   32 train / 40 val / 40 test" in lab.out
    assert "check  inputs, labels, loss and gradients of the first step are as expected" in lab.out
    assert lab.out.rstrip().splitlines()[-1] == (
        "fast   everything ran: train, validation, test (on validation examples), pictures, checkpoint, resume"
    )
    found = report(run)
    assert found["steps"] == 6, "two updates of three batches each: the second after a checkpoint"
    assert found["test"] == found["val"] and any("not read" in note for note in found["data"]["notes"])
    assert {"fit.png", "learning_curve.png"} <= {path.name for path in run.iterdir()}


def test_the_test_set_is_not_read(lab: Lab) -> None:
    run = lab.train(*WORDS, "report=light")
    assert "(on validation examples), checkpoint, resume" in lab.out, "a light report has no pictures"
    assert not list(lab.folder.rglob("test_looks.jsonl"))
    setup = set_up(composed(*WORDS), [], cpu(threads=1), Console(quiet=True))
    setup.task.prepare(setup.data)
    measured, looks = measure_on_test(setup.task, setup.data, 250, by="evaluate", run=str(run))
    assert looks == 0 and measured.scalars["loss"] > 0, "what stands in for it is no look"
    assert not list(lab.folder.rglob("test_looks.jsonl"))


def test_the_checkpoint_is_really_loaded(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(*_: object) -> object:
        raise DataError("the checkpoint cannot be restored")

    monkeypatch.setattr(session, "restore", damaged)
    assert lab.attempt(*WORDS, "report=light") == 2
    assert "the checkpoint cannot be restored" in lab.err and "everything ran" not in lab.out


def test_python_gets_the_run_of_fast_which_runs_lists_only_if_it_is_asked_for(lab: Lab) -> None:
    """A real run may have the name of the folder of the others."""
    run = dlcourse.train(*WORDS, "report=light")
    assert run.folder.parent.parent.name == DEBUG
    leave(Path("outputs/debug/real"), config=config_of("digits", "mlp") | {"run": {"name": "debug", "tags": []}})
    assert [each.name for each in list_runs()] == ["debug"]
    assert [each.name for each in list_runs("outputs/debug/digits-mlp")] == ["digits-mlp"]
    assert main(["rerun", str(run.folder), "debug=overfit"]) == 2, "which leaves no run"


def test_a_project_that_is_called_debug_lists_its_real_runs_alone(tmp_path: Path) -> None:
    outputs = tmp_path / "debug" / "outputs"
    leave(outputs / "real", config=config_of("digits", "cnn"))
    leave(outputs / DEBUG / "digits-mlp" / "fast", config=config_of("digits", "mlp") | {"debug": "fast"})
    assert [each.model for each in list_runs(outputs)] == ["cnn"]
    assert [each.model for each in list_runs(outputs / DEBUG)] == ["mlp"]


def test_python_is_told_that_the_others_leave_no_run() -> None:
    with pytest.raises(
        ConfigError, match=r"debug=profile leaves no run to give back; type dlcourse train debug=profile"
    ):
        dlcourse.train("debug=profile")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("debug=quick",), "debug must be overfit, fast or profile, or null, got 'quick'"),
        (("debug=fast", "resume=auto"), "debug=fast does not go with resume=auto; leave one of them out"),
        (
            ("-m", "debug=fast", "model=mlp,softmax"),
            "'debug=fast' is for one run, not for a sweep; give each option one value\n",
        ),
        (
            ("debug=fast", "data=iris", "data.k_fold=5"),
            "'debug=fast' is for one run, not for a sweep; give each option one value, and data.fold=0 with data.k_fold\n",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(words: tuple[str, ...], message: str, lab: Lab) -> None:
    assert lab.attempt(*words) == 2
    assert message in lab.err and lab.err.count("\n") == 1
    assert not (lab.folder / "outputs").exists()


def test_a_batch_is_the_first_of_its_epoch_and_in_order_without_one() -> None:
    config = composed("data=digits")
    data = session.build_data(config, cpu())
    cut = one_batch_of_each(data, dataclasses.replace(config.trainer, batch_size=10, eval_batch_size=7))
    assert [len(split) for split in (cut.train, cut.val, cut.test)] == [10, 7, 7]
    for epoch in (None, 1, 2):
        (ours,) = cut.train.batches(64, epoch=epoch)
        theirs = next(iter(data.train.batches(10, epoch=epoch)))
        assert all(one.equal(other) for one, other in zip(ours, theirs, strict=True))
    assert [len(batch.targets) for batch in cut.train.batches(4, epoch=1)] == [4, 4, 2]
    assert is_stand_in(cut.test) and not is_stand_in(cut.val) and not is_stand_in(data.test)
    assert isinstance(cut.train.to(cpu().torch_device), OneBatch)
    assert cut.test.fingerprint() == cut.val.fingerprint() != data.val.fingerprint()


def test_each_mode_is_an_option_and_has_its_place() -> None:
    modes, none = get_args(get_type_hints(RunConfig)["debug"])
    assert get_args(modes) == tuple(MODES) and none is type(None)
    assert place(FolderConfig(root="here")).root == str(Path("here") / DEBUG)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_family_runs_through(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if name == "transfer":
        session.run(compose(*TINY_CNN, "run.dir=warm"), [])
    config = family(name, tmp_path, tmp_path / "warm")
    result = session.run(dataclasses.replace(config, debug="fast"), [])
    assert json.loads((result.folder / "run.json").read_text())["status"] == "done"
    assert result.epochs == config.trainer.accumulate
