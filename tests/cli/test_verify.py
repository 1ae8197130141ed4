"""`dlcourse verify`: a run of each family comes out bit-equal, and whatever differs is named."""

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
import torch

from dlcourse.cli import recorded, verify
from dlcourse.cli.main import main
from dlcourse.config.run_config import FolderConfig
from dlcourse.errors import DivergedError, MisfitError
from dlcourse.runs import circumstances, difference
from dlcourse.runs.weights import read_tensors, save_weights
from dlcourse.training import again, session
from lab import Lab, contents, write_config
from torture.families import NAMES, family
from torture.warm import TINY_CNN, compose

assert (
    callable(verify.main)
    and callable(recorded.finished)
    and callable(difference.compare)
    and callable(again.session.run)
)

SOME = ("cnn",)
"""Those that are quick; the tests below have a table, and trainings that go on."""


@pytest.fixture(autouse=True)
def torch_as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def trained(name: str, lab: Lab) -> Path:
    """A run of a family."""
    warm = lab.folder / "warm"
    if name == "transfer":
        session.run(compose(*TINY_CNN, "trainer.epochs=1", "report=light", f"run.dir={warm}"), [])
    folder = lab.folder / f"{name}-run"
    config = family(name, lab.folder / "files", warm)
    report: Literal["light", "full"] = "light" if name in (*SOME, "csv") else "full"
    session.run(dataclasses.replace(config, run=FolderConfig(dir=str(folder)), report=report), [])
    lab.capsys.readouterr()
    return folder


def verified(lab: Lab, *words: object, code: int = 0) -> str:
    """What the command prints on standard output."""
    lab.capsys.readouterr()
    found = main(["verify", *map(str, words)])
    lab.out, lab.err = lab.capsys.readouterr()
    assert found == code, lab.out + lab.err
    return lab.out


def refused(lab: Lab, *words: object) -> str:
    """The one line that a mistake is answered with."""
    verified(lab, *words, code=2)
    assert lab.err.count("\n") == 1
    return lab.err


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in SOME else pytest.mark.slow) for name in NAMES])
def test_a_run_of_each_family_is_bit_equal_and_stays_as_it_is(name: str, lab: Lab) -> None:
    run = trained(name, lab)
    before = contents(lab.folder)
    printed = verified(lab, run)
    assert contents(lab.folder) == before, "the run, the ledger and everything else stay as they are"
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines() if '"picture"' not in line]
    numbers = [line for line in lines if any(not key.startswith("time") for key in line.keys() - {"step", "epoch"})]
    tensors = read_tensors(run / "weights.safetensors")
    expected = f"bit-equal: {len(numbers)} lines of metrics.jsonl, {len(tensors)} tensors"
    assert expected.replace(" 1 tensors", " 1 tensor") in printed
    assert ("prediction" in printed) == (run / "predictions.csv").exists()
    assert len(printed.splitlines()) == 3


def test_changed_data_are_named_with_the_first_line_that_differs_and_missing_data_are_one_line(lab: Lab) -> None:
    run = trained("csv", lab)
    before = contents(run)
    table = next((lab.folder / "files").rglob("table.csv"))
    content = bytearray(table.read_bytes())
    content[content.index(b"\n") + 1] ^= 1  # another digit in the first row
    table.write_bytes(content)
    printed = verified(lab, run, code=1)
    first = json.loads((run / "metrics.jsonl").read_text().splitlines()[0])
    assert (
        f"verify differs: metrics.jsonl line 1: step {first['step']}, train/loss: {first['train/loss']} in the run"
        in printed
    )
    assert "weights.safetensors: " in printed and "predictions.csv line 2: " in printed
    (split,) = [line for line in printed.splitlines() if "data: the" in line]
    assert re.fullmatch(r"(why)? +data: the (training|validation|test) set differs \(sha256\)", split)
    shutil.rmtree(lab.folder / "files")
    line = refused(lab, run)
    assert line.startswith(f"dlcourse: error: cannot train {run} again: cannot read ") and "dlcourse rerun" in line
    assert contents(run) == before


