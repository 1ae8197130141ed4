"""Damaged run folders: whatever is wrong in a file that is read back, it is noticed, or does no harm."""

import codecs
import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import safetensors.torch
import torch
import yaml
from safetensors import SafetensorError

from dlcourse.cli.main import main
from dlcourse.config.run_config import RunConfig
from dlcourse.config.yaml_file import read_yaml
from dlcourse.errors import DataError, UserError
from dlcourse.files import FilePrefix
from dlcourse.runs import resume, saver, weights
from dlcourse.runs.checkpoints import FORMAT, MANIFEST, Checkpoint
from dlcourse.runs.folder import CONFIG, SPEC, STATUS, WEIGHTS, RunFolder, output_errors
from dlcourse.runs.metrics_log import METRICS, MetricsLog
from dlcourse.runs.reopen import read_checked, read_spec, stated_checksum
from dlcourse.runs.resume import Start, read_start, read_status
from dlcourse.runs.saver import Saver
from torture.outcome import Outcome

_MOST_SECONDS, _MOST_MEBIBYTES = 5.0, 300
_LONGEST_WAIT = 60.0
_MODEL = ("model=mlp", "model.hidden=[8]", "data=moons", "trainer=small_data", "trainer.epochs=3")
_STOPPED_AT = 30


class _TookTooLong(BaseException):
    """A file made the reader work or wait; no reader catches this."""


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
class LogBack:
    """metrics.jsonl before and after the run was opened to resume it, what was said of it, and what was set aside."""

    before: bytes | None
    after: bytes
    said: str
    aside: tuple[bytes, ...]


@dataclass(frozen=True)
class ReadBack:
    """What the readers made of a run folder: a value each, or what the user is told."""

    resumed: Any
    log: LogBack | None
    damaged: tuple[str, ...]
    status: str
    config: Any
    spec: Any
    weights: Any


def read_back(folder: Path) -> ReadBack:
    """As `resume` and `sample` do; any exception that is no UserError comes through."""
    try:
        start = read_start(RunFolder(folder))
        checkpoint = start.checkpoint
        assert checkpoint is not None
        model, state = saver.read(checkpoint)
        kept = checkpoint.contents.get(saver.KEPT)
        resumed = (checkpoint.step, start.about, _plain(model), _plain(state), kept)
        damaged, log = start.damaged, _log(folder, checkpoint)
    except UserError as error:
        resumed, damaged, log = error, (), None
    others = (_told(_config, folder), _told(read_spec, folder), _told(_weights, folder))
    return ReadBack(resumed, log, damaged, read_status(folder), *others)


def _log(folder: Path, checkpoint: Checkpoint) -> LogBack:
    """The log as the resumed run opens it. A link there is refused before, when the folder is locked."""
    path = folder / METRICS
    before = path.read_bytes() if _is_regular(path) else None
    try:
        with output_errors(folder):
            log = MetricsLog(path, checkpoint.log)
    except UserError as error:
        return LogBack(before, b"", str(error), ())
    log.close()
    aside = tuple(file.read_bytes() for file in folder.glob(f"damaged-{METRICS}*") if _is_regular(file))
    return LogBack(before, path.read_bytes(), log.lost, aside)


def _config(folder: Path) -> Any:
    read_checked(folder, CONFIG)
    return RunConfig.from_mapping(read_yaml(folder / CONFIG))


