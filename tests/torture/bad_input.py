"""U1 and U2: every bad input that was thought of gets its exit code and its line, before anything was done.

`CASES` is the table, by the numbers of its rows; `ELSEWHERE` are those with own tests. Run it: `scripts/torture U1`.
"""

import contextlib
import errno
import io
import json
import os
import pkgutil
import random
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import torch

from dlcourse.cli.main import main
from dlcourse.runs.folder import RunFolder
from tiny_data import tiny_data
from torture.outcome import Outcome

ELSEWHERE = {35, 66, 67, 68, 70, 74, 78, 79, 82}

_MOST_LINES, _MOST_SECONDS = 3, 2.0  # of computing: on a slow and busy machine the slowest case takes 1.05


class Place:
    """What a case may prepare in its empty working folder: files, copies of runs, and patches that last as long as it."""

    def __init__(self, runs: Path, during: contextlib.ExitStack) -> None:
        self._runs = runs
        self.during = during

    def run(self, kind: str) -> Path:
        """A copy of a run, in `RUN`: `done`, `killed` (with two checkpoints) or `text` (a language model)."""
        shutil.copytree(self._runs / kind, "RUN")
        return Path("RUN")

    def checkpoints(self, kind: str = "killed") -> list[Path]:
        """Those of a copy of a run, oldest first."""
        return sorted((self.run(kind) / "checkpoints").iterdir())

    def patch(self, name: str, replacement: object) -> None:
        """Put something else in place of `dlcourse.module.name`."""
        self.during.enter_context(mock.patch(name, replacement))

    def as_nobody(self) -> None:
        """Be a user to whom permissions apply."""
        if os.geteuid() == 0:
            os.seteuid(65534)
            self.during.callback(os.seteuid, 0)


@dataclass(frozen=True)
class Case:
    """A command line, or what prepares and returns one, and what it must end with: exit code and words of the line.

    `begins` is for what is found only while training: then a run folder may stay.
    """

    row: int
    command: str | Callable[[Place], str]
    message: str
    code: int = 2
    begins: bool = False

    @property
    def name(self) -> str:
        command = self.command if isinstance(self.command, str) else self.command.__name__.strip("_")
        return f"{self.row} {command[:60]}"


def _write(name: str, content: str | bytes) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def _file(name: str, content: str | bytes, command: str) -> Callable[[Place], str]:
    """The command after a file was written."""

    def prepare(place: Place) -> str:
        _write(name, content)
        return command

    prepare.__name__ = f"{command} ({content[:12]!r})"
    return prepare


def _model(content: str | bytes) -> Callable[[Place], str]:
    """An own model of that content."""
    return _file("own/model/x.yaml", content, "train --config-dir own model=x")


def _csv(content: str, options: str = "data.target=y") -> Callable[[Place], str]:
    return _file("t.csv", content, f"train data=csv data.file=t.csv {options}")


def _text(content: str | bytes) -> Callable[[Place], str]:
    return _file("t.txt", content, "train data=text model=gru data.file=t.txt")


def _idx(part: str, change: Callable[[bytes], bytes], words: str = "data.verify=false") -> Callable[[Place], str]:
    """MNIST with one of its files changed."""

    def prepare(place: Place) -> str:
        command = shlex.join(word for word in tiny_data("mnist", Path("files")) if word != "data.verify=false")
        path = Path("files/MNIST/raw") / part
        path.write_bytes(change(path.read_bytes()))
        return f"train {command} {words}"

    prepare.__name__ = f"{part} {words}"
    return prepare


def _damage(which: slice, command: str) -> Callable[[Place], str]:
    """A killed run with a byte flipped in some of its checkpoints."""

    def damaged(place: Place) -> str:
        for checkpoint in place.checkpoints()[which]:
            path = checkpoint / "model.safetensors"
            content = bytearray(path.read_bytes())
            content[-1] ^= 1
            path.unlink()  # it may have other names
            path.write_bytes(content)
        return command

    return damaged


def _with_run(kind: str, command: str) -> Callable[[Place], str]:
    def prepare(place: Place) -> str:
        place.run(kind)
        return command

    prepare.__name__ = f"{command} ({kind})"
    return prepare