def test_nothing_is_left_in_the_temporary_folder(lab: Lab, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = lab.folder / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    verified(lab, run)
    assert list(place.iterdir()) == []
    place.rmdir()
    verified(lab, run, code=3)
    assert "cannot write in" in lab.err and "set TMPDIR to a folder" in lab.err and lab.err.count("\n") == 1


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on iris, to be copied."""
    folder = tmp_path_factory.mktemp("iris") / "run"
    words = ("data=iris", "model=mlp", "model.hidden=[4]", "trainer.epochs=2", "report=light", f"run.dir={folder}")
    assert main(["train", *words]) == 0
    return folder


def copied(run: Path, lab: Lab, name: str = "copy") -> Path:
    shutil.copytree(run, lab.folder / name)
    return Path(name)


def test_two_runs_are_compared_without_training(lab: Lab, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = copied(run, lab)
    monkeypatch.setattr(session, "run", lambda *_: pytest.fail("trains"))
    assert "bit-equal" in verified(lab, run, copy)


def changed_number(copy: Path) -> str:
    log = copy / "metrics.jsonl"
    lines = log.read_text().splitlines()
    place = next(place for place, line in enumerate(lines) if "val/loss" in line)
    record = json.loads(lines[place])
    lines[place] = json.dumps(record | {"val/loss": record["val/loss"] + 1e-15})
    log.write_text("\n".join(lines) + "\n")
    return f"metrics.jsonl line {place + 1}: step {record['step']}, val/loss: {record['val/loss']} in "


def missing_end(copy: Path) -> str:
    log = copy / "metrics.jsonl"
    lines = log.read_text().splitlines()
    log.write_text("\n".join(lines[:-1]) + "\n")
    return f"metrics.jsonl line {len(lines)}: step {json.loads(lines[-1])['step']} (test/loss, "


def changed_bit(copy: Path) -> str:
    tensors = read_tensors(copy / "weights.safetensors")
    name = next(reversed(tensors))
    tensors[name].view(-1)[0] *= -1.0
    save_weights(tensors, copy / "weights.safetensors")
    facts = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps({key: value for key, value in facts.items() if key != "weights"}))
    return f"weights.safetensors: {name} differs by up to "


def another_prediction(copy: Path) -> str:
    table = copy / "predictions.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines[:4], lines[4] + "0", *lines[5:]]) + "\n")
    return f"predictions.csv line 5: {lines[4]} in "


@pytest.mark.parametrize("change", [changed_number, missing_end, changed_bit, another_prediction])
def test_each_kind_of_difference_is_found_where_it_is_first(change, lab: Lab, run: Path) -> None:
    copy = copied(run, lab)
    expected = change(copy)
    printed = verified(lab, run, copy, code=1)
    (line,) = [line for line in printed.splitlines() if "differs: " in line]
    assert line.startswith(f"verify differs: {expected}") and line.endswith(" differ")


def test_histograms_are_compared_and_count_as_lines(lab: Lab, run: Path) -> None:
    """Those of trainer.watch are in the log between the numbers."""
    folders = [copied(run, lab, name) for name in ("one", "two")]
    for folder, low in zip(folders, (0.0, 0.5), strict=True):
        log = folder / "metrics.jsonl"
        record = {
            "step": 1,
            "epoch": 1,
            "time": 0.5,
            "histogram": "weights/a",
            "min": low,
            "max": 1.0,
            "counts": [1, 2],
        }
        log.write_text(json.dumps(record) + "\n" + log.read_text())
    printed = verified(lab, *folders, code=1)
    assert "metrics.jsonl line 1: step 1, weights/a min: 0.0 in one, 0.5 in two; 1 of " in printed


OTHER = {
    "python": "3.99.0",
    "torch": "9.9.9",
    "torchvision": "9.9",
    "numpy": "9.9",
    "platform": "OtherOS-1",
    "processor": "OTHER512",
    "threads": 63,
    "denormal numbers": "kept",
    "cuda": "Other GPU",
    "dlcourse": "99.0",
    "device": "cuda:0, Other GPU",
}


def test_every_fact_of_the_machine_is_named(lab: Lab, run: Path) -> None:
    copy = copied(run, lab)
    path = copy / "environment.json"
    facts = json.loads(path.read_text())
    assert set(facts) == {*OTHER, "command"}
    path.write_text(json.dumps(facts | OTHER))
    changed_number(copy)
    printed = verified(lab, run, copy, code=1)
    for fact, other in OTHER.items():
        before, now = (str(value).partition(",")[0] for value in (facts[fact], other))
        assert f" {fact}: {before} in {run}, {now} in copy\n" in printed


def test_a_clock_and_an_extension_of_either_run_are_named(lab: Lab, run: Path) -> None:
    copy = copied(run, lab)
    changed_number(copy)
    assert "why    unknown: config, versions, processor, threads and data are the same" in verified(
        lab, run, copy, code=1
    )
    config = (copy / "config.yaml").read_text()
    (copy / "config.yaml").write_text(config.replace("  time: null", "  time: 20s"))
    (copy / "overrides.yaml").write_text('- "trainer.epochs=6"\n')
    printed = verified(lab, run, copy, code=1)
    assert "copy has trainer.time=20s: the number of steps in that time varies" in printed
    assert "copy began as dlcourse train data=iris " in printed and "resumed with trainer.epochs=6: " in printed


def test_other_options_are_named(lab: Lab, run: Path) -> None:
    copy = copied(run, lab)
    changed_number(copy)
    config = (copy / "config.yaml").read_text()
    (copy / "config.yaml").write_text(config.replace("  lr: 0.001", "  lr: 0.5").replace("\nseed: 0", "\nseed: 1"))
    printed = verified(lab, run, copy, code=1)
    assert f"seed: 0 in {run}, 1 in copy" in printed and f"optimizer.lr: 0.001 in {run}, 0.5 in copy" in printed


@pytest.mark.slow
def test_a_run_keeps_its_number_of_threads(lab: Lab) -> None:
    recorded_with = 2 if torch.get_num_threads() == 1 else 1
    before = torch.get_num_threads()
    torch.set_num_threads(recorded_with)
    config = dataclasses.replace(compose("data=iris", "model=softmax", "trainer.epochs=1", "report=light"))
    assert config.device.options["threads"] is None
    word = f"device.threads={recorded_with}"
    session.run(compose("data=iris", "model=softmax", "trainer.epochs=1", "report=light", "run.dir=run", word), [])
    text = Path("run/config.yaml").read_text()
    write_config(Path("run"), text.replace(f"threads: {recorded_with}", "threads: null"))
    torch.set_num_threads(before)
    assert "threads" not in verified(lab, "run")
    assert torch.get_num_threads() == before


def test_a_run_that_was_interrupted_is_bit_equal_and_one_that_was_extended_says_so(lab: Lab) -> None:
    words = (
        "data=iris",
        "model=softmax",
        "trainer.epochs=4",
        "trainer.checkpoint.steps=3",
        "report=light",
        "run.dir=run",
    )
    lab.train(*words)
    checkpoints = sorted(Path("run/checkpoints").iterdir())
    shutil.rmtree(checkpoints[-1])
    facts = json.loads(Path("run/run.json").read_text())
    Path("run/run.json").write_text(json.dumps(facts | {"status": "stopped"}))
    assert "is not finished (stopped); write dlcourse resume run" in refused(lab, "run")
    assert main(["resume", "run"]) == 0
    assert "resume from step" in lab.capsys.readouterr().out
    verified(lab, "run")
    assert main(["resume", "run", "trainer.epochs=6"]) == 0
    lab.capsys.readouterr()
    printed = verified(lab, "run", code=1)
    assert "optim/lr" in printed or "train/loss" in printed
    assert "trainer.epochs=4" in printed and "and was resumed with trainer.epochs=6" in printed


@pytest.mark.slow
def test_a_source_run_that_is_newer_than_the_run_is_named(lab: Lab) -> None:
    first = ("data=iris", "model=softmax", "trainer.epochs=1", "report=light", "run.name=first")
    lab.train(*first)
    lab.train(
        "data=iris", "model=softmax", "trainer.epochs=1", "report=light", "run.dir=run", "init_from=outputs/first"
    )
    verified(lab, "run")
    newer = lab.train(*first, "seed=3")
    assert newer is not None
    shown = newer.relative_to(lab.folder)
    assert (
        f"init_from=outputs/first is {shown} now, which is newer than run: that started from other weights"
        in verified(lab, "run", code=1)
    )
    shutil.rmtree("outputs/first")
    assert "cannot train run again: init_from=outputs/first does not exist" in refused(lab, "run")


def test_a_run_of_another_version_says_so(lab: Lab, run: Path) -> None:
    copy = copied(run, lab)
    config = (copy / "config.yaml").read_text().replace("  activation: relu", "  activation: relu\n  gates: 3")
    write_config(copy, config)
    environment = json.loads((copy / "environment.json").read_text())
    (copy / "environment.json").write_text(json.dumps(environment | {"dlcourse": "7.0"}))
    line = refused(lab, copy)
    assert "unknown option 'model.gates'" in line and "copy was trained with dlcourse 7.0; this is " in line


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "RUN is missing; write dlcourse verify "),
        (["nosuch"], "'nosuch' does not exist"),
        (["--fast"], "unknown flag '--fast'"),
        (["copy", "copy"], "are the same run"),
        (["copy", "trainer.epochs=1"], "dlcourse rerun RUN OPTION=VALUE"),
        (["copy", "copy", "copy"], "verify takes RUN, or RUN and OTHER"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], expected: str, lab: Lab, run: Path) -> None:
    copied(run, lab)
    before = contents(lab.folder)
    assert expected in refused(lab, *words)
    assert contents(lab.folder) == before


def test_a_damaged_run_is_refused_before_anything_is_trained(
    lab: Lab, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = copied(run, lab)
    monkeypatch.setattr(session, "run", lambda *_: pytest.fail("trains"))
    content = bytearray((copy / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (copy / "weights.safetensors").write_bytes(content)
    assert "weights.safetensors: damaged" in refused(lab, copy)
    (copy / "config.yaml").write_text("model: 3\n")
    assert "its sha256 is not that in run.json" in refused(lab, copy)


def test_without_checkpoints_what_is_not_known_is_said(lab: Lab, run: Path) -> None:
    copy = copied(run, lab)
    shutil.rmtree(copy / "checkpoints")
    assert "copy has no readable checkpoint: only the checksum of its test set is known" in verified(lab, run, copy)
    changed_number(copy)
    (copy / "environment.json").write_text("[")
    assert "copy/environment.json cannot be read" in verified(lab, run, copy, code=1)
    assert circumstances.recorded_environment(copy) == {}


def test_a_training_that_fails_now_differs(lab: Lab, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverge(*_: object) -> None:
        raise DivergedError("the loss became nan at step 3")

    monkeypatch.setattr(session, "run", diverge)
    assert "verify differs: the run finished; trained again, the loss became nan at step 3" in verified(
        lab, run, code=1
    )


def test_a_misfit_of_a_model_is_one_line(lab: Lab, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise MisfitError("model 'mlp' needs images", needs="images")

    monkeypatch.setattr(session, "run", refuse)
    assert f"cannot train {run} again: model 'mlp' needs images" in refused(lab, run)


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_verify_leaves_nothing(sent: signal.Signals, code: int, lab: Lab) -> None:
    lab.train("data=iris", "model=softmax", "trainer.epochs=150", "report=light", "run.dir=run")
    before = contents(lab.folder)
    place = lab.folder / "temporary"
    place.mkdir()
    command = [sys.executable, "-m", "dlcourse", "verify", "run"]
    process = subprocess.Popen(
        command,
        env={**os.environ, "TMPDIR": str(place)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # also in the background of a shell
    )
    while not list(place.glob("*/run/metrics.jsonl")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(sent)
    out, err = process.communicate()
    assert (process.returncode, err) == (code, "") and "bit-equal" not in out
    assert list(place.iterdir()) == []
    assert contents(lab.folder) == before
