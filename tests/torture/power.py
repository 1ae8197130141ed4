"""Power cuts: every state in which a disk may be left between two file calls, and what a run finds in it.

The model: data that was written is sure to be on the disk with `fsync` of the file, a name that was made, changed or removed
with `fsync` of its folder. Until then a folder holds any prefix of its changes, which reach the disk in their order, without
waiting for other folders; a change in the middle is never there without those before it. All data that is not synced shares
one fate in a state: none of it is there, the first half of each file's, all, or zeros in its place. So it is less than POSIX
allows, where each page of each file, and each change of a folder, may be there or not by itself.
"""

import dataclasses
import itertools
import math
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

from dlcourse.config.run_config import FolderConfig
from dlcourse.errors import DataError
from dlcourse.runs.find import checkpoints_of
from dlcourse.runs.folder import CONFIG, SPEC, WEIGHTS, RunFolder
from dlcourse.runs.reopen import read_checked
from dlcourse.runs.resume import read_status
from dlcourse.runs.weights import read_tensors
from torture.faults import CALLS, Training, contents, quick, trained
from torture.outcome import Outcome

_NAME = "moons-mlp"
_FATES = ("none", "half", "zeros", "all")
_LAST = 5

Tree = dict[str, Union[bytes, "Tree"]]
Entries = dict[str, Union["File", "Folder"]]


