"""Saving with a fault at the n-th file call, for every n: whatever happens, the newest usable checkpoint is the right one.

The method is SQLite's (sqlite.org/testing.html): not random moments, but all of them, one after the other. A process that
ends does so by `os._exit` in a forked child, so that no handler of the code under test runs and the system closes its files.
"""

import contextlib
import errno
import functools
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import nn

from dlcourse.config.run_config import CheckpointConfig
from dlcourse.files import FilePrefix, create_file, sync_folder
from dlcourse.runs import checkpoints as checkpoint_module
from dlcourse.runs.checkpoints import MANIFEST, Checkpoint, Checkpoints
from dlcourse.runs.find import checkpoints_of
from dlcourse.runs.folder import WEIGHTS, RunFolder
from dlcourse.runs.metrics_log import METRICS, MetricsLog
from dlcourse.runs.saver import Saver
from dlcourse.runs.weights import read_tensors, save_weights
from torture.outcome import Outcome
from torture.warm import in_child, wait

CALLS = ("open", "write", "fsync", "mkdir", "rename", "replace", "link", "unlink", "rmdir", "ftruncate", "close")
MODES = ("exit", "short write, exit", "ENOSPC", "EIO", "full from then on")
KEEP = 2

_DIED, _RETURNED = 100, 110
"""Exit codes, to which the step is added that the child was told to be safe."""


class Training:
    """A small network that trains and is saved as a run does it; the same steps give the same bytes."""

    def __init__(self, folder: Path, keep: int = KEEP, kind: Callable[..., Checkpoints] | None = None) -> None:
        run = RunFolder(folder)
        self.checkpoints = checkpoints_of(run, keep)
        if kind is not None:
            self.checkpoints = kind(self.checkpoints.folder, keep)
        self.weights = run / WEIGHTS
        found, _ = self.checkpoints.newest()
        self.log = MetricsLog(run / METRICS, found.log if found else None)
        about = {"config": {"seed": 0}}
        self._saver = Saver(self.checkpoints, CheckpointConfig(), self.log, self.weights, about)  # type: ignore[arg-type]

    def step(self, step: int, tell: Callable[[str, int], None] = lambda what, step: None) -> None:
        """Log, keep new weights, log, and save: what an epoch's end does to the disk. `tell` hears what is safe."""
        model, state = trained(step)
        self.log.append({"step": step, "train/loss": 1 / step})
        save_weights(model.state_dict(), self.weights)
        tell("kept", step)
        self.log.append({"step": step, "val/loss": 2 / step})
        self._saver.save(step, model, state)
        tell("saved", step)


