"""R13: what TensorBoard shows of runs that were killed and resumed: every number of the log once, by each of its readers."""

import json
import random
import re
import struct
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tensorboard.backend.event_processing import directory_watcher, event_file_loader, io_wrapper
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from dlcourse.runs.metrics_log import METRICS, read_metrics
from dlcourse.runs.tensorboard import Board
from torture.outcome import Outcome
from torture.processes import STEPS, TRAINING, done, fork, in_time, numbered, warm_up

_WORDS = (*TRAINING, "trainer.checkpoint.steps=5", "run.dir=run")
_MAX_KILLS = 3
_SECONDS_TO_LOAD = 30.0

Points = Counter[tuple[str, int, float]]
"""How often there is which value of which tag at which step, values rounded to 32 bits as TensorBoard keeps them."""


def run(count: int, seed: int, folder: Path) -> Outcome:
    """`count` runs, each killed up to three times and resumed, each read by three readers: so many cases."""
    rng, started = random.Random(seed), time.monotonic()
    warm_up(folder)
    folders = numbered(folder / "runs")
    reference = next(folders) / "run"
    assert not (problem := done(fork(_WORDS, reference.parent))), problem
    expected = _places(logged(reference))
    kills = [rng.randint(1, _MAX_KILLS) for _ in range(count)]
    runs = [_interrupted(folders, rng, times) for times in kills]
    outcome = Outcome("R13", f"TensorBoard by 3 readers: {count} runs, {sum(kills)} kills")
    with server(folder / "runs") as by_server:
        readers: dict[str, Callable[[Path], Points]] = {
            "EventAccumulator": by_accumulator,
            "Python loader": by_loader,
            "server": lambda path: by_server(path.relative_to(folder / "runs"), logged(path)),
        }
        for path in runs:
            is_whole = _places(logged(path)) == expected
            for name, read in readers.items():
                found = _compare(read(path), logged(path)) if is_whole else "metrics.jsonl has other tags and steps"
                outcome.count(not found, f"{path} of seed {seed}, {name}: {found}")
    for what, defect in (("the old file kept", _keep_old_file), ("not made again", _only_new_records)):
        path = _interrupted(folders, rng, 1, defect)
        found = _compare(by_accumulator(path), logged(path)) or _compare(by_loader(path), logged(path))
        outcome.controls.append((what, int(not found), 1))
    outcome.seconds = time.monotonic() - started
    return outcome


def logged(run: Path) -> Points:
    """What metrics.jsonl says."""
    return Counter(
        (tag, int(record["step"]), _rounded(value))
        for record in read_metrics(run / METRICS)
        for tag, value in record.items()
        if "/" in tag
    )


def by_accumulator(run: Path) -> Points:
    """What the reader shows that notebooks use."""
    events = EventAccumulator(str(run), size_guidance={"scalars": 0}).Reload()
    return Counter(
        (tag, event.step, _rounded(event.value)) for tag in events.Tags()["scalars"] for event in events.Scalars(tag)
    )


def by_loader(run: Path) -> Points:
    """What the loader of `tensorboard --load_fast=false` reads."""
    watcher = directory_watcher.DirectoryWatcher(
        str(run), event_file_loader.EventFileLoader, io_wrapper.IsTensorFlowEventsFile
    )
    plugins: dict[str, str] = {}
    points: Points = Counter()
    for event in watcher.Load():
        for value in event.summary.value:
            plugin = plugins.setdefault(value.tag, value.metadata.plugin_data.plugin_name)
            if plugin == "scalars":
                points[value.tag, event.step, _rounded(make_ndarray(value.tensor).item())] += 1
    return points


@contextmanager
def server(folder: Path) -> Iterator[Callable[[Path, Points], Points]]:
    """A real server over all runs in a folder, with its fast loader: what it shows of a run, by name, once all is loaded."""
    command = [Path(sys.executable).parent / "tensorboard", "--logdir", folder, "--port", "0", "--load_fast", "true"]
    log = folder.parent / "server.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        address = _wait_for(lambda: re.search(r"http://localhost:(\d+)/", log.read_text()))
        assert address is not None, log.read_text()
        base = f"http://127.0.0.1:{address[1]}/data/plugin/scalars"

        def read(name: Path, expected: Points) -> Points:
            _wait_for(lambda: sum(_by_server(base, str(name)).values()) >= sum(expected.values()))
            return _by_server(base, str(name))

        yield read
    finally:
        process.terminate()
        process.wait(timeout=20)


def _by_server(base: str, name: str) -> Points:
    open_ = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
    points: Points = Counter()
    with open_(f"{base}/tags", timeout=20) as answer:
        tags = json.load(answer).get(name, {})
    for tag in tags:
        query = urllib.parse.urlencode({"run": name, "tag": tag})
        with open_(f"{base}/scalars?{query}", timeout=20) as answer:
            points.update((tag, step, _rounded(value)) for _, step, value in json.load(answer))
    return points


def _wait_for(condition: Callable[[], object]) -> "re.Match[str] | None":
    """What the condition gives as soon as it holds, or at last."""
    until = time.monotonic() + _SECONDS_TO_LOAD
    while not (result := condition()) and time.monotonic() < until:
        time.sleep(0.2)
    return result  # type: ignore[return-value]


def _interrupted(folders: Iterator[Path], rng: random.Random, kills: int, *defects: Callable[[], None]) -> Path:
    """A run that was killed so often, at steps that go up, then resumed to its end."""

    def interrupt(case: Path) -> Path:
        words = _WORDS
        for step in sorted(rng.sample(range(5, STEPS - 30), kills)):
            fork(words, case).kill_at(case / "run", step, rng, 0.005)
            words = ("resume", "run")
        assert not (problem := done(fork(words, case, *defects))), problem
        return case / "run"

    return in_time(interrupt, folders)


def _compare(found: Points, expected: Points) -> str:
    """Nothing where both are the same."""
    missing, extra = expected - found, found - expected
    if not missing and not extra:
        return ""
    return f"{missing.total()} missing, such as {[*missing][:2]}; {extra.total()} too many, such as {[*extra][:2]}"


def _places(points: Points) -> Counter[tuple[str, int]]:
    return Counter((tag, step) for tag, step, _ in points.elements())


def _rounded(value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def _keep_old_file() -> None:
    """The defect of a control: everything is written again, beside what was there."""

    def anew(folder: Path, records: Iterator[dict[str, object]]) -> Board:
        board = Board(folder)
        for record in records:
            board.show(record)
        return board

    Board.anew = anew  # type: ignore[method-assign,assignment]


def _only_new_records() -> None:
    """The defect of a control: the old file goes, and nothing of it is written again."""
    original = Board.anew
    Board.anew = lambda folder, _: original(folder, iter(()))  # type: ignore[method-assign,assignment]
