"""Damaged run folders: whatever is wrong in a file that is read back, it is noticed, or does no harm."""

import codecs
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import yaml
from safetensors import SafetensorError

from dlcourse import cli, saving, weights
from dlcourse.checkpoint import MANIFEST
from dlcourse.config import RunConfig
from dlcourse.errors import UserError
from dlcourse.finished import check_weights, read_checked, read_spec
from dlcourse.metrics import METRICS
from dlcourse.resuming import look, status
from dlcourse.run import CONFIG, SPEC, STATUS, WEIGHTS
from dlcourse.saving import Saver
from dlcourse.yaml_file import read_yaml
from torture.outcome import Outcome

_MOST_SECONDS, _MOST_MEBIBYTES = 5.0, 300
_MODEL = ("model=mlp", "model.hidden=[8]", "data=moons", "trainer=small_data", "trainer.epochs=3")
_STOPPED_AT = 30


class _TookTooLongError(Exception):
    """A file made the reader wait."""


class _Watch:
    """Counts what runs or starts code while it is on; a hook of Python's cannot be taken away again."""

    def __init__(self) -> None:
        self.is_on, self.events = False, []
        self._events = ("exec", "compile", "os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen")
        self._events += ("pickle.find_class", "ctypes.dlopen", "socket.connect", "import")
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: Any) -> None:
        if self.is_on and event in self._events:
            self.events.append(event)


@dataclass(frozen=True)
class ReadBack:
    """What the readers made of a run folder: a value each, or what the user is told."""

    resumed: Any
    damaged: tuple[str, ...]
    status: str
    config: Any
    spec: Any
    weights: Any


def read_back(folder: Path) -> ReadBack:
    """As `resume` and `sample` do; any exception that is no UserError comes through."""
    try:
        paused = look(folder)
        checkpoint = paused.checkpoint
        assert checkpoint is not None
        saved = saving.read(checkpoint)
        with (folder / METRICS).open("rb") as file:
            log = file.read(checkpoint.log.size)
        resumed = (checkpoint.step, paused.about, _plain(saved.model), _plain(saved.state), saved.kept, log)
        damaged = paused.damaged
    except UserError as error:
        resumed, damaged = error, ()
    return ReadBack(
        resumed, damaged, status(folder), _told(_config, folder), _told(read_spec, folder), _told(_weights, folder)
    )


def _config(folder: Path) -> Any:
    read_checked(folder, CONFIG)
    return RunConfig.from_mapping(read_yaml(folder / CONFIG))


def _weights(folder: Path) -> Any:
    check_weights(folder)
    return _plain(weights.read_tensors(folder / WEIGHTS))


def _told(reader: Callable[[Path], Any], folder: Path) -> Any:
    try:
        return reader(folder)
    except UserError as error:
        return error


def _plain(value: Any) -> Any:
    """Tensors as what can be compared, bit by bit."""
    if isinstance(value, torch.Tensor):
        return (
            str(value.dtype),
            tuple(value.shape),
            value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes(),
        )
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


