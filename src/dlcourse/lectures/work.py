"""The work that figures ask for: runs and drawings, several at a time, each in a process of its own.

Every run is done once however many figures stand on it, and a figure is drawn as soon as its runs have ended.
"""

import dataclasses
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from dlcourse.config.machine import cores
from dlcourse.error_line import error_line, report
from dlcourse.errors import MissingDataError
from dlcourse.lectures.entry import Language
from dlcourse.lectures.planned import PlannedFigure, PlannedRun, own_words
from dlcourse.runs.folder import RunFolder
from dlcourse.runs.result import RunResult
from dlcourse.signals import Stop
from dlcourse.sweeps.grid import SOME_FAILED
from dlcourse.sweeps.local import wait_until_free
from dlcourse.sweeps.outcome import RunDivergedError, outcome, record_failure
from dlcourse.sweeps.plan import PlannedRun as SweepRun
from dlcourse.sweeps.plan import command
from dlcourse.sweeps.workers import Task, Team, run_all

MISSING_DATA = 7
"""What a worker returns for a run whose data are not there, and cannot be fetched."""
_BAD_INPUT = 2


@dataclass(frozen=True)
class Ended:
    """A figure whose drawing has ended; `problem` says why there is none, and `is_missing_data` that it is for want of data.

    `seconds` is the time of its drawing and of the runs that were made for it, `code` the exit code that a command ends with
    which makes this figure alone.
    """

    figure: PlannedFigure
    seconds: float
    problem: str = ""
    is_missing_data: bool = False
    code: int = 0


@dataclass
class _Job:
    """A run, of which `told` says what it is, or the drawing of a figure, with what must have ended before."""

    run: PlannedRun | None = None
    told: str = ""
    figure: PlannedFigure | None = None
    needs: set[Path] = field(default_factory=set)
    has_begun: bool = False