def _raising(target: str, error: Exception, command: str, at: int = 4) -> Callable[[Place], str]:
    """The command where a function raises an error the fourth time that it is called, or another."""

    def raises(place: Place) -> str:
        original = pkgutil.resolve_name(target)
        calls = 0

        def replacement(*arguments: object, **options: object) -> object:
            nonlocal calls
            calls += 1
            if calls >= at:
                raise error
            return original(*arguments, **options)

        place.patch(target, replacement)
        return command

    raises.__name__ = f"{type(error).__name__} {error} in {target}"
    return raises


def _no_permission_for_configs(place: Place) -> str:
    _write("own/model/x.yaml", "name: mlp\n").chmod(0)
    place.as_nobody()
    return "train --config-dir own model=x"


def _no_permission_for_config_folder(place: Place) -> str:
    _write("own/model/x.yaml", "name: mlp\n")
    Path("own/model").chmod(0)
    place.during.callback(Path("own/model").chmod, 0o755)
    place.as_nobody()
    return "train --config-dir own model=x"


def _no_permission_to_write(place: Place) -> str:
    Path("outputs").mkdir(mode=0o555)
    place.as_nobody()
    return "train data=iris"


def _existing_run(place: Place) -> str:
    place.run("done")
    return "train run.dir=RUN"


def _loop(place: Place) -> str:
    Path("loop").symlink_to("loop")
    return "train data=csv data.file=loop data.target=y"


def _fifo(place: Place) -> str:
    os.mkfifo("pipe")
    return "train data=csv data.file=pipe data.target=y"


def _text_fifo(place: Place) -> str:
    os.mkfifo("pipe")
    return "train data=text model=gru data.file=pipe"


def _idx_fifo(place: Place) -> str:
    command = shlex.join(tiny_data("mnist", Path("files")))
    path = Path("files/MNIST/raw/train-images-idx3-ubyte")
    path.unlink()
    os.mkfifo(path)
    return f"train {command}"


def _newer_format(place: Place) -> str:
    for checkpoint in place.checkpoints():
        path = checkpoint / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    return "resume RUN"


def _older_spec(place: Place) -> str:
    (place.run("text") / "spec.json").write_text('{"name": "text"}')
    return "sample RUN"


def _in_use(place: Place) -> str:
    run = place.run("killed")
    place.during.enter_context(RunFolder(run).locked())
    return "resume RUN"


def _auto_in_use(place: Place) -> str:
    _in_use(place)
    return "train data=iris model.hidden=[4] trainer.batch_size=8 trainer.epochs=2 trainer.checkpoint.steps=5 " + (
        "run.dir=RUN resume=auto"
    )


def _pickle(place: Place) -> str:
    torch.save({"a": torch.zeros(1)}, "model.pt")
    return "resume model.pt"


def _pickle_in_run(place: Place) -> str:
    torch.save({"a": torch.zeros(1)}, place.run("text") / "weights.safetensors")
    return "sample RUN --length 3"


def _pickle_for_weights(place: Place) -> str:
    run = place.run("done")
    torch.save({"a": torch.zeros(1)}, run / "weights.safetensors")
    (run / "run.json").unlink()
    return "train data=iris model.hidden=[4] init_from=RUN"


def _weights_of_another(place: Place) -> str:
    run = place.run("text")
    shutil.copy(place._runs / "done" / "weights.safetensors", run / "weights.safetensors")
    return "sample RUN --length 3"


def _checkpoint_of_another(place: Place) -> str:
    run = place.run("killed")
    shutil.rmtree(run / "checkpoints")
    shutil.copytree(place._runs / "text" / "checkpoints", run / "checkpoints")
    return "resume RUN"


def _no_weights(place: Place) -> str:
    (place.run("text") / "weights.safetensors").unlink()
    return "sample RUN"


def _finished(place: Place) -> str:
    Path("outputs").mkdir()
    place.run("done").rename("outputs/done")
    return "resume dona"


def _sample_of_what(place: Place) -> str:
    _finished(place)
    return "sample"


def _headerless(place: Place) -> str:
    return _csv("1,2\n3,4\n", "data.target=y")(place)


_ROWS = "".join(f"{row},{row % 3},{row % 2}\n" for row in range(60))
_YAML_BOMB = "a: &a [x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdef", "bcdefg", strict=True)
)
_TRAIN = "train data=iris model.hidden=[4] trainer.epochs=2 trainer.batch_size=8"
_ENOSPC, _EDQUOT, _EIO, _EMFILE = (
    OSError(number, os.strerror(number)) for number in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE)
)