class Patient:
    """A run folder that is damaged and mended again, and what it holds when it is whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.places = sorted((folder / "checkpoints").iterdir())
        names = [METRICS, WEIGHTS, CONFIG, SPEC, STATUS]
        self.files = [folder / name for name in names if (folder / name).exists()]
        self.files += [file for place in self.places for file in sorted(place.iterdir())]
        self._contents = {file: file.read_bytes() for file in self.files}
        self.whole = read_back(folder)
        self.right = [self.whole.resumed]
        shutil.move(self.places[-1], folder / "aside")
        self.right.append(read_back(folder).resumed)
        shutil.move(folder / "aside", self.places[-1])

    def mend(self) -> None:
        """Put back whatever is not as it was."""
        for file, content in self._contents.items():
            if file.is_symlink() or not file.is_file():
                if file.is_dir() and not file.is_symlink():
                    file.rmdir()
                file.unlink(missing_ok=True)
                file.write_bytes(content)
            elif file.stat().st_size != len(content) or file.read_bytes() != content:
                file.write_bytes(content)

    def wrong(self, found: ReadBack) -> str:
        """What was silently wrong, or nothing."""
        if not isinstance(found.resumed, UserError) and found.resumed != self.right[0]:
            if found.resumed != self.right[1]:
                return "resume goes on with something else"
            if not found.damaged:
                return "resume goes on with an older checkpoint and does not say so"
        if found.status not in (self.whole.status, ""):
            return f"status '{found.status}'"
        for name in ("config", "spec", "weights"):
            value = getattr(found, name)
            if not isinstance(value, UserError) and value != getattr(self.whole, name):
                return f"another {name}"
        told = [error for error in vars(found).values() if isinstance(error, UserError)]
        return "more than one line" if any("\n" in str(line) for line in (*told, *found.damaged)) else ""


Damage = Callable[[random.Random, Path, Patient], None]


def _changing(change: Callable[[random.Random, bytearray], bytes]) -> Damage:
    """Damage of content: in place, which shows under all names of a file, or of this name alone."""

    def damage(rng: random.Random, file: Path, patient: Patient) -> None:
        content = bytes(change(rng, bytearray(file.read_bytes())))
        if rng.random() < 0.5:
            file.unlink()
        file.write_bytes(content)

    return damage


def _stretch(rng: random.Random, content: bytearray) -> slice:
    start = rng.randrange(len(content) + 1)
    return slice(start, start + rng.choice((1, 4, 16, 64, 4096)))


def _flip(rng: random.Random, content: bytearray) -> bytes:
    for _ in range(rng.choice((1, 1, 1, 3))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return content


def _flip_beginning(rng: random.Random, content: bytearray) -> bytes:
    content[rng.randrange(min(len(content), 200))] ^= 1 << rng.randrange(8)
    return content


def _cut(rng: random.Random, content: bytearray) -> bytes:
    return content[: rng.choice((0, 1, 8, len(content) - 1, rng.randrange(len(content))))]


def _zero(rng: random.Random, content: bytearray) -> bytes:
    place = _stretch(rng, content)
    content[place] = bytes(len(content[place]))
    return content


def _insert(rng: random.Random, content: bytearray) -> bytes:
    place = rng.randrange(len(content) + 1)
    content[place:place] = rng.randbytes(rng.choice((1, 8, 100)))
    return content


def _swap(rng: random.Random, content: bytearray) -> bytes:
    one, other = sorted((rng.randrange(len(content)), rng.randrange(len(content))))
    size = min(rng.choice((1, 8, 64)), other - one)
    content[one : one + size], content[other : other + size] = content[other : other + size], content[one : one + size]
    return content


def _wrong_length(rng: random.Random, content: bytearray) -> bytes:
    length = rng.choice((0, 1, len(content), 2**31, 2**40, 2**63, 2**64 - 1, rng.randrange(1000)))
    return length.to_bytes(8, "little") + content[8:]


def _digit(rng: random.Random, content: bytearray) -> bytes:
    places = [place for place, byte in enumerate(content) if 48 <= byte <= 57]
    if places:
        content[rng.choice(places)] = rng.randrange(48, 58)
    return content


def _deep(rng: random.Random, content: bytearray) -> bytes:
    depth = rng.choice((100, 400, 1000, 100_000))
    return rng.choice((b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth, b"[" * depth))


def _missing(rng: random.Random, file: Path, patient: Patient) -> None:
    file.unlink()


def _pipe(rng: random.Random, file: Path, patient: Patient) -> None:
    file.unlink()
    os.mkfifo(file)


def _folder(rng: random.Random, file: Path, patient: Patient) -> None:
    file.unlink()
    file.mkdir()


def _symlink(rng: random.Random, file: Path, patient: Patient) -> None:
    target = rng.choice(
        [other for other in patient.files if other != file] + [Path("/dev/zero"), Path("/etc/hostname"), file]
    )
    file.unlink()
    file.symlink_to(target)


def _exchange(rng: random.Random, file: Path, patient: Patient) -> None:
    """With the file of that name in another checkpoint, or with any other."""
    others = [other for other in patient.files if other != file and (rng.random() < 0.2 or other.name == file.name)]
    if others:
        other = rng.choice(others)
        one, two = file.read_bytes(), other.read_bytes()
        file.unlink()
        other.unlink()
        file.write_bytes(two)
        other.write_bytes(one)


_ODD = (
    -1,
    0,
    2**31,
    2**63,
    10**30,
    10**4000,
    1.5,
    float("inf"),
    float("nan"),
    True,
    None,
    "13",
    [],
    {},
    [[[[]]]],
    "..",
)
_ODD_NAMES = ("..", ".", "", "/etc/hostname", "../../run.json", "a\0b", "\ud800", "x" * 5000, "a/b")


def _odd_manifest(rng: random.Random, file: Path, patient: Patient) -> None:
    """One value of a manifest replaced, or a name, written as dlcourse writes it."""
    file = rng.choice(patient.places) / MANIFEST
    content = json.loads(file.read_bytes())
    files = content["files"]
    name = rng.choice(list(files))
    part = rng.choice(("step", "format", "log", "files", "size", "sha256", "name", "one less"))
    if part == "name":
        files[rng.choice(_ODD_NAMES)] = files.pop(name)
    elif part == "one less":
        del files[rng.choice([name for name in files if not name.startswith("kept")])]
    elif part in ("size", "sha256"):
        rng.choice((files[name], content["log"]))[part] = rng.choice(_ODD)
    else:
        content[part] = rng.choice(_ODD)
    file.write_text(json.dumps(content, indent=1) + "\n")


DAMAGES: dict[str, Damage] = {
    "bit flip": _changing(_flip),
    "bit flip in the beginning": _changing(_flip_beginning),
    "cut": _changing(_cut),
    "zeros": _changing(_zero),
    "insert": _changing(_insert),
    "swap": _changing(_swap),
    "wrong length": _changing(_wrong_length),
    "digit": _changing(_digit),
    "deep JSON": _changing(_deep),
    "missing": _missing,
    "pipe": _pipe,
    "folder": _folder,
    "symlink": _symlink,
    "exchange": _exchange,
    "odd manifest": _odd_manifest,
}
_OF_CONTENT = tuple(DAMAGES)[:8]


def make_runs(folder: Path) -> list[Path]:
    """A finished run and one that a signal has stopped."""
    words = ["train", *_MODEL, "trainer.checkpoint.steps=7"]
    assert cli.main([*words, f"run.dir={folder / 'finished'}"]) == 0
    is_due = Saver.is_due

    def stopping(saver: Saver, step: int) -> bool:
        if step == _STOPPED_AT:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
        return is_due(saver, step)

    Saver.is_due = stopping  # type: ignore[method-assign]
    try:
        assert cli.main([*words, f"run.dir={folder / 'paused'}"]) == 143
    finally:
        Saver.is_due = is_due  # type: ignore[method-assign]
    return [folder / "finished", folder / "paused"]


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """No more than some seconds."""

    def give_up(*_: object) -> None:
        raise _TookTooLongError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, _MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _judge(patient: Patient, watch: _Watch) -> str:
    """What is wrong with how a damaged folder is read, or nothing."""
    watch.events.clear()
    try:
        with _limited():
            watch.is_on = True
            found = read_back(patient.folder)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        watch.is_on = False
    return f"ran code: {watch.events}" if watch.events else patient.wrong(found)


class _Control:
    """The same damage read without checksums: how often plain readers notice it, or it does no harm."""

    def __init__(self, name: str, read: Callable[[bytes], Any], suffix: str) -> None:
        self.name, self._read, self._suffix = name, read, suffix
        self.good, self.total = 0, 0

    def take(self, file: Path, before: bytes) -> None:
        if file.suffix != self._suffix or not file.is_file() or file.is_symlink() or file.name == MANIFEST:
            return
        self.total += 1
        try:
            self.good += self._read(file.read_bytes()) == self._read(before)
        except (
            SafetensorError,
            ValueError,
            KeyError,
            TypeError,
            RuntimeError,
            RecursionError,
            yaml.YAMLError,
            UserError,
        ):
            self.good += 1


def run(count: int, seed: int, folder: Path) -> Outcome:
    """So many damaged folders."""
    outcome = Outcome("R5", f"damaged files, seed {seed}")
    rng = random.Random(seed)
    patients = [Patient(path) for path in make_runs(folder)]
    for encoding in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "utf-8-sig"):
        codecs.lookup(encoding)  # modules of Python's that JSON with zeros in it would have imported
    watch = _Watch()
    controls = [
        _Control(
            "safetensors without checksum", lambda content: _plain(safetensors.torch.load(content)), ".safetensors"
        ),
        _Control(
            "config.yaml without checksum", lambda content: RunConfig.from_mapping(yaml.safe_load(content)), ".yaml"
        ),
        _Control("JSON without checksum", json.loads, ".json"),
    ]
    started, memory = time.monotonic(), _peak()
    for number in range(count):
        patient = rng.choice(patients)
        file = rng.choice(patient.files)
        kind = list(DAMAGES)[number % len(DAMAGES)]
        before = file.read_bytes()
        DAMAGES[kind](rng, file, patient)
        wrong = _judge(patient, watch)
        outcome.count(not wrong, f"{kind} in {patient.folder.name}/{file.relative_to(patient.folder)}: {wrong}")
        if kind in _OF_CONTENT:
            for control in controls:
                control.take(file, before)
        patient.mend()
    outcome.count(_peak() - memory < _MOST_MEBIBYTES, f"memory grew by {_peak() - memory:.0f} MiB")
    outcome.controls = [(control.name, control.good, control.total) for control in controls]
    outcome.seconds = time.monotonic() - started
    return outcome


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
