"""Workers: each task is done once, in a process that may crash alone, and none is left behind."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dlcourse.sweeps import workers
from dlcourse.sweeps.workers import Ended, Task, Team, run_all

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def never() -> bool:
    return False


def ended(
    folder: Path,
    *works: Callable[[], int],
    jobs: int = 2,
    seconds: float | None = None,
    stopped: Callable[[], bool] = never,
    begun: Callable[[Task], None] = lambda task: None,
) -> dict[int, int | None]:
    """The exit code of each of these, by its place."""
    tasks = [Task(place, work, folder / f"{place}.log") for place, work in enumerate(works)]
    team = Team(tasks, jobs, seconds, lambda: None)
    found: list[Ended] = list(run_all(team, stopped, begun))
    assert len({end.task.number for end in found}) == len(found)
    return {end.task.number: end.code for end in found}


def test_tasks_are_done_at_the_same_time_and_print_into_their_logs(tmp_path: Path) -> None:
    def meet(own: str, other: str) -> int:
        (tmp_path / own).touch()
        while not (tmp_path / other).exists():
            time.sleep(0.01)
        print(f"{own} met {other}")
        print("to standard error", file=sys.stderr)
        return 0

    assert ended(tmp_path, lambda: meet("a", "b"), lambda: meet("b", "a")) == {0: 0, 1: 0}
    assert (tmp_path / "0.log").read_text() == "a met b\nto standard error\n"
    assert (tmp_path / "1.log").read_text() == "b met a\nto standard error\n"


def test_a_worker_takes_task_after_task(tmp_path: Path) -> None:
    def note() -> int:
        with (tmp_path / "processes").open("a") as file:
            file.write(f"{os.getpid()}\n")
        return 0

    assert ended(tmp_path, *[note] * 5, jobs=1) == dict.fromkeys(range(5), 0)
    processes = (tmp_path / "processes").read_text().split()
    assert len(processes) == 5 and len(set(processes)) == 1 and str(os.getpid()) not in processes


def test_a_crash_takes_no_other_task_with_it(tmp_path: Path) -> None:
    def crash() -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    def leave() -> int:
        os._exit(7)

    fine = [lambda: 0] * 3
    assert ended(tmp_path, crash, *fine, leave, *fine, jobs=1) == {
        **dict.fromkeys(range(8), 0),
        0: -signal.SIGKILL,
        4: 7,
    }


def test_what_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_GRACE", 0.2)

    def deaf() -> int:
        signal.signal(signal.SIGTERM, lambda *_: None)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            time.sleep(0.1)
        return 0

    def patient() -> int:
        time.sleep(60)
        return 0

    began = time.monotonic()
    assert ended(tmp_path, deaf, patient, lambda: 0, seconds=0.5) == {0: None, 1: None, 2: 0}
    assert time.monotonic() - began < 30


def test_nothing_is_begun_once_it_is_stopped(tmp_path: Path) -> None:
    def until_told() -> int:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        (tmp_path / "here").touch()
        time.sleep(60)
        return 0

    begun: list[int] = []
    codes = ended(
        tmp_path,
        *[until_told] * 3,
        jobs=1,
        stopped=(tmp_path / "here").exists,
        begun=lambda task: begun.append(task.number),
    )
    assert begun == [0] and list(codes) == [0] and codes[0] != 0


def test_no_worker_outlives_whoever_waits_for_it(tmp_path: Path) -> None:
    def note() -> int:
        (tmp_path / "process").write_text(str(os.getpid()))
        time.sleep(60)
        return 0

    team = Team([Task(0, note, tmp_path / "0.log"), Task(1, lambda: 0, tmp_path / "1.log")], 2, None, lambda: None)
    runs = run_all(team, never, lambda task: None)
    assert next(runs).task.number == 1
    while not (tmp_path / "process").exists() or not (tmp_path / "process").read_text():
        time.sleep(0.01)
    runs.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "process").read_text()), 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    def wait_for_the_end() -> int:
        signal.signal(signal.SIGTERM, lambda *_: ((tmp_path / "told").touch(), os._exit(143)))
        (tmp_path / "process").touch()
        time.sleep(60)
        return 0

    if (parent := os.fork()) == 0:
        ended(tmp_path, wait_for_the_end, jobs=1)
        os._exit(0)
    until = time.monotonic() + 60
    while not (tmp_path / "process").exists() and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    while not (tmp_path / "told").exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert (tmp_path / "told").exists()
