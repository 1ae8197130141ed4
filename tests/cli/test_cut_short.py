"""Runs that end before their time: divergence, patience, a closed pipe, Ctrl-C."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dlcourse.cli import train
from lab import Lab, report


def test_a_diverging_loss_ends_the_run_and_says_why(lab: Lab) -> None:
    run = lab.train("data=line", "model=linreg", "optimizer=sgd", "optimizer.lr=1e12", code=1)
    assert lab.err.startswith("dlcourse: error: the loss became ")
    assert "at step" in lab.err
    assert "write optimizer.lr=" in lab.err
    status = json.loads((run / "run.json").read_text())
    assert status["status"] == "failed"
    assert "the loss became" in status["reason"]


def test_patience_says_why_it_stopped(lab: Lab) -> None:
    run = lab.train("data=iris", "optimizer.lr=1e-30", "trainer.patience=3", "trainer.epochs=40")
    assert "stopped after epoch 4: no improvement since 1" in lab.out
    assert report(run)["epochs"] == 4


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m dlcourse train data=digits trainer.epochs=20 | head -n 1"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("dlcourse train")
    assert done.stderr == ""


@pytest.mark.slow
def test_a_reader_that_leaves_does_not_end_a_training(tmp_path: Path) -> None:
    command = f"{sys.executable} -m dlcourse train data=iris trainer.epochs=30 run.dir=run | head -n 1"
    subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "done"


def start(folder: Path, *command: str) -> "subprocess.Popen[str]":
    """A process that heeds Ctrl-C even where this one, as in the background of a shell, was told to ignore it."""
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_ctrl_c_while_torch_is_imported_is_quiet(tmp_path: Path) -> None:
    # Python reports each finished import on stderr: the first part of torch tells that the rest is under way.
    words = ["-m", "dlcourse", "train", "data=digits", "trainer.epochs=100000"]
    process = start(tmp_path, "-X", "importtime", *words)
    assert process.stderr is not None
    for line in process.stderr:
        if " torch." in line:
            process.send_signal(signal.SIGINT)
            break
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert out == ""


def test_ctrl_c_leaves_a_readable_run(tmp_path: Path) -> None:
    process = start(tmp_path, "-m", "dlcourse", "train", "data=digits", "trainer.epochs=100000")
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("    1 "):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == ""
    (run,) = (tmp_path / "outputs" / "digits-mlp").iterdir()
    resume = f"dlcourse resume {run.relative_to(tmp_path)}"
    assert out.splitlines()[-1] == f"stop   interrupted (Ctrl-C); resume with: {resume}"
    assert json.loads((run / "run.json").read_text())["status"] == "stopped"
    assert all(json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines())
    assert load_file(run / "weights.safetensors")
    assert EventAccumulator(str(run)).Reload().Scalars("val/accuracy")


@pytest.mark.parametrize(("handler", "codes"), [(signal.default_int_handler, [130]), (signal.SIG_IGN, [])])
def test_ctrl_c_while_torch_is_imported_just_ends_the_process_unless_it_is_ignored(
    handler: Any, codes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []
    monkeypatch.setattr("os._exit", ended.append)
    importing = SimpleNamespace(import_module=lambda name: signal.raise_signal(signal.SIGINT) or name)
    monkeypatch.setattr(train, "importlib", importing)
    monkeypatch.delitem(sys.modules, "dlcourse.training.session", raising=False)
    before = signal.signal(signal.SIGINT, handler)
    try:
        assert train.load_session() == "dlcourse.training.session"
        assert ended == codes and signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