@functools.cache
def trained(step: int) -> tuple[nn.Module, dict[str, Any]]:
    """The network after so many steps of Adam, and the state of its training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
        optimizer = torch.optim.Adam(model.parameters())
        for _ in range(step):
            optimizer.zero_grad()
            model(torch.randn(8, 3)).square().mean().backward()
            optimizer.step()
        return model, {"optimizer": optimizer.state_dict(), "random": torch.get_rng_state(), "step": step}


class Faulty:
    """`os` with a fault at call number `at`, counted over all of CALLS. `die` ends the process."""

    def __init__(self, mode: str = "", at: int = 0, die: Callable[[], NoReturn] = sys.exit) -> None:
        self.count, self._mode, self._at, self._die = 0, mode, at, die
        self._is_full = False
        self._real = {name: getattr(os, name) for name in CALLS}
        self._open: set[int] = set()

    def __enter__(self) -> "Faulty":
        for name in CALLS:
            setattr(os, name, self._wrapped(name))
        return self

    def __exit__(self, *_: object) -> None:
        for name, function in self._real.items():
            setattr(os, name, function)
        for descriptor in self._open:
            os.close(descriptor)

    def _wrapped(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.count += 1
            if self.count == self._at:
                self._strike(name, arguments)
            if self._is_full and name in ("open", "write", "mkdir", "fsync", "link"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            result = self._real[name](*arguments, **options)
            if name == "open":
                self._open.add(result)
            elif name == "close":
                self._open.discard(arguments[0])
            return result

        return call

    def _strike(self, name: str, arguments: tuple[Any, ...]) -> None:
        if self._mode == "full from then on":
            self._is_full = True
        elif self._mode in ("ENOSPC", "EIO"):
            number = getattr(errno, self._mode)
            raise OSError(number, os.strerror(number))
        else:
            if name == "write" and self._mode.startswith("short"):
                descriptor, content = arguments
                self._real["write"](descriptor, content[: len(content) // 2])
            self._die()


class Bench:
    """A run with several checkpoints, copied for each case, and what its checkpoints must hold."""

    def __init__(self, folder: Path, kind: Callable[..., Checkpoints] | None = None) -> None:
        self._folder, self._kind = folder, kind
        self.start, self._case = folder / "start", folder / "case"
        self.start.mkdir(parents=True)
        training = Training(self.start, kind=kind)
        for step in (1, 2, 3):
            training.step(step)
        training.log.close()
        shutil.copytree(self.start, folder / "whole")
        self.right = {3: read(self.start)}
        whole = Training(folder / "whole", kind=kind)
        with Faulty() as counter:
            whole.step(4)
        whole.log.close()
        self.calls = counter.count
        self.right[4] = read(folder / "whole")

    def judge(self, mode: str, at: int) -> str:
        """Save with one fault; what is wrong after it, or nothing."""
        shutil.rmtree(self._case, ignore_errors=True)
        shutil.copytree(self.start, self._case)
        if not mode.endswith("exit"):
            return self._wrong(*self._save(mode, at))
        code = wait(in_child(lambda: self._save_in_child(mode, at), self._case.with_suffix(".log")))
        if code not in range(_DIED, _RETURNED + 10):
            return f"exit code {code}: {self._case.with_suffix('.log').read_text()[-1000:]}"
        return self._wrong(code >= _RETURNED, code % 10)

    def _save(self, mode: str, at: int) -> tuple[bool, int | None]:
        """Whether saving returned, and the step that was told to be safe."""
        training = Training(self._case, kind=self._kind)
        has_returned = False
        with contextlib.suppress(OSError), Faulty(mode, at):
            training.step(4)
            has_returned = True
        training.log.close()
        return has_returned, training.checkpoints.saved_step

    def _save_in_child(self, mode: str, at: int) -> int:
        """The same, as an exit code: of one that dies, or of one that does not."""
        training = Training(self._case, kind=self._kind)
        with Faulty(mode, at, lambda: os._exit(_DIED + (training.checkpoints.saved_step or 0))):
            training.step(4)
        return _RETURNED + (training.checkpoints.saved_step or 0)

    def _wrong(self, has_returned: bool, told: int | None) -> str:
        step, found = self._look()
        if found is None:
            return "no usable checkpoint"
        if step not in ((4,) if has_returned else (3, 4)) or (told or 0) > step:
            return f"step {step} found, {told} told, {'returned' if has_returned else 'not returned'}"
        if found != self.right[step]:
            return f"step {step} holds something else"
        kept = {name: tensor.tolist() for name, tensor in read_tensors(self._case / WEIGHTS).items()}
        versions = [trained(step)[0].state_dict() for step in ((4,) if has_returned else (3, 4))]
        if kept not in [{name: tensor.tolist() for name, tensor in version.items()} for version in versions]:
            return "the kept weights are others"
        return self._goes_on(step)

    def _goes_on(self, step: int) -> str:
        """What is wrong with the next save after the fault."""
        training = Training(self._case, kind=self._kind)
        training.step(step + 1)
        training.log.close()
        names = sorted(path.name for path in training.checkpoints.folder.iterdir())
        if names != [f"step-{step:08d}", f"step-{step + 1:08d}"]:
            return f"after the next save there are {names}"
        if step == 3 and self._look()[1] != self.right[4]:
            return "the next save holds something else"
        return ""

    def _look(self) -> tuple[int, Any]:
        found, _ = checkpoints_of(RunFolder(self._case)).newest()
        return (found.step, contents(found)) if found else (0, None)


def contents(checkpoint: Checkpoint) -> tuple[dict[str, bytes], FilePrefix, bool]:
    """All that a checkpoint vouches for, and whether the log holds its part of it: no fault of the system may take that."""
    log = (checkpoint.path.parents[1] / METRICS).read_bytes()[: checkpoint.log.size]
    return dict(checkpoint.contents), checkpoint.log, FilePrefix.of(log) == checkpoint.log


def read(folder: Path) -> tuple[dict[str, bytes], FilePrefix, bool]:
    found, _ = checkpoints_of(RunFolder(folder)).newest()
    assert found is not None
    return contents(found)


class OldOnesFirst(Checkpoints):
    """A defect: makes room before the new checkpoint is there."""

    def save(self, *arguments: Any) -> int:
        for place in self._places():
            shutil.rmtree(place)
        return super().save(*arguments)


class InPlace(Checkpoints):
    """A defect: writes under the final name, the manifest first."""

    def save(self, step: int, contents: Any, log: FilePrefix, links: Any) -> int:
        self.folder.mkdir(exist_ok=True)
        path = self._free_place(step)
        path.mkdir()
        contents = {**contents, **{name: original.read_bytes() for name, original in links.items()}}
        prefixes = {name: FilePrefix.of(content) for name, content in contents.items()}
        create_file(path / MANIFEST, checkpoint_module._manifest(step, prefixes, log))
        for name, content in contents.items():
            create_file(path / name, content)
        sync_folder(self.folder)
        self.saved_step = step
        self._prune()
        return 0


@contextlib.contextmanager
def unchecked() -> Iterator[None]:
    """A defect: believes what lies in the files, and takes a missing one for empty."""
    real = checkpoint_module._read_prefix

    def believe(path: Path, prefix: FilePrefix) -> bytes:
        return (path.read_bytes() if path.exists() else b"")[: prefix.size]

    checkpoint_module._read_prefix = believe
    try:
        yield
    finally:
        checkpoint_module._read_prefix = real


@contextlib.contextmanager
def quick() -> Iterator[None]:
    """No waiting for the disk: what has reached it is for the model of power cuts to say."""
    real, os.fsync = os.fsync, lambda descriptor: None
    try:
        yield
    finally:
        os.fsync = real


def run(count: int, seed: int, folder: Path) -> Outcome:
    """Every call in every mode; there is nothing to count or to draw."""
    started = time.monotonic()
    with quick():
        outcome = _exhaust(folder)
    outcome.seconds = time.monotonic() - started
    return outcome


def _exhaust(folder: Path) -> Outcome:
    bench = Bench(folder / "sound")
    outcome = Outcome("R3", f"a fault at each of {bench.calls} file calls, {len(MODES)} kinds", may_pass=True)
    for mode in MODES:
        for at in range(1, bench.calls + 1):
            wrong = bench.judge(mode, at)
            outcome.count(not wrong, f"{mode} at call {at}: {wrong}")
    outcome.controls.append(("old ones removed first", *_passes(Bench(folder / "first", OldOnesFirst))))
    with unchecked():
        outcome.controls.append(("written in place, unchecked", *_passes(Bench(folder / "place", InPlace))))
    return outcome


def _passes(bench: Bench) -> tuple[int, int]:
    """At how many of every other call a defect does no harm, apart from how many checkpoints it leaves."""
    good = [_is_harmless(bench, at) for at in range(1, bench.calls + 1, 2)]
    return sum(good), len(good)


def _is_harmless(bench: Bench, at: int) -> bool:
    wrong = bench.judge("exit", at)
    return not wrong or wrong.startswith("after the next save there are")
