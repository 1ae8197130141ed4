"""What `dlcourse train` refuses, each in one line and with nothing left behind."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lab import Lab


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["optimizer.lr=0"], "optimizer.lr must be number > 0, got 0"),
        (["optimizer.lr=-1"], "optimizer.lr must be number > 0, got -1"),
        (["optimizer.lr=abc"], "optimizer.lr must be number > 0, got 'abc'"),
        (["optimizer.lr=nan"], "optimizer.lr must be number > 0, got nan"),
        (["model.dropout=1"], "model.dropout must be number in [0, 1), got 1"),
        (["trainer.batch_size=0"], "trainer.batch_size must be whole number >= 1 or full, got 0"),
        (["trainer.epochs=-1"], "trainer.epochs must be whole number >= 1, got -1"),
        (["trainer.epochs=1.5"], "trainer.epochs must be whole number >= 1, got 1.5"),
        (["seed=-1"], "seed must be whole number in [0, 4294967295], got -1"),
        (["trainer.accumulate=99999"], "trainer.accumulate=99999 is more than the 2050 batches of this training"),
        (["trainer.batch_size=1", "model.norm=batch"], "cannot take data 'digits'"),
        (["model.hidden=[1000000000000000000000000000000]"], "cannot take data 'digits'"),
        (["data.resize=1000000"], "data 'digits' cannot be made with these options"),
        (["run.root=~nosuchuser/x"], "run.root=~nosuchuser/x: no such home folder"),
        (["trainer.epochs=" + "9" * 401], "trainer.epochs must be whole number >= 1"),
        (["trainer.batch_size=5000"], "is larger than the training set (1,294 examples); use a smaller one, or"),
        (["data.subset=0"], "data.subset must be whole number >= 1 or null, got 0"),
        (["data.subset=1"], "leaves training or validation empty; use more data"),
        (["data.subset=99999"], "data.subset=99999 is more than the 1,438 training examples of 'digits'"),
        (["data.classes=[0]"], "data.classes=[0] must name at least two different classes"),
        (["data.classes=[0,77]"], "data.classes: no class '77'; did you mean '7'?"),
        (["data=shapes", "data.classes=[star,circel]"], "no class 'circel'; did you mean 'circle'?"),
        (["data.val_fraction=1"], "data.val_fraction must be number in (0, 1), got 1"),
        (["device=cuda"], "device=cuda: no CUDA device here; there are: cpu; use device=auto"),
        (["device=mps"], "device=mps: no Apple GPU here; there are: cpu; use device=auto"),
        (["task=regression"], "data 'digits' has classes for targets; use task=classification"),
        (["data=line", "task=classification"], "data 'line' has numbers for targets; use task=regression"),
        (["model=cnn", "data=iris"], "model 'cnn' needs images"),
        (["model=linreg"], "model 'linreg' predicts numbers, and data 'digits' has 10 classes; use model=softmax"),
        (["features=standard"], "use features=none"),
        (["data=mnist", "data.download=false", "data.root=nowhere"], "data.root="),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(lab: Lab, words: list[str], message: str) -> None:
    if "device=cuda" in words and torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    if "device=mps" in words and torch.backends.mps.is_available():
        pytest.skip("this machine has an Apple GPU")
    lab.train(*words, code=2)
    assert lab.err.startswith("dlcourse: error: ")
    assert lab.err.count("\n") == 1
    assert message in lab.err
    assert list(lab.folder.iterdir()) == []


def test_an_output_folder_that_cannot_be_made_is_one_line(lab: Lab) -> None:
    (lab.folder / "file").write_text("not a folder")
    lab.train("run.root=file/outputs", code=2)
    assert "cannot write in file/outputs" in lab.err
    assert lab.err.count("\n") == 1
    lab.train("run.dir=file", code=2)
    assert "run.dir=file exists already" in lab.err
    assert (lab.folder / "file").read_text() == "not a folder"


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], check=False).returncode != 0:
        pytest.skip("this machine lets no one mount a small file system")
    script = (
        f"mount -t tmpfs -o size=16k none {tmp_path} && "
        f"{sys.executable} -m dlcourse train data=digits trainer.epochs=1 run.root={tmp_path}/outputs"
    )
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if "warning" not in line]
    assert len(errors) == 1
    assert errors[0].startswith("dlcourse: error: cannot write in ")
    assert "no space left on device" in errors[0]