CASES = [
    Case(1, "train optimizer.lrr=0.1", "unknown option 'optimizer.lrr'; did you mean 'optimizer.lr'?"),
    Case(1, "train optim.lr=0.1", "unknown option 'optim.lr'; did you mean 'optimizer.lr'?"),
    Case(1, "train +optimizer.lrr=0.1", "unknown option 'optimizer.lrr'; did you mean 'optimizer.lr'?"),
    Case(2, "train modle=cnn", "unknown option 'modle'; did you mean 'model'?"),
    Case(3, "train model=cnm", "unknown model 'cnm'; did you mean 'cnn'?"),
    Case(3, "train data=mnits", "unknown data 'mnits'; did you mean 'mnist'?"),
    Case(4, "train +model=mlp", "model is already chosen; write model=mlp"),
    Case(5, "train trainer.epochs=abc", "trainer.epochs must be a whole number >= 1, got 'abc'"),
    Case(6, "train trainer.epochs=", "trainer.epochs must be a whole number >= 1, got no value"),
    Case(7, "train trainer.epochs", "'trainer.epochs' is not of the form option=value; write trainer.epochs=VALUE"),
    Case(7, "train lr 0.1", "'lr' is not of the form option=value; write optimizer.lr=0.1"),
    Case(7, "train trainer.epochs = 5", "'trainer.epochs' is not of the form option=value; write trainer.epochs=5"),
    Case(7, "train model cnn", "'model' is not of the form option=value; write model=cnn"),
    Case(7, "train optimizer.lr= 0.1", "'optimizer.lr= 0.1' has a space in it; write optimizer.lr=0.1"),
    Case(7, "train train", "'train' is not of the form option=value"),
    Case(5, "train model.hidden=64", "a list of whole numbers >= 1, got 64; write model.hidden=[64]"),
    Case(8, "train 'model.hidden=[1,2'", "cannot read 'model.hidden=[1,2': '[' is not closed by ']'"),
    Case(9, "train trainer.epochs=1,2", "'trainer.epochs=1,2' has several values; add -m"),
    Case(10, "train trainer.epochs=b=c", "trainer.epochs must be a whole number >= 1, got 'b=c'"),
    Case(11, "train optimizer.lr=-1", "optimizer.lr must be a number > 0, got -1"),
    Case(11, "train optimizer.lr=0", "optimizer.lr must be a number > 0, got 0"),
    Case(11, "train optimizer.lr=nan", "optimizer.lr must be a number > 0, got nan"),
    Case(11, "train optimizer.lr=1e400", "optimizer.lr must be a number > 0, got inf"),
    Case(11, "train model.dropout=1", "model.dropout must be a number in [0, 1), got 1"),
    Case(12, "train optimizer.lr=1e-3x", "optimizer.lr must be a number > 0, got '1e-3x'"),
    Case(12, "train optimizer.lr=0x10", "optimizer.lr must be a number > 0, got '0x10'"),
    Case(13, "train trainer.epochs=0", "trainer.epochs must be a whole number >= 1, got 0"),
    Case(13, "train trainer.epochs=-5", "trainer.epochs must be a whole number >= 1, got -5"),
    Case(
        13,
        "train trainer.epochs=1e3",
        "trainer.epochs must be a whole number >= 1, got 1000.0; write trainer.epochs=1000",
    ),
    Case(13, "train trainer.epochs=1.5", "trainer.epochs must be a whole number >= 1, got 1.5"),
    Case(13, "train trainer.epochs=" + "9" * 401, "trainer.epochs must be a whole number >= 1, got 9"),
    Case(14, "train seed=9999999999999999999999", "seed must be a whole number in [0, 4294967295]"),
    Case(14, "train seed=-1", "seed must be a whole number in [0, 4294967295], got -1"),
    Case(15, "train trainer.batch_size=0", "trainer.batch_size must be a whole number >= 1 or full, got 0"),
    Case(
        15,
        "train trainer.accumulate=99999",
        "trainer.accumulate=99999 is more than the 2050 batches of this training; write trainer.accumulate=2050 or less",
    ),
    Case(16, "train seed=1 seed=2", "'seed' is given twice: seed=1 and seed=2"),
    Case(17, "train ~optimizer", "'optimizer' cannot be removed"),
    Case(18, "train 'data.subset=${nope}'", "'${nope}' refers to nothing"),
    Case(18, "train data=mnist 'data.root=${oc.env:HOME}'", "oc.env"),
    Case(19, "train data=mnist data.download=false data.root=~nosuchuser/x", "data.root=~nosuchuser/x: no such home"),
    Case(19, "train data=mnist data.download=false 'data.root=a#é=(b'", "a#é=(b"),
    Case(20, "train model=../../x", "unknown model '../../x'"),
    Case(20, "train model=/etc/passwd", "unknown model '/etc/passwd'"),
    Case(21, "train hydra.run.dir=/proc/x", "'hydra.run.dir' cannot be set; write run.dir=FOLDER"),
    Case(22, _file("taken", "", "train run.dir=taken"), "run.dir=taken exists already"),
    Case(23, _existing_run, "run.dir=RUN exists already"),
    Case(24, "train --epochs 5", "unknown flag '--epochs'; write trainer.epochs=5"),
    Case(25, "train --config-dir /nonexist", "--config-dir '/nonexist' does not exist"),
    Case(26, _no_permission_for_configs, "cannot read own/model/x.yaml: Permission denied"),
    Case(26, _no_permission_for_config_folder, "cannot read config folder 'own/model': Permission denied"),
    Case(27, _model("name: mlp\nhidden: [1,\n"), "own/model/x.yaml line 3: "),
    Case(27, _model("name: mlp\n\thidden: [1]\n"), "own/model/x.yaml line 2: "),
    Case(28, _model(b"# \xff\nname: mlp\n"), "own/model/x.yaml is not UTF-8 (byte 2)"),
    Case(29, _model(""), "own/model/x.yaml is empty; expected lines of the form 'option: value'"),
    Case(29, _model("- name\n"), "own/model/x.yaml holds a list; expected lines of the form 'option: value'"),
    Case(30, _model("defaults:\n  - x\nname: mlp\n"), "include each other without end"),
    Case(31, _model(_YAML_BOMB), "own/model/x.yaml line 1: anchors (& and *) are not allowed here"),
    Case(31, _model("a: " + "[" * 3000 + "]" * 3000), "own/model/x.yaml line 1: too deeply nested"),
    Case(31, _model("# " + "x" * 70_000), "own/model/x.yaml is too large for a config file; the limit is 64 KiB"),
    Case(32, _model("a: !!python/object/apply:os.system [true]\n"), "own/model/x.yaml line 1: "),
    Case(32, _model("name: mlp\n_target_: os.system\n"), "_target_"),
    Case(33, "train --cfg job -m", "--multirun and --cfg do not go together"),
    Case(33, "train --resolve", "--resolve needs --cfg"),
    Case(34, "trian", "unknown command 'trian'; did you mean 'train'?"),
    Case(34, "model=cnn", "unknown command 'model=cnn'; write dlcourse train model=cnn"),
    Case(34, "list modles", "no group or entry 'modles'; did you mean 'models'?"),
    Case(34, "list lr", "'lr' is an option of optimizer; write dlcourse list optimizer=adam"),
    Case(34, "list trainer.epochs", "'trainer.epochs' is an option of trainer; write dlcourse list trainer=default"),
    Case(34, "list epochs", "'epochs' is an option of trainer; write dlcourse list trainer=default"),
    Case(34, "list hidden_size", "'model.hidden' is an option of model; write dlcourse list model=mlp"),
    Case(34, "list policy", "'policy' is an option of data; write dlcourse list data=images"),
    Case(34, "list network", "no group or entry 'network'; "),
    Case(34, "list seed", "'seed' is an option of every run; write dlcourse train --cfg job"),
    Case(34, "count gpt-2x", "'gpt-2x'"),
    Case(36, "train -m 'seed=range(5,1)'", "the sweep is empty: 'seed=range(5,1)' gives no value"),
    Case(36, "train -m 'seed=choice()'", "seed"),
    Case(37, "train -m 'optimizer.lr=interval(0,1)'", "'optimizer.lr=interval(0,1)' is a range without steps"),
    Case(38, "train -m 'seed=range(0,100000)' 'trainer.epochs=range(1,10000)'", "more than 10000 runs"),
    Case(39, "train -m model=cnn,cnm", "unknown model 'cnm'; did you mean 'cnn'?"),
    Case(40, "train device=tpu", "unknown device 'tpu'; TPUs are not supported; device=auto"),
    Case(40, "train device=cuda", "device=cuda: no CUDA device here; there are: cpu; write device=auto"),
    Case(40, "train device=mps", "device=mps: no Apple GPU here; there are: cpu; write device=auto"),
    Case(
        41,
        _file("t.txt", "ab\n" * 2000, "train data=text model=cnn data.file=t.txt"),
        "and data 'text' has examples of shape (64,); write model=transformer",
    ),
    Case(41, "train model=cnn data=iris", "model 'cnn' needs images"),
    Case(42, "train task=regression", "data 'digits' has classes for targets; write task=classification"),
    Case(42, "train data=line task=classification", "data 'line' has numbers for targets; write task=regression"),
    Case(
        42,
        "train model=linreg",
        "model 'linreg' predicts numbers, and data 'digits' has 10 classes; write model=softmax",
    ),
    Case(43, "train model=cnn model.channels=[8,8,8,8]", "model 'cnn'"),
    Case(
        43,
        "train model.norm=batch trainer.batch_size=1",
        "batch norm needs two examples or more in a batch; write trainer.batch_size=2",
    ),
    Case(44, "train data=mnist data.download=false data.root=nowhere", "is not in nowhere"),
    Case(44, "train data=text model=gru data.file=nowhere.txt", "data.file=nowhere.txt does not exist"),
    Case(45, _idx("train-images-idx3-ubyte", lambda content: content[:-10]), "it holds 47030; delete it"),
    Case(46, _idx("train-images-idx3-ubyte", bytes, "data.verify=true"), "sha256 differs from the published one"),
    Case(
        47,
        _idx("train-labels-idx1-ubyte", lambda content: b"<html><body>"),
        "is not an IDX file (it starts with '<html",
    ),
    Case(
        48, _idx("train-labels-idx1-ubyte", lambda content: content[:7] + b"\x32" + content[8:58]), "60 pictures but "
    ),
    Case(
        49,
        _idx("train-labels-idx1-ubyte", lambda content: content[:8] + b"\x4d" + content[9:]),
        "label 77 at row 0 is ",
    ),
    Case(
        50,
        _idx("train-images-idx3-ubyte", lambda content: content[:4] + b"\x77\x35\x94\x00" + content[8:]),
        "is damaged: its header promises 2000000000 x 28 x 28 = ",
    ),
    Case(51, _csv("x,y\n"), "t.csv has a header but no rows below it"),
    Case(51, _csv("x,y\n1,a\n"), "every row of the target 'y' is 'a'; at least two classes are needed"),
    Case(51, _csv("x,y\n" + "1,a\n" * 60), "every row of the target 'y' is 'a'; at least two classes are needed"),
    Case(51, _csv("x,y\n1,a\n2,b\n3,a\n"), "use more data"),
    Case(51, "train data.subset=1", "leaves training or validation empty; use more data"),
    Case(51, "train data.classes=[0]", "data.classes=[0] must name at least two different classes"),
    Case(51, "train 'data.classes=[0,77]'", "data.classes: no class '77'; did you mean '7'?"),
    Case(51, _text(""), "0 different symbols"),
    Case(52, _csv(f"x,z,y\n{_ROWS}1,,0\n"), "t.csv, row 62, column 'z': the value is missing (empty)"),
    Case(53, _csv(f"x,z,y\n{_ROWS}1,Bob,0\n"), "row 62, column 'z': 'Bob' is text in a numeric column"),
    Case(53, _csv(f"x,z,y\n{_ROWS}1,0\n"), "row 62: 2 cells, but the header has 3"),
    Case(53, _headerless, "t.csv has no header: row 1 is all numbers"),
    Case(53, _csv(f"x,x,y\n{_ROWS}"), "two columns are called 'x'"),
    Case(53, _csv('x,y\n"1,234",a\n"2,345",b\n'), "'1,234' is a number with a comma; write 1234 if it separates"),
    Case(53, _file("t.csv", b"PK\3\4 xl/ \xff", "train data=csv data.file=t.csv data.target=y"), "workbook (.xlsx)"),
    Case(53, _csv("x,y\n1,a\n", "data.target=y data.encoding=utf9"), "data.encoding='utf9' is no encoding of text"),
    Case(54, _csv(f"x,z,label\n{_ROWS}", "data.target=lable"), "no column 'lable'; did you mean 'label'?"),
    Case(55, _text(b"x" * 1024 + b"\xff"), "is not UTF-8: byte 0xff at position 1,024"),
    Case(55, _text("some words, fifty characters in all, and that's it"), "is too short for data.context=64"),
    Case(56, _loop, "cannot read loop"),
    Case(56, _fifo, "data.file=pipe is not a file"),
    Case(56, _text_fifo, "data.file=pipe is not a regular file"),
    Case(56, _idx_fifo, "is not a regular file"),
    Case(56, "train data=csv data.file=/dev/zero data.target=y", "data.file=/dev/zero is not a file"),
    Case(57, "resume nowhere", "'nowhere' does not exist; expected the folder of a run, such as outputs/mnist-cnn"),
    Case(57, _with_run("done", "resume RNU"), "'RNU' does not exist; did you mean 'RUN'?"),
    Case(57, _finished, "'dona' does not exist; did you mean 'outputs/done'?"),
    Case(57, "resume", "RUN is missing; write dlcourse resume outputs/NAME/TIME"),
    Case(57, "resume trainer.epochs=3", "write dlcourse resume outputs/NAME/TIME trainer.epochs=3"),
    Case(57, "sample --count 3", "RUN is missing; write dlcourse sample outputs/NAME/TIME"),
    Case(57, _sample_of_what, "RUN is missing; write dlcourse sample outputs/done"),
    Case(57, "sample nowhere", "'nowhere' does not exist; expected the folder of a run, such as outputs/mnist-cnn"),
    Case(57, _file("empty/x", "", "resume empty"), "'empty' is not the folder of a run"),
    Case(
        57,
        _file("empty/x", "", "sample empty"),
        "'empty' has no weights.safetensors; expected the folder of a finished run",
    ),
    Case(57, "train init_from=nowhere", "init_from=nowhere does not exist"),
    Case(58, _newer_format, "checkpoints/step-00000028 has format 99 of a newer dlcourse, this one reads 1"),
    Case(58, _older_spec, "spec.json"),
    Case(59, _damage(slice(1, None), "resume RUN"), "is damaged: sha256 mismatch: model.safetensors", 0, begins=True),
    Case(60, _damage(slice(None), "resume RUN"), "no usable checkpoint in RUN/checkpoints: 2 are damaged"),
    Case(61, _with_run("done", "train data=iris model.hidden=[9] init_from=RUN"), "tensors do not fit"),
    Case(61, _weights_of_another, "cannot read weights from RUN/weights.safetensors: of another run"),
    Case(61, _checkpoint_of_another, "is of another run, its 'model' differs from that in config.yaml"),
    Case(62, _pickle, "'model.pt' is not a folder"),
    Case(62, _pickle_in_run, "cannot read weights from RUN/weights.safetensors: damaged"),
    Case(62, _pickle_for_weights, "cannot read weights from RUN/weights.safetensors: damaged"),
    Case(62, _file("x.ckpt", b"\x80\x04", "train init_from=x.ckpt"), "init_from=x.ckpt is not a folder"),
    Case(63, _in_use, f"RUN is in use by process {os.getpid()} on "),
    Case(63, _auto_in_use, f"RUN is in use by process {os.getpid()} on "),
    Case(
        64,
        _with_run("killed", "resume RUN model=cnn"),
        "resume cannot change 'model', only trainer.epochs, trainer.time, trainer.patience, ",
    ),
    Case(64, _with_run("killed", "resume RUN data=wine"), "resume cannot change 'data'"),
    Case(64, _with_run("killed", "resume RUN optimizer.lr=1"), "resume cannot change 'optimizer.lr'"),
    Case(64, _with_run("killed", "resume RUN trainer.epochs=0"), "trainer.epochs must be a whole number >= 1, got 0"),
    Case(64, _with_run("done", "train data=wine run.dir=RUN resume=auto"), "run.dir=RUN holds another run: its "),
    Case(65, _with_run("done", "resume RUN"), "RUN is already complete (2 epochs)", 0),
    Case(
        65,
        _with_run("done", "resume RUN trainer.epochs=1"),
        "trainer.epochs=1: the run has done 2 epochs already; write trainer.epochs=2 or more",
    ),
    Case(69, _with_run("text", "sample RUN --temperature -1"), "--temperature must be a number in [0, 1000], got -1"),
    Case(69, _with_run("text", "sample RUN --length 3 --prompt ''"), "\n", 0, begins=True),
    Case(69, _with_run("text", "sample RUN --length 3 --temperature 0"), "\n", 0, begins=True),
    Case(69, _with_run("text", "sample RUN --prompt é"), "'é'"),
    Case(69, _with_run("text", "sample RUN --label cat"), "--label has no meaning for this run"),
    Case(69, _with_run("done", "sample RUN"), "is not generative"),
    Case(69, _no_weights, "'RUN' is not finished, it has no weights.safetensors yet; write dlcourse resume RUN"),
    Case(
        71,
        _no_permission_to_write,
        "cannot write in outputs/iris-mlp: permission denied; write run.root=FOLDER or run.dir=FOLDER",
        3,
    ),
    Case(
        71, _file("file", "", "train data=iris run.root=file/x"), "cannot write in file/x/iris-mlp: not a directory", 3
    ),
    Case(72, _raising("dlcourse.files.write_all", _ENOSPC, _TRAIN), "no space left on device", 3, begins=True),
    Case(73, _raising("dlcourse.files.write_all", _EDQUOT, _TRAIN), "quota exceeded", 3, begins=True),
    Case(73, _raising("dlcourse.files.write_all", _EIO, _TRAIN), "input/output error", 3, begins=True),
    Case(73, _raising("dlcourse.files.write_all", _EMFILE, _TRAIN), "too many open files", 3, begins=True),
    Case(75, "train 'model.hidden=[1000000000000000000000000000000]'", "cannot take data 'digits'"),
    Case(
        75,
        "train data.resize=1000000",
        "out of memory while building data 'digits': 1,294,000,000,000,000 bytes asked for; ",
        3,
    ),
    Case(75, "train 'model.hidden=[100000000000000]'", "out of memory while building model 'mlp': ", 3),
    Case(
        75,
        _raising("sklearn.datasets.load_iris", MemoryError(), _TRAIN, at=1),
        "out of memory while building data 'iris': MemoryError; close other programs, or use less data",
        3,
    ),
    Case(
        75,
        _raising("dlcourse.cli.train.load_session", ImportError("libx.so: failed to map segment"), _TRAIN, at=1),
        "out of memory (libx.so: failed to map segment); close other programs, or raise the limit",
        3,
    ),
    Case(
        75,
        _raising("torch.autograd.backward", RuntimeError("can't start new thread"), _TRAIN),
        "out of memory with 8 examples in",
        3,
        begins=True,
    ),
    Case(
        75,
        _raising("torch.autograd.backward", MemoryError(), _TRAIN),
        "out of memory with 8 examples in",
        3,
        begins=True,
    ),
    Case(
        75,
        _raising("torch.autograd.backward", RuntimeError("CUDA out of memory. Tried to\nallocate"), _TRAIN),
        "out of memory with 8 examples in a batch; use a smaller trainer.batch_size in a new run; ",
        3,
        begins=True,
    ),
    Case(76, "train data=line model=linreg optimizer=sgd optimizer.lr=1e12", "the loss became ", 1, begins=True),
    Case(
        77,
        _raising("torch.autograd.backward", RuntimeError("DataLoader worker (pid 7) is killed by signal: K"), _TRAIN),
        "a process that reads images was killed, probably out of memory; write data.workers=0 to read without it",
        3,
        begins=True,
    ),
    Case(80, "train data=iris run.dir=" + "x" * 256, "ile name too long", 3),
    Case(81, "train 'data.root=a\nb'", "the value of 'data.root' holds a control character"),
    Case(81, "train 'data.root=a\0b'", "the value of 'data.root' holds a control character"),
    Case(81, "train seed=" + "9" * 5000, "the value of 'seed' is too long: 5005 characters, the limit is 4096"),
    Case(81, "train seed=😀", "seed must be a whole number in [0, 4294967295], got '😀'"),
    Case(81, "train 😀=1", "'😀' cannot be the name of an option"),
]