def _weights(folder: Path) -> Any:
    return _plain(weights.read_tensors(folder / WEIGHTS, stated_checksum(folder)))


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
        self._names = {file: [other for other in self.files if other.samefile(file)] for file in self.files}
        self.whole = read_back(folder)
        self.mend()
        shutil.move(self.places[-1], folder / "aside")
        before = read_back(folder)
        shutil.move(folder / "aside", self.places[-1])
        self.mend()
        self.right, self._logs = [self.whole.resumed, before.resumed], []
        for found in (self.whole, before):
            assert found.log is not None and not found.log.said
            self._logs.append(found.log.after)

    def changed(self) -> list[Path]:
        """The files that are not as they were."""
        return [file for file in self.files if not self._holds(file)]

    def _holds(self, file: Path) -> bool:
        return _is_regular(file) and file.read_bytes() == self._contents[file]

    def mend(self) -> None:
        """Put back whatever is not as it was, and links between files."""
        for aside in self.folder.glob(f"damaged-{METRICS}*"):
            _take_away(aside)
        for file, names in self._names.items():
            if all(map(self._holds, names)) and all(map(file.samefile, names)):
                continue
            for name in names:
                _take_away(name)
            file.write_bytes(self._contents[file])
            for name in names:
                if name != file:
                    os.link(file, name)

    def expected(self, changed: list[Path]) -> int | None:
        """How many checkpoints a resume must pass over to find one of which nothing has changed; None where all have."""
        for number, place in enumerate(reversed(self.places)):
            if not any(place in file.parents for file in changed):
                return number
        return None

    def wrong(self, found: ReadBack, changed: list[Path]) -> str:
        """What was silently wrong, or refused without need, or nothing."""
        wrong = self._wrong_resume(found, self.expected(changed)) or self._wrong_log(found, changed)
        if wrong:
            return wrong
        for name, files in _FROM.items():
            value, right = getattr(found, name), getattr(self.whole, name)
            is_as_ever = value == right or (isinstance(value, UserError) and isinstance(right, UserError))
            is_damaged = any(self.folder / file in changed for file in files)
            if not is_as_ever and not (is_damaged and (isinstance(value, UserError) or value == "")):
                return f"another {name}: {value}"
        told = [str(error) for error in vars(found).values() if isinstance(error, UserError)]
        told += [found.log.said] if found.log else []
        return "more than one line" if any("\n" in line for line in (*told, *found.damaged)) else ""

    def _wrong_log(self, found: ReadBack, changed: list[Path]) -> str:
        """A log goes on as it was, line ends apart; or from nothing, which is said, and nothing of the file is lost."""
        if found.log is None:
            return ""
        number = self.right.index(found.resumed)
        log, right, before = found.log, self._logs[number], found.log.before or b""
        is_whole = before.startswith(right) or before.replace(b"\r\n", b"\n").startswith(right)
        if is_whole and self.places[-1 - number] / MANIFEST not in changed:
            return "" if log.after == right and not log.said else f"a log that is whole is not taken: {log.said}"
        if not right.startswith(log.after):
            return "resume goes on with another log"
        if not log.said and log.after != right:
            return "a log is lost and nobody says so"
        is_kept = log.before is None or log.before in log.aside or log.after == right
        return "" if is_kept else "a damaged log is not set aside"

    def _wrong_resume(self, found: ReadBack, expected: int | None) -> str:
        if isinstance(found.resumed, UserError):
            if expected is None or (expected == 1 and self.may_refuse()):
                return ""
            return f"resume refuses, but {self.places[-1 - expected].name} is whole: {found.resumed}"
        if found.resumed == self.right[0]:
            return ""
        if found.resumed != self.right[1]:
            return "resume goes on with something else"
        if expected == 0:
            return "resume passes over a checkpoint that is whole"
        is_told = any(self.places[-1].name in line for line in found.damaged)
        return "" if is_told else "resume goes on with an older checkpoint and does not say so"

    def may_refuse(self) -> bool:
        """Whether the newest manifest is a forgery that no checksum shows: of a newer format, or of fewer files."""
        path = self.places[-1] / MANIFEST
        if not _is_regular(path):
            return False
        try:
            manifest = json.loads(path.read_bytes())
            names = set(json.loads(self._contents[path])["files"])
            return bool(manifest["format"] > FORMAT or set(manifest["files"]) < names)
        except (ValueError, KeyError, TypeError, RecursionError):
            return False


_FROM = {
    "status": (STATUS,),
    "config": (CONFIG, STATUS),
    "spec": (SPEC, STATUS),
    "weights": (WEIGHTS, STATUS),
}
"""What is read from which files, besides checkpoints."""


def _is_regular(file: Path) -> bool:
    return file.is_file() and not file.is_symlink()


def _take_away(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    path.unlink(missing_ok=True)


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


def _log_with_other_line_ends(rng: random.Random, file: Path, patient: Patient) -> None:
    """As an editor of Windows saves it, or a transfer that takes it for text."""
    log = patient.folder / METRICS
    log.write_bytes(log.read_bytes().replace(b"\n", b"\r\n"))


def _log_changed(rng: random.Random, file: Path, patient: Patient) -> None:
    _changing(_flip_beginning)(rng, patient.folder / METRICS, patient)


def _log_gone(rng: random.Random, file: Path, patient: Patient) -> None:
    (patient.folder / METRICS).unlink()


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
    "log with other line ends": _log_with_other_line_ends,
    "log changed": _log_changed,
    "log gone": _log_gone,
}
_OF_CONTENT = tuple(DAMAGES)[:8]


