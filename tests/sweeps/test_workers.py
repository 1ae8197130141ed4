"""Workers: each task is done once, in a process that may crash alone, and none is left behind."""

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
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
) -> dict[int, int | None]:
    """The exit code of each of these, by its place."""
    found: list[Ended] = list(run_all(team(works, jobs, seconds), tasks(folder, len(works)), stopped))
    assert len({end.task.number for end in found}) == len(found)
    return {end.task.number: end.code for end in found}


def team(works: Sequence[Callable[[], int]], jobs: int, seconds: float | None = None) -> Team:
    return Team(min(jobs, len(works)), seconds, lambda: None, lambda order: works[int(order)]())


def tasks(folder: Path, count: int) -> Callable[[], Task | None]:
    """Gives so many, one after the other."""
    waiting = [Task(place, str(place), folder / f"{place}.log") for place in range(count)]
    return lambda: waiting.pop(0) if waiting else None


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


def test_no_task_is_given_to_a_worker_that_has_grown_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = iter([1, *[2**40] * 100])

    def slowly_grown() -> int:
        time.sleep(0.05)
        return next(sizes)

    monkeypatch.setattr(workers, "_resident_bytes", slowly_grown)

    def note(place: int) -> int:
        (tmp_path / f"done-{place}").touch()
        return 0

    works = [lambda place=place: note(place) for place in range(6)]
    assert ended(tmp_path, *works) == dict.fromkeys(range(6), 0)
    assert len(list(tmp_path.glob("done-*"))) == 6


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

    codes = ended(tmp_path, *[until_told] * 3, jobs=1, stopped=(tmp_path / "here").exists)
    assert list(codes) == [0] and codes[0] != 0


def test_what_comes_next_may_depend_on_what_has_ended(tmp_path: Path) -> None:
    ends: list[int] = []
    left = [0, 1, 2, 3]

    def take() -> Task | None:
        """The first two at once, each further one when the one two places before it has ended."""
        if not left or (left[0] > 1 and left[0] - 2 not in ends):
            return None
        return Task(left[0], str(left.pop(0)), tmp_path / "log")

    def work(order: str) -> int:
        time.sleep(0.3 if order == "0" else 0)
        return 10 + int(order)

    for end in run_all(Team(2, None, lambda: None, work), take, never):
        ends.append(end.task.number)
        assert end.code == 10 + end.task.number
    assert ends.index(2) > ends.index(0) and ends.index(3) > ends.index(1) and sorted(ends) == [0, 1, 2, 3]


def test_an_order_is_a_line_of_any_text(tmp_path: Path) -> None:
    order = 'Zürich 数\n\\ " \udcff' + "x" * 300_000  # longer than a pipe takes at once

    def work(received: str) -> int:
        return int(received == order)

    orders = [Task(0, order, tmp_path / "log")]
    (end,) = run_all(Team(1, None, lambda: None, work), lambda: orders.pop() if orders else None, never)
    assert end.code == 1


def test_no_worker_outlives_whoever_waits_for_it(tmp_path: Path) -> None:
    def note() -> int:
        (tmp_path / "process").write_text(str(os.getpid()))
        time.sleep(60)
        return 0

    runs = run_all(team([note, lambda: 0], jobs=2), tasks(tmp_path, 2), never)
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