@dataclass(eq=False)
class File:
    """What was written, and what of it is known to be on the disk."""

    content: bytes = b""
    durable: bytes = b""

    def sync(self) -> None:
        self.durable = self.content

    def after(self, fate: str) -> bytes:
        """What a power cut leaves."""
        if self.content == self.durable or fate == "all":
            return self.content
        if fate == "none":
            return self.durable
        pairs = enumerate(zip(self.content, self.durable, strict=False))
        same = next((place for place, (now, then) in pairs if now != then), min(len(self.content), len(self.durable)))
        rest = len(self.content) - same
        if fate == "half":
            return self.content[: same + rest // 2]
        return self.content[:same] + bytes(rest)


Change = Callable[[Entries], None]


@dataclass(eq=False)
class Folder:
    """Its entries, those known to be on the disk, and the changes in between."""

    entries: Entries = field(default_factory=dict)
    durable: Entries = field(default_factory=dict)
    pending: list[Change] = field(default_factory=list)

    def change(self, change: Change) -> None:
        change(self.entries)
        self.pending.append(change)

    def sync(self) -> None:
        self.durable, self.pending = dict(self.entries), []

    def after(self, changes: int) -> Entries:
        """The entries when so many of the pending changes have reached the disk."""
        entries = dict(self.durable)
        for change in self.pending[:changes]:
            change(entries)
        return entries


@dataclass(frozen=True)
class Promise:
    """What had been reported: the step that is safe, the step whose weights are kept, that the run is done."""

    saved: int = 0
    kept: int = 0
    done: bool = False


class Disk:
    """Records what `os` does below a folder, and keeps the states that a power cut would leave after each call."""

    def __init__(self, root: Path, rng: random.Random, most: int, *, syncs: bool = True) -> None:
        self._root, self._rng, self._most, self._syncs = root, rng, most, syncs
        self._top = Folder()
        self._opened: dict[int, File | Folder] = {}
        self._real = {name: getattr(os, name) for name in CALLS}
        self._promise = Promise()
        self.states: dict[tuple[Any, Promise], Tree] = {}
        self.moments = self.drawn = 0

    def __enter__(self) -> "Disk":
        for name in CALLS:
            setattr(os, name, self._wrapped(name))
        return self

    def __exit__(self, *_: object) -> None:
        for name, function in self._real.items():
            setattr(os, name, function)

    def promise(self, what: str, value: int) -> None:
        """Something was reported, and must hold from now on, whatever happens."""
        self._promise = dataclasses.replace(self._promise, **{what: value})
        self._keep_states()

    def _wrapped(self, name: str) -> Callable[..., Any]:
        record = {"rename": self._rename, "replace": self._rename, "unlink": self._remove, "rmdir": self._remove}.get(
            name, getattr(self, f"_{name}", None)
        )
        assert record is not None

        def call(*arguments: Any, **options: Any) -> Any:
            result = self._real[name](*arguments, **options)
            record(result, *arguments, **options)
            if name != "close":
                self._keep_states()
            return result

        return call

    def _place(self, path: Any, dir_fd: int | None = None) -> tuple[Folder, str]:
        """The folder and the name that a path of this disk means; the disk itself has none."""
        if dir_fd is not None:
            folder, names = self._opened[dir_fd], [os.fspath(path)]
        else:
            folder, names = self._top, list(Path(path).relative_to(self._root).parts)
        assert isinstance(folder, Folder)
        for name in names[:-1]:
            inner = folder.entries[name]
            assert isinstance(inner, Folder)
            folder = inner
        return folder, names[-1] if names else ""

    def _open(self, descriptor: int, path: Any, flags: int, mode: int = 0, *, dir_fd: int | None = None) -> None:
        folder, name = self._place(path, dir_fd)
        if name and name not in folder.entries:
            new = File()
            folder.change(lambda entries: entries.update({name: new}))
        self._opened[descriptor] = folder.entries[name] if name else folder

    def _close(self, _: None, descriptor: int) -> None:
        del self._opened[descriptor]

    def _write(self, size: int, descriptor: int, content: bytes) -> None:
        file = self._opened[descriptor]
        assert isinstance(file, File)
        file.content += bytes(content[:size])

    def _ftruncate(self, _: None, descriptor: int, size: int) -> None:
        file = self._opened[descriptor]
        assert isinstance(file, File)
        file.content = file.content[:size]

    def _fsync(self, _: None, descriptor: int) -> None:
        if self._syncs:
            self._opened[descriptor].sync()

    def _mkdir(self, _: None, path: Any, mode: int = 0) -> None:
        folder, name = self._place(path)
        new = Folder()
        folder.change(lambda entries: entries.update({name: new}))

    def _rename(self, _: None, source: Any, target: Any) -> None:
        (folder, old), (other, new) = self._place(source), self._place(target)
        assert folder is other
        moved = folder.entries[old]

        def change(entries: Entries) -> None:
            entries.pop(old)
            entries[new] = moved

        folder.change(change)

    def _link(self, _: None, source: Any, target: Any) -> None:
        (folder, old), (other, new) = self._place(source), self._place(target)
        linked = folder.entries[old]
        other.change(lambda entries: entries.update({new: linked}))

    def _remove(self, _: None, path: Any, *, dir_fd: int | None = None) -> None:
        folder, name = self._place(path, dir_fd)
        folder.change(lambda entries: entries.pop(name) and None)

    def _keep_states(self) -> None:
        changing = [folder for folder in _reachable(self._top) if folder.pending]
        for choice in self._choices([range(len(folder.pending) + 1) for folder in changing]):
            *changes, fate = choice
            tree = _tree(self._top, dict(zip(changing, changes, strict=True)), fate)
            self.states[_key(tree), self._promise] = tree

    def _choices(self, ranges: list[range]) -> Iterator[tuple[Any, ...]]:
        """How many changes of each folder, and the fate of data: all possibilities, or the two ends and a draw."""
        self.moments += 1
        if math.prod(map(len, ranges)) * len(_FATES) <= self._most:
            yield from itertools.product(*ranges, _FATES)
            return
        self.drawn += 1
        yield (*(0 for _ in ranges), "none")
        yield (*(choices[-1] for choices in ranges), "none")
        for _ in range(self._most - 2):
            yield (*map(self._rng.choice, ranges), self._rng.choice(_FATES))


def _reachable(top: Folder) -> list[Folder]:
    """The folders that some state shows."""
    found = [top]
    for folder in found:
        for changes in range(len(folder.pending) + 1):
            inner = folder.after(changes).values()
            found.extend(node for node in inner if isinstance(node, Folder) and node not in found)
    return found


def _tree(folder: Folder, changes: dict[Folder, int], fate: str) -> Tree:
    return {
        name: node.after(fate) if isinstance(node, File) else _tree(node, changes, fate)
        for name, node in folder.after(changes.get(folder, 0)).items()
    }


def _key(tree: Tree) -> Any:
    return frozenset((name, _key(node) if isinstance(node, dict) else node) for name, node in tree.items())


def _put(tree: Tree, folder: Path) -> None:
    folder.mkdir()
    for name, node in tree.items():
        if isinstance(node, dict):
            _put(node, folder / name)
        else:
            (folder / name).write_bytes(node)


def record(root: Path, keep: int, rng: random.Random, most: int, *, syncs: bool = True) -> Disk:
    """A run that starts, saves thrice, is killed and goes on, saves twice more and ends; on a disk of its own."""
    root.mkdir(parents=True)
    with quick(), Disk(root, rng, most, syncs=syncs) as disk:
        folder = RunFolder.create(FolderConfig(root=str(root)), _NAME)
        folder.write_text(CONFIG, "seed: 0\n")
        folder.write_text(SPEC, "{}\n")
        folder.write_status("running")
        for steps in ((1, 2, 3), (4, _LAST)):
            training = Training(folder.path, keep)
            for step in steps:
                training.step(step, disk.promise)
            training.log.append({"step": step + 1, "train/loss": 0.25})
            training.log.close()
        folder.write_status("done")
        disk.promise("done", True)
    return disk


@dataclass(frozen=True)
class Judge:
    """Knows what each step of the recorded run holds."""

    right: dict[int, Any]
    kept: dict[int, Any]

    @classmethod
    def of(cls, folder: Path, keep: int) -> "Judge":
        """From the same run without a power cut."""
        folder.mkdir(parents=True)
        right = {}
        for step in range(1, _LAST + 1):
            training = Training(folder, keep)
            training.step(step)
            training.log.close()
            found, _ = training.checkpoints.newest()
            assert found is not None
            right[step] = contents(found)
        return cls(right, {step: _numbers(trained(step)[0].state_dict()) for step in right})

    def wrong(self, root: Path, promise: Promise) -> str:
        """What is wrong in a state, or nothing."""
        runs = list((root / _NAME).glob("*")) if (root / _NAME).is_dir() else []
        if not runs:
            return "the run is gone" if promise != Promise() else ""
        run = RunFolder(runs[0])
        return (
            self._wrong_checkpoint(run, promise) or self._wrong_weights(run, promise) or self._wrong_files(run, promise)
        )

    def _wrong_checkpoint(self, run: RunFolder, promise: Promise) -> str:
        found, _ = checkpoints_of(run).newest()
        if found is None:
            return "no usable checkpoint" if promise.saved else ""
        if found.step < promise.saved:
            return f"step {found.step} found, {promise.saved} reported"
        return "" if contents(found) == self.right[found.step] else f"step {found.step} holds something else"

    def _wrong_weights(self, run: RunFolder, promise: Promise) -> str:
        if not (run / WEIGHTS).exists():
            return "the kept weights are gone" if promise.kept else ""
        try:
            found = _numbers(read_tensors(run / WEIGHTS))
        except DataError as error:
            return str(error)
        versions = [step for step, numbers in self.kept.items() if numbers == found]
        return (
            "" if versions and versions[0] >= promise.kept else f"weights of steps {versions}, {promise.kept} reported"
        )

    def _wrong_files(self, run: RunFolder, promise: Promise) -> str:
        word = read_status(run.path)
        if promise.done and word != "done":
            return f"status '{word}' of a run that was done"
        try:
            if word == "done":
                read_checked(run.path, CONFIG)
                read_checked(run.path, SPEC)
        except DataError as error:
            return str(error)
        return ""


def _numbers(tensors: Any) -> Any:
    return {name: tensor.tolist() for name, tensor in tensors.items()}


def _judge_all(disk: Disk, judge: Judge, root: Path, most: int) -> Iterator[str]:
    """What is wrong in each state, of which no more than so many are drawn."""
    states = list(disk.states.items())
    if len(states) > most:
        states = random.Random(len(states)).sample(states, most)
    for (_, promise), tree in states:
        shutil.rmtree(root, ignore_errors=True)
        _put(tree, root)
        yield judge.wrong(root, promise)


def run(count: int, seed: int, folder: Path) -> Outcome:
    """`count` is the most states at one moment that are looked at; where more are possible, as many are drawn."""
    started = time.monotonic()
    outcome = Outcome("R4", "", may_pass=True)
    rng = random.Random(seed)
    moments = drawn = 0
    for keep in (2, 1):
        judge = Judge.of(folder / f"right-{keep}", keep)
        disk = record(folder / f"disk-{keep}", keep, rng, count)
        moments, drawn = moments + disk.moments, drawn + disk.drawn
        for wrong in _judge_all(disk, judge, folder / "state", 10**6):
            outcome.count(not wrong, f"keep {keep}: {wrong}")
        careless = record(folder / f"careless-{keep}", keep, rng, count, syncs=False)
        wrongs = list(_judge_all(careless, judge, folder / "state", 300))
        good = sum(not wrong for wrong in wrongs)
        outcome.controls.append((f"no fsync, keep {keep}", good, len(wrongs)))
    outcome.what = f"power cuts at {moments} moments, states drawn at {drawn} of them, all at the others (seed {seed})"
    outcome.seconds = time.monotonic() - started
    return outcome
