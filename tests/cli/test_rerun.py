"""`dlcourse rerun`: the config that a run recorded, in a new folder, with nothing changed but the options that are given."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from dlcourse.cli import rerun
from dlcourse.cli.main import main
from dlcourse.cli.recorded import recorded_config, with_changes, words_of
from dlcourse.config.run_config import RunConfig
from dlcourse.runs.folder import RunFolder
from dlcourse.runs.resume import as_it_was
from lab import Lab, composed, contents, write_config

assert callable(rerun.main)

TINY = ("model=mlp", "model.hidden=[4]", "trainer.epochs=1", "report=light")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("iris") / "run"
    assert main(["train", "data=iris", *TINY, f"run.dir={folder}"]) == 0
    return folder


def reran(lab: Lab, *words: object, code: int = 0) -> Path:
    """Run the command; returns the folder of its run."""
    lab.capsys.readouterr()
    found = main(["rerun", *map(str, words)])
    lab.out, lab.err = lab.capsys.readouterr()
    assert found == code, lab.err
    lines = [line.split(maxsplit=1)[1] for line in lab.out.splitlines() if line.startswith("run ")]
    return lab.folder / lines[-1] if lines else lab.folder


def test_a_rerun_is_bit_equal_and_the_run_stays_as_it_is(lab: Lab, run: Path) -> None:
    before = contents(run)
    again = reran(lab, run)
    assert again.parent == lab.folder / "outputs" / "iris-mlp"
    command = next(line.split(maxsplit=1)[1] for line in lab.out.splitlines() if line.startswith("verify"))
    assert command == f"dlcourse verify {run} {again.relative_to(lab.folder)}"
    assert main(command.split()[1:]) == 0
    assert contents(run) == before
    looks = [json.loads(line) for line in (lab.folder / "outputs" / "test_looks.jsonl").read_text().splitlines()]
    assert [look["run"] for look in looks] == [str(again.relative_to(lab.folder))], (
        "a person saw the number, as of train"
    )


def test_what_is_given_changes_and_nothing_else_does(lab: Lab, run: Path) -> None:
    words = ("seed=4", "optimizer=sgd", "optimizer.lr=0.03", "++run.name=other", "run.root=there", "run.tags=[b]")
    again = reran(lab, run, *words)
    assert again.parent == lab.folder / "there" / "other"
    assert recorded_config(again).device.options["threads"] is None, "it is the number of this process"
    assert "verify " not in lab.out, "they are not to be equal"
    before, after = recorded_config(run), recorded_config(again)
    assert (after.seed, after.optimizer.name, after.optimizer.options["lr"]) == (4, "sgd", 0.03)
    assert (before.model, before.data, before.trainer, before.task) == (
        after.model,
        after.data,
        after.trainer,
        after.task,
    )
    overrides = yaml.safe_load((again / "overrides.yaml").read_text())
    assert overrides == ["data=iris", *TINY, *words]
    assert composed(*overrides).to_mapping() | {"run": None} == after.to_mapping() | {"run": None}


CHANGES = (
    ("data=digits", "model=vae", "model.hidden=[8]"),
    ("data=wine",),
    ("data=diabetes",),
    ("data=word_order", "model=gru"),
    ("trainer=one_step",),
    ("optimizer=momentum", "scheduler=step"),
    ("features=polynomial",),
    ("data=text", "data.file=words.txt", "model=transformer"),
)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(words, marks=() if words is CHANGES[0] else pytest.mark.slow, id=" ".join(words))
        for words in CHANGES
    ],
)
def test_other_entries_bring_what_they_bring_to_train(words: tuple[str, ...]) -> None:
    """With what the run itself was told, the config is the one that `train` would run with both."""
    said = ("seed=3",) if "trainer=one_step" in words else ("seed=3", "trainer.epochs=7")
    changed = with_changes(composed("data=iris", "model=mlp", *said), list(words))
    chosen = {word.partition("=")[0] for word in words}
    kept = [word for word in ("data=iris", "model=mlp") if word.partition("=")[0] not in chosen]
    assert changed.to_mapping() == composed(*kept, *words, *said).to_mapping()


def test_an_entry_that_is_given_comes_with_its_own_options() -> None:
    changed = with_changes(composed("data=iris", "optimizer.lr=0.5", "seed=2"), ["optimizer=adam"])
    assert (changed.optimizer.options["lr"], changed.seed) == (0.001, 2)


def test_either_a_time_or_a_number_of_epochs_says_how_long(lab: Lab, run: Path) -> None:
    timed = with_changes(recorded_config(run), ["trainer.time=1min"])
    assert timed.trainer.time == "1min"
    assert words_of(run, timed, ["trainer.time=1min"]) == ["data=iris", *TINY[:2], "report=light", "trainer.time=1min"]
    again = with_changes(timed, ["trainer.epochs=3"])
    assert (again.trainer.time, again.trainer.epochs) == (None, 3)


@pytest.mark.slow
def test_words_that_hold_no_more_are_not_recorded(lab: Lab, run: Path) -> None:
    config = recorded_config(run)
    for changes, expected in (
        (["data=wine"], [*TINY, "data=wine"]),
        (["model=softmax"], ["data=iris", "trainer.epochs=1", "report=light", "model=softmax"]),
        (["trainer.epochs=2"], ["data=iris", *TINY[:2], "report=light", "trainer.epochs=2"]),
    ):
        assert words_of(run, with_changes(config, changes), changes) == expected


@pytest.mark.slow
def test_a_run_keeps_its_threads_unless_others_are_given(lab: Lab, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = torch.get_num_threads()
    facts = json.loads((run / "environment.json").read_text())
    try:
        (run / "environment.json").write_text(json.dumps(facts | {"threads": usual + 1}))
        assert recorded_config(reran(lab, run)).device.options["threads"] == usual + 1
    finally:
        (run / "environment.json").write_text(json.dumps(facts))
        torch.set_num_threads(usual)
    assert recorded_config(reran(lab, run, f"device.threads={usual}")).device.options["threads"] == usual


@pytest.mark.slow
def test_a_run_that_failed_is_trained_with_another_option(lab: Lab) -> None:
    folder = lab.train("data=line", "model=linreg", "optimizer=sgd", "optimizer.lr=1e12", "report=light", code=1)
    assert folder is not None
    again = reran(lab, folder, "optimizer.lr=0.1")
    assert json.loads((again / "run.json").read_text())["status"] == "done"


@pytest.mark.slow
def test_a_root_that_the_run_is_not_below_is_a_strangers(lab: Lab, run: Path) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    text = (run / "config.yaml").read_text().replace("root: outputs", "root: /nosuch/place")
    assert config["run"]["root"] == "outputs"
    stranger = lab.folder / "stranger"
    stranger.mkdir()
    for name in ("run.json", "config.yaml", "overrides.yaml", "environment.json"):
        (stranger / name).write_bytes((run / name).read_bytes())
    write_config(stranger, text)
    assert reran(lab, stranger).parent == lab.folder / "outputs" / "iris-mlp"


MISTAKES = [
    ([], "RUN is missing; write dlcourse rerun "),
    (["trainer.epochs=2"], " trainer.epochs=2"),
    (["nosuch"], "'nosuch' does not exist"),
    (["RUN", "--fast"], "unknown flag '--fast'"),
    (["RUN", "-m", "seed=1,2"], "unknown flag '-m'"),
    (["RUN", "seed=1,2"], "has several values, and rerun trains one run"),
    (["RUN", "seed=1", "seed=2"], "'seed' is given twice"),
    (["RUN", "model.hiden=[3]"], "did you mean 'model.hidden'?"),
    (["RUN", "model.hidden=3"], "write model.hidden=[3]"),
    (["RUN", "+model.depth=3"], "unknown option 'model.depth'"),
    (["RUN", "model=cnm"], "did you mean 'cnn'?"),
    (["RUN", "model=cnn"], "model 'cnn'"),
    (["RUN", "experiment=xor"], "write dlcourse train experiment=xor"),
    (["RUN", "resume=auto"], "rerun trains the config of RUN"),
    (["RUN", "model={hidden: [3]}"], "rerun takes plain values"),
    (["RUN", "run.name=${seed}"], "rerun takes plain values"),
    (["RUN", "hydra.run.dir=x"], "cannot be set"),
    (["RUN", "lr=0.1"], "optimizer.lr"),
    (["RUN", "run.dir=RUN"], "exists already"),
    (["RUN", "softmax"], "write model=softmax"),
]
_QUICK = 6


@pytest.mark.parametrize(
    ("words", "expected"),
    [*MISTAKES[:_QUICK], *(pytest.param(*each, marks=pytest.mark.slow) for each in MISTAKES[_QUICK:])],
)
def test_a_mistake_is_one_line_and_writes_nothing(words: list[str], expected: str, lab: Lab, run: Path) -> None:
    before = contents(run)
    reran(lab, *(word.replace("RUN", str(run)) for word in words), code=2)
    assert lab.err.count("\n") == 1 and expected in lab.err
    assert list(lab.folder.iterdir()) == [] and contents(run) == before


def test_an_unfinished_run_and_a_sweep_are_refused(lab: Lab, run: Path) -> None:
    folder = lab.folder / "killed"
    folder.mkdir()
    for name in ("config.yaml", "overrides.yaml"):
        (folder / name).write_bytes((run / name).read_bytes())
    (folder / "run.json").write_text('{"status": "running"}')
    reran(lab, folder, code=2)
    assert f"{folder} is not finished (running); write dlcourse resume {folder}" in lab.err
    with RunFolder(folder).locked():
        reran(lab, folder, code=2)
    assert f"{folder} is still running; wait for it, or see it with dlcourse tensorboard" in lab.err
    (folder / "sweep.json").write_text("{}")
    reran(lab, folder, code=2)
    assert "is a sweep" in lab.err


def test_a_regression_of_before_there_was_an_option_is_as_it_was() -> None:
    config = composed("data=line", "model=linreg").to_mapping()
    old = config | {"task": {name: value for name, value in config["task"].items() if name != "standardize"}}
    assert as_it_was(RunConfig.from_mapping(old).to_mapping())["task"]["standardize"] is False