class Work:
    """The runs and drawings of some figures. `train` is dlcourse.training.session, with which nothing was computed yet.

    `draw` draws a figure, as `dlcourse lecture NAME --draw` does. `told` is called with a label and a line for each run that
    begins or ends.
    """

    def __init__(
        self,
        figures: Sequence[PlannedFigure],
        language: Language,
        train: ModuleType,
        draw: Callable[[PlannedFigure, Language], None],
        told: Callable[[str, str], None],
    ) -> None:
        self._figures = figures
        self._language = language
        self._train = train
        self._draw = draw
        self._told = told
        self._problems: dict[Path, str] = {}
        self._missing: set[Path] = set()
        self._seconds: dict[Path, float] = {}
        self._ready: set[Path] = set()
        self._jobs = list(self._planned())

    def do(self, locked: RunFolder, stop: Stop) -> Iterator[Ended]:
        """Do all of it, less if told to stop; gives each figure as it ends. `locked` is the folder of the runs."""
        jobs = max(1, min(cores(), len(self._jobs)))
        team = Team(jobs, None, locked.leave_lock_to_parent, self._work)
        for ended in run_all(team, self._take, lambda: stop.received is not None):
            job = self._jobs[ended.task.number]
            if job.run is not None:
                self._run_ended(job.run, ended.code, ended.seconds, is_stopped=stop.received is not None)
            elif job.figure is not None and stop.received is None:
                seconds = ended.seconds + sum(self._seconds.get(run.folder, 0.0) for run in job.figure.runs)
                problem = "" if ended.code == 0 else _last_line(ended.task.log)
                is_missing = ended.code == MISSING_DATA
                yield Ended(job.figure, seconds, problem, is_missing, _BAD_INPUT if is_missing else ended.code or 0)
        if stop.received is None:
            yield from self._not_drawn()

    def _planned(self) -> Iterator[_Job]:
        """The runs that are still to be done, and the drawings, in an order in which nothing waits for what follows."""
        seen: set[Path] = set()
        for figure in self._figures:
            labels = own_words([run.words for run in figure.runs])
            for run, own in zip(figure.runs, labels, strict=True):
                if run.folder in seen:
                    continue
                seen.add(run.folder)
                if _has_ended(run.folder, figure):
                    self._ready.add(run.folder)
                else:
                    yield _Job(run=run, told=" ".join(own or run.words), needs=set(run.needs))
            yield _Job(figure=figure, needs={run.folder for run in figure.runs})

    def _take(self) -> Task | None:
        """The first job all of whose needs are there."""
        for number, job in enumerate(self._jobs):
            if job.has_begun or not job.needs <= self._ready:
                continue
            job.has_begun = True
            return self._task(number, job)
        return None

    def _task(self, number: int, job: _Job) -> Task:
        if job.run is not None:
            folder = job.run.folder
            self._told("run", f"{folder.name}  {job.told}")
            words = SweepRun(job.run.words, (), folder.name)
            return Task(number, str(number), _log_of(folder), command(words, folder, None))
        assert job.figure is not None
        lecture = ["lecture", job.figure.lecture.name, *job.figure.words, "--draw", "--lang", self._language]
        commands = [sys.executable, "-P", "-m", "dlcourse", *lecture]
        return Task(number, str(number), _log_of(job.figure.folder), commands)

    def _work(self, order: str) -> int:
        """What a worker does, which was forked with all of the plan; returns an exit code."""
        job = self._jobs[int(order)]
        try:
            if job.run is not None:
                self._do_run(job.run)
            else:
                assert job.figure is not None
                self._draw(job.figure, self._language)
        except KeyboardInterrupt:
            return 130
        except SystemExit as stop:
            return stop.code if isinstance(stop.code, int) else 1
        except MissingDataError as error:
            report(error)
            return MISSING_DATA
        except Exception as error:
            if job.run is not None:
                record_failure(job.run.folder, error_line(error).removeprefix("error: "))
            return report(error)
        return 0

    def _do_run(self, run: PlannedRun) -> None:
        has_begun = run.folder.exists()
        wait_until_free(run.folder)
        placed = dataclasses.replace(run.config.run, dir=str(run.folder))
        config = dataclasses.replace(run.config, run=placed, resume="auto" if has_begun else None)
        self._train.run(config, list(run.words))

    def _run_ended(self, run: PlannedRun, code: int | None, seconds: float, *, is_stopped: bool) -> None:
        self._seconds[run.folder] = seconds
        reached = outcome(run.folder)
        if is_stopped and not isinstance(reached, RunResult):
            self._told("stop", f"{run.folder.name}  saved")
        elif isinstance(reached, RunResult | RunDivergedError) and self._is_wanted(run, reached):
            self._ready.add(run.folder)
            self._told("done", f"{run.folder.name}  {seconds:.0f} s")
        else:
            self._problems[run.folder] = str(reached or _last_line(_log_of(run.folder)))
            if code == MISSING_DATA:
                self._missing.add(run.folder)
            self._told("failed", f"{run.folder.name}  {self._problems[run.folder]}")

    def _is_wanted(self, run: PlannedRun, reached: object) -> bool:
        """Whether the run ended as its figures expect it to."""
        if isinstance(reached, RunResult):
            return True
        return all(
            figure.lecture.expect == "diverged"
            for figure in self._figures
            if any(run.folder == other.folder for other in figure.runs)
        )

    def _not_drawn(self) -> Iterator[Ended]:
        """The figures that could not be drawn, as runs of theirs have failed or could not begin."""
        for job in self._jobs:
            if job.figure is None or job.has_begun:
                continue
            folders = [run.folder for run in job.figure.runs if run.folder not in self._ready]
            failed = [folder for folder in folders if folder in self._problems] or list(self._problems)[:1]
            problem = f"{failed[0].name}: {self._problems[failed[0]]}" if failed else "a run of it could not begin"
            is_missing = bool(failed) and set(failed) <= self._missing
            yield Ended(job.figure, 0.0, problem, is_missing, _BAD_INPUT if is_missing else SOME_FAILED)


def _has_ended(folder: Path, figure: PlannedFigure) -> bool:
    """Whether the run there has ended as the figure expects; one that failed otherwise is tried again."""
    reached = outcome(folder)
    return isinstance(reached, RunResult) or (
        figure.lecture.expect == "diverged" and isinstance(reached, RunDivergedError)
    )


def _log_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.log")


def _last_line(log: Path) -> str:
    """What a process said last, without the word error in front."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1].removeprefix("dlcourse: ").removeprefix("error: ") if lines else f"it ended too early; see {log}"