def make_runs(folder: Path) -> Path:
    """The runs that cases copy, trained in this folder, which must be empty."""
    (folder / "words.txt").write_text("to be or not to be, that is the question\n" * 60)
    tiny = "trainer.batch_size=8 trainer.epochs=2 trainer.checkpoint.steps=5"
    text = "data.windows=20 data.context=8 model.hidden=8"
    with _working_in(folder):
        for command in (
            f"train data=iris model.hidden=[4] {tiny} run.dir=done",
            f"train data=text data.file=words.txt model=gru {text} {tiny} run.dir=text",
        ):
            code, _, err = _run(shlex.split(command))
            assert code == 0, err
    shutil.copytree(folder / "done", folder / "killed")
    killed = json.loads((folder / "killed" / "run.json").read_text()) | {"status": "running"}
    del killed["weights"]  # they may change until the run is done
    (folder / "killed" / "run.json").write_text(json.dumps(killed))
    return folder


def problem(case: Case, runs: Path, folder: Path) -> str:
    """What is wrong with how the case ends, in `folder`, which is new; empty where all is well."""
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    with _working_in(folder), contextlib.ExitStack() as during:
        command = case.command if isinstance(case.command, str) else case.command(Place(runs, during))
        before = _listing()
        started = time.process_time()
        code, out, err = _run(shlex.split(command))
        seconds = time.process_time() - started
        during.close()
        left = _listing() - before
    lines = err.splitlines()
    said = out if code == 0 else err
    rows = [line for line in out.splitlines() if line[:5].strip().isdigit()]
    wrong = [
        (code != case.code, f"exit code {code}, expected {case.code}"),
        ("Traceback" in out + err, "a traceback"),
        (len(lines) > _MOST_LINES, f"{len(lines)} lines"),
        (code != 0 and not err.startswith("dlcourse: error: "), "no 'dlcourse: error: '"),
        (case.message not in said, f"not said: {case.message!r}"),
        (not case.begins and bool(left), f"left behind: {sorted(left)}"),
        (not case.begins and bool(rows), "an epoch was trained"),
        (not case.begins and seconds > _MOST_SECONDS, f"{seconds:.1f} s of computing"),
    ]
    found = [text for holds, text in wrong if holds]
    return f"row {case.name}: {', '.join(found)}: {err.strip() or out.strip()}" if found else ""