def make_runs(folder: Path) -> list[Path]:
    """A finished run and one that a signal has stopped."""
    words = ["train", *_MODEL, "trainer.checkpoint.steps=7"]
    assert main([*words, f"run.dir={folder / 'finished'}"]) == 0
    is_due = Saver.is_due

    def stopping(saver: Saver, step: int) -> bool:
        if step == _STOPPED_AT:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
        return is_due(saver, step)

    Saver.is_due = stopping  # type: ignore[method-assign]
    try:
        assert main([*words, f"run.dir={folder / 'paused'}"]) == 143
    finally:
        Saver.is_due = is_due  # type: ignore[method-assign]
    return [folder / "finished", folder / "paused"]


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """No more than some seconds of the processor, nor a minute of waiting, as for a pipe."""

    def give_up(*_: object) -> None:
        raise _TookTooLong

    numbers = signal.SIGPROF, signal.SIGALRM
    before = [signal.signal(number, give_up) for number in numbers]
    signal.setitimer(signal.ITIMER_PROF, _MOST_SECONDS)
    signal.setitimer(signal.ITIMER_REAL, _LONGEST_WAIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


class _Memory:
    """The most by which one reading made this process grow, in MiB."""

    def __init__(self) -> None:
        self.most = 0.0

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        Path("/proc/self/clear_refs").write_text("5")  # the peak is what there is now, says proc(5)
        before = _mebibytes("VmRSS")
        try:
            yield
        finally:
            self.most = max(self.most, _mebibytes("VmHWM") - before)


def _mebibytes(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def _judge(patient: Patient, changed: list[Path], watch: _Watch, memory: _Memory) -> str:
    """What is wrong with how a damaged folder is read, or nothing."""
    watch.events.clear()
    try:
        with memory.watched(), _limited():
            watch.is_on = True
            found = read_back(patient.folder)
    except (Exception, _TookTooLong) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        watch.is_on = False
    return f"ran code: {watch.events}" if watch.events else patient.wrong(found, changed)


def _refuses_unnoticed(patient: Patient, changed: list[Path]) -> bool:
    """Whether a resume that always refuses passes."""
    with mock.patch(f"{__name__}.read_start", side_effect=DataError("refused")):
        return not patient.wrong(read_back(patient.folder), changed)


def _vouching(folder: RunFolder) -> Start:
    """A defect: checkpoints are not taken if the log does not begin as it did."""
    start = resume.read_start(folder)
    log, before = folder / METRICS, start.log or FilePrefix.of(b"")
    if not _is_regular(log) or FilePrefix.of(log.read_bytes()[: before.size]) != before:
        raise DataError("the log is another one")
    return start


def _believing(path: Path, start: FilePrefix) -> tuple[bytes, str]:
    """A defect: a log is taken for what it was, whatever is in it."""
    return (path.read_bytes() if _is_regular(path) else b"")[: start.size], ""


def _log_controls(rng: random.Random, patients: list[Patient]) -> Iterator[tuple[str, int, int]]:
    """How often a defect in what becomes of a damaged log is not noticed."""
    defects = {
        "checkpoints that need their log": (f"{__name__}.read_start", _vouching),
        "a log that is believed": ("dlcourse.runs.metrics_log._restore", _believing),
    }
    for name, (replaced, defect) in defects.items():
        passed = []
        for patient, damage in itertools.product(patients, (_log_changed, _log_gone)):
            damage(rng, patient.folder / METRICS, patient)
            changed = patient.changed()
            with mock.patch(replaced, defect):
                passed.append(not patient.wrong(read_back(patient.folder), changed))
            patient.mend()
        yield name, sum(passed), len(passed)


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
    started = time.monotonic()
    outcome = Outcome("R5", "", may_pass=True)
    rng = random.Random(seed)
    patients = [Patient(path) for path in make_runs(folder)]
    for encoding in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "utf-8-sig"):
        codecs.lookup(encoding)  # modules of Python's that JSON with zeros in it would have imported
    watch, memory = _Watch(), _Memory()
    controls = [
        _Control(
            "safetensors without checksum", lambda content: _plain(safetensors.torch.load(content)), ".safetensors"
        ),
        _Control("config.yaml", lambda content: RunConfig.from_mapping(yaml.safe_load(content)), ".yaml"),
        _Control("JSON without checksum", json.loads, ".json"),
    ]
    refused: list[bool] = []
    back = 0
    for number in range(count):
        kind = list(DAMAGES)[number % len(DAMAGES)]
        patient, file, before, changed = _damage(kind, rng, patients)
        wrong = _judge(patient, changed, watch, memory)
        names = ", ".join(str(path.relative_to(patient.folder)) for path in changed)
        outcome.count(not wrong, f"{kind} of {names} in {patient.folder.name}: {wrong}")
        expected = patient.expected(changed)
        if expected == 0 or (expected == 1 and not patient.may_refuse()):
            back += expected
            refused.append(_refuses_unnoticed(patient, changed))
        if kind in _OF_CONTENT:
            for control in controls:
                control.take(file, before)
        patient.mend()
    if memory.most > _MOST_MEBIBYTES:
        outcome.failures.append(f"a reading took {memory.most:.0f} MiB")
    if any(refused):
        outcome.failures.append(f"blind: a resume that always refuses passed {sum(refused)} of {len(refused)} times")
    binary, *texts = controls  # few damages hit config.yaml: it counts together with JSON
    outcome.controls.append((binary.name, binary.good, binary.total))
    good, total = sum(text.good for text in texts), sum(text.total for text in texts)
    outcome.controls.append((" and ".join(text.name for text in texts), good, total))
    outcome.controls.append(("a resume that always refuses", sum(refused), len(refused)))
    outcome.controls += _log_controls(rng, patients)
    outcome.what = f"damaged files; {back} times the checkpoint before must serve (seed {seed})"
    outcome.seconds = time.monotonic() - started
    return outcome


def _damage(kind: str, rng: random.Random, patients: list[Patient]) -> tuple[Patient, Path, bytes, list[Path]]:
    """Damage that changed something: in which run and file, what the file held, and which files are no longer the same."""
    while True:
        patient = rng.choice(patients)
        file = rng.choice(patient.files)
        before = file.read_bytes()
        DAMAGES[kind](rng, file, patient)
        if changed := patient.changed():
            return patient, file, before, changed
        patient.mend()
