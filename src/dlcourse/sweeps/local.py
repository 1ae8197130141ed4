"""The runs of a sweep on this machine: several at a time, each in a process of its own, which may crash alone."""

import contextlib
import json
import sys
import time
from collections.abc import Callable
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
from dlcourse.sweeps.agenda import Agenda, Outcome
from dlcourse.sweeps.outcome import RunFailedError, log_of, record_failure
from dlcourse.sweeps.plan import PlannedRun
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
    """The runs of a sweep, done in its folder, which the caller has locked.

    `train` is `dlcourse.training.session`; nothing may have been computed with torch before, as workers are forked.
    `read` gives what a run of the sweep has come to, by its place.
    """

    def __init__(
        self,
        locked: RunFolder,
        agenda: Agenda,
        options: LocalOptions,
        train: ModuleType,
        read: Callable[[int], Outcome],
    ) -> None:
        self._locked, self._folder = locked, locked.path
        self._agenda = agenda
        self._options = options
        self._train = train
        self._read = read
        self._console = Console()

    def do(self, stop: Stop) -> None:
        """Do all that the agenda asks for; less if told to stop."""
        jobs, threads = jobs_and_threads(self._options, self._agenda.total)
        if jobs * (threads or 1) > cores():
            self._console.say("note", f"{jobs} jobs of {threads or 1} threads share {cores()} processors")
        seconds = None if self._options.minutes is None else 60 * self._options.minutes
        total, done = self._agenda.parts
        self._console.start_runs(total, done)
        try:
            team = Team(min(jobs, total - done), seconds, self._locked.leave_lock_to_parent, self._work)
            for ended in run_all(team, self._take, lambda: stop.received is not None):
                self._finish(ended, is_stopped=stop.received is not None)
        finally:
            self._console.end_progress()

    def _take(self) -> Task | None:
        """The run to begin now, which is said."""
        place = self._agenda.take()
        if place is None:
            return None
        run, config = self._agenda.plan.runs[place], self._agenda.configs[place]
        folder = self._folder / run.folder
        order = json.dumps([str(folder), config.to_mapping(), run.words])
        task = Task(place, order, log_of(folder), self._command(run, folder))
        self._console.say("run", f"{self._number(task)}  {' '.join(run.varied)}")
        return task

    def _command(self, run: PlannedRun, folder: Path) -> list[str]:
        return [sys.executable, "-P", "-m", "dlcourse", *command(run, folder, self._agenda.plan.config_dir)]

    def _work(self, order: str) -> int:
        """What a worker does for a run; returns its exit code."""
        where, mapping, words = json.loads(order)
        folder = Path(where)
        try:
            begun = folder.exists()
            _wait_until_free(folder)
            config = RunConfig.from_mapping(mapping)
            placed = replace(config, run=FolderConfig(dir=where, name=config.run.name))
            self._train.run(replace(placed, resume="auto" if begun else None), words)
        except KeyboardInterrupt:
            return 130
        except SystemExit as stop:
            return stop.code if isinstance(stop.code, int) else 1
        except Exception as error:
            record_failure(folder, error_line(error).removeprefix("error: "))
            return report(error)
        return 0

    def _finish(self, ended: Ended, *, is_stopped: bool) -> None:
        place = ended.task.number
        reached = self._read(place)
        if ended.code is None and not isinstance(reached, RunResult):
            folder = self._folder / self._agenda.plan.runs[place].folder
            record_failure(folder, f"took longer than {self._options.minutes:g} minutes")
            reached = self._read(place)
        if isinstance(reached, RunResult):
            self._console.say("done", f"{self._number(ended.task)}  {_numbers(reached)}")
        elif isinstance(reached, Exception):
            self._console.say("failed", f"{self._number(ended.task)}  {reached}{_see(reached, ended.task.log)}")
        elif is_stopped:
            self._console.say("stop", f"{self._number(ended.task)}  saved")
        else:
            self._console.say("failed", f"{self._number(ended.task)}  ended too early; see {ended.task.log.name}")
        self._console.runs_done(1 if reached is not None else 0)
        self._agenda.ended(place, reached)

    def _number(self, task: Task) -> str:
        count = self._agenda.total
        return f"{task.number + 1:{len(str(count))}} of {count}"


def command(run: PlannedRun, folder: Path, config_dir: str | None) -> list[str]:
    """The words behind `dlcourse` that do a run of a sweep in its folder, and continue it if it was begun."""
    places = [] if config_dir is None else ["--config-dir", config_dir]
    where = f"run.dir={QuotedString(str(folder), Quote.single).with_quotes()}"
    return ["train", *places, *run.words, where, "resume=auto"]


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