def run(count: int, seed: int, folder: Path) -> Outcome:
    """So many of the cases, chosen at random; all of them where there are no more."""
    outcome = Outcome("U1", f"bad inputs: code, line, nothing done (seed {seed})")
    started = time.monotonic()
    runs = folder / "runs"
    runs.mkdir(parents=True)
    make_runs(runs)
    chosen = sorted(random.Random(seed).sample(range(len(CASES)), min(count, len(CASES))))
    for index in chosen:
        found = problem(CASES[index], runs, folder / f"case-{index}")
        outcome.count(not found, found)
    outcome.controls = [
        _control(
            "options not checked", "dlcourse.config.options.Range.__contains__", lambda self, value: True, runs, folder
        )
    ]
    outcome.seconds = time.monotonic() - started
    return outcome


def _control(name: str, target: str, defect: object, runs: Path, folder: Path) -> tuple[str, int, int]:
    """How many cases of rows 13 and 14 that give zero or less pass with a defect, of how many."""
    cases = [case for case in CASES if case.row in (13, 14) and ("=0" in case.name or "=-" in case.name)]
    with mock.patch(target, defect):
        good = [not problem(case, runs, folder / f"{target}-{index}") for index, case in enumerate(cases)]
    return name, sum(good), len(good)


@contextlib.contextmanager
def _working_in(folder: Path) -> Iterator[None]:
    with contextlib.chdir(folder):
        yield


def _run(words: Sequence[str]) -> tuple[int, str, str]:
    """Exit code and output of the command, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(words))
    return code, out.getvalue(), err.getvalue()


def _listing() -> set[str]:
    """Everything in the working folder, but for own config files, and the lock that each look at a run takes."""
    return {str(path) for path in Path().rglob("*") if path.name != ".lock" and path.parts[0] != "own"}
