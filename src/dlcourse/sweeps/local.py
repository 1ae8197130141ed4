"""The runs of a sweep on this machine: several at a time, each in a process of its own, which may crash alone."""

import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from hydra.core.override_parser.types import Quote, QuotedString

from dlcourse.config.machine import cores
from dlcourse.config.options import Count, Positive
from dlcourse.config.run_config import FolderConfig, RunConfig
from dlcourse.console import Console, format_metric, format_seconds
from dlcourse.error_line import error_line, report
from dlcourse.errors import ConfigError
from dlcourse.runs.folder import RunFolder
from dlcourse.runs.result import RunResult
from dlcourse.signals import Stop
from dlcourse.sweeps.outcome import RunFailedError, log_of, outcome, record_failure
from dlcourse.sweeps.plan import Plan, PlannedRun
from dlcourse.sweeps.workers import Ended, Task, Team, run_all

_PATIENCE = 60.0
"""Seconds to wait for a run's folder that a worker of a killed sweep still holds, which saves and ends."""


@dataclass(frozen=True)
class LocalOptions:
    """`jobs` runs at a time, by default one for `threads` of the processors; a run of more than `minutes` has failed."""

    jobs: Count | None = None
    threads: Count | None = None
    minutes: Positive | None = None


def jobs_and_threads(options: LocalOptions, runs: int) -> tuple[int, int | None]:
    """How many runs at a time, and with how many threads each; None leaves a single one at a time all processors."""
    jobs = options.jobs or max(1, cores() // (options.threads or 1))
    jobs = min(jobs, runs)
    return jobs, options.threads or (1 if jobs > 1 else None)


class LocalRuns:
    """The runs of a plan, done in the sweep's folder, which the caller has locked.

    `train` is `dlcourse.training.session`; nothing may have been computed with torch before, as workers are forked.
    """

    def __init__(self, locked: RunFolder, plan: Plan, options: LocalOptions, train: ModuleType) -> None:
        self._locked, self._folder = locked, locked.path
        self._plan = plan
        self._options = options
        self._train = train
        self._console = Console()

    def do(self, todo: Sequence[int], configs: Sequence[RunConfig], stop: Stop) -> None:
        """Do the runs at these places in the plan, `configs` being those of all its runs; fewer if told to stop."""
        jobs, threads = jobs_and_threads(self._options, len(self._plan.runs))
        if jobs * (threads or 1) > cores():
            self._console.say("note", f"{jobs} jobs of {threads or 1} threads share {cores()} processors")
        tasks = [self._task(place, configs[place]) for place in todo]
        seconds = None if self._options.minutes is None else 60 * self._options.minutes
        self._console.start_runs(len(self._plan.runs), done=len(self._plan.runs) - len(todo))
        try:
            team = Team(tasks, jobs, seconds, self._locked.leave_lock_to_parent)
            for ended in run_all(team, lambda: stop.received is not None, self._say_begun):
                self._finish(ended, is_stopped=stop.received is not None)
        finally:
            self._console.end_progress()

    def _task(self, place: int, config: RunConfig) -> Task:
        run = self._plan.runs[place]
        folder = self._folder / run.folder
        return Task(place, self._work(config, run, folder), log_of(folder), self._command(run, folder))

    def _command(self, run: PlannedRun, folder: Path) -> list[str]:
        """The command that does the run, and continues it if it was begun."""
        config_dir = [] if self._plan.config_dir is None else ["--config-dir", self._plan.config_dir]
        where = f"run.dir={QuotedString(str(folder), Quote.single).with_quotes()}"
        return [sys.executable, "-m", "dlcourse", "train", *config_dir, *run.words, where, "resume=auto"]

    def _work(self, config: RunConfig, run: PlannedRun, folder: Path) -> Callable[[], int]:
        """What a worker does for a run; returns its exit code."""

        def work() -> int:
            try:
                begun = folder.exists()
                _wait_until_free(folder)
                where = replace(config, run=FolderConfig(dir=str(folder), name=config.run.name))
                self._train.run(replace(where, resume="auto" if begun else None), list(run.words))
            except KeyboardInterrupt:
                return 130
            except SystemExit as stop:
                return stop.code if isinstance(stop.code, int) else 1
            except Exception as error:
                record_failure(folder, error_line(error).removeprefix("error: "))
                return report(error)
            return 0

        return work

    def _say_begun(self, task: Task) -> None:
        self._console.say("run", f"{self._number(task)}  {' '.join(self._plan.runs[task.number].varied)}")

    def _finish(self, ended: Ended, *, is_stopped: bool) -> None:
        folder = self._folder / self._plan.runs[ended.task.number].folder
        reached = outcome(folder)
        if ended.code is None and not isinstance(reached, RunResult):
            record_failure(folder, f"took longer than {self._options.minutes:g} minutes")
            reached = outcome(folder)
        if isinstance(reached, RunResult):
            self._console.say("done", f"{self._number(ended.task)}  {_numbers(reached)}")
        elif isinstance(reached, Exception):
            self._console.say("failed", f"{self._number(ended.task)}  {reached}{_see(reached, ended.task.log)}")
        elif is_stopped:
            self._console.say("stop", f"{self._number(ended.task)}  saved")
        else:
            self._console.say("failed", f"{self._number(ended.task)}  ended too early; see {ended.task.log.name}")
        self._console.runs_done(1 if reached is not None else 0)

    def _number(self, task: Task) -> str:
        count = len(self._plan.runs)
        return f"{task.number + 1:{len(str(count))}} of {count}"


def _numbers(reached: RunResult) -> str:
    best = f"{reached.monitor} {format_metric(reached.monitor, reached.best)}"
    return f"{best}   epoch {reached.kept_epoch}   {format_seconds(reached.seconds)}"


def _see(reached: Exception, log: Path) -> str:
    return f"; see {log.name}" if isinstance(reached, RunFailedError) else ""


def _wait_until_free(folder: Path) -> None:
    """Wait while another process works in a run's folder: one of a sweep that was killed ends as soon as it has saved."""
    until = time.monotonic() + _PATIENCE
    while folder.exists() and time.monotonic() < until:
        with contextlib.suppress(ConfigError), RunFolder(folder).locked():
            return
        time.sleep(0.1)
