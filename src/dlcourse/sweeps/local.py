"""The runs of a sweep on this machine: several at a time, each in a process of its own, which may crash alone."""

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from dlcourse.config.machine import cores
from dlcourse.config.options import Count, Positive
from dlcourse.config.run_config import RunConfig
from dlcourse.error_line import error_line, report
from dlcourse.errors import ConfigError
from dlcourse.runs.folder import RunFolder
from dlcourse.runs.result import RunResult
from dlcourse.signals import Stop
from dlcourse.sweeps.agenda import Agenda, Outcome
from dlcourse.sweeps.outcome import log_of, record_failure
from dlcourse.sweeps.plan import command
from dlcourse.sweeps.progress import RunLines
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
        self._lines = RunLines(agenda)

    def do(self, stop: Stop) -> None:
        """Do all that the agenda asks for; less if told to stop."""
        jobs, threads = jobs_and_threads(self._options, self._agenda.total)
        if jobs * (threads or 1) > cores():
            self._lines.note("note", f"{jobs} jobs of {threads or 1} threads share {cores()} processors")
        seconds = None if self._options.minutes is None else 60 * self._options.minutes
        total, done = self._agenda.parts
        with self._lines:
            team = Team(min(jobs, total - done), seconds, self._locked.leave_lock_to_parent, self._work)
            for ended in run_all(team, self._take, lambda: stop.received is not None):
                self._finish(ended, is_stopped=stop.received is not None)

    def _take(self) -> Task | None:
        """The run to begin now, which is said."""
        place = self._agenda.take()
        if place is None:
            return None
        run, config = self._agenda.plan.runs[place], self._agenda.configs[place]
        folder = self._folder / run.folder
        order = json.dumps([str(folder), config.to_mapping(), run.words])
        self._lines.begun(place)
        return Task(place, order, log_of(folder), command(run, folder, self._agenda.plan.config_dir))

    def _work(self, order: str) -> int:
        """What a worker does for a run; returns its exit code."""
        where, mapping, words = json.loads(order)
        folder = Path(where)
        try:
            begun = folder.exists()
            wait_until_free(folder)
            config = RunConfig.from_mapping(mapping)
            placed = replace(config, run=replace(config.run, dir=where))
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
        self._lines.ended(place, reached, ended.task.log.name, is_stopped=is_stopped)
        self._agenda.ended(place, reached)


def wait_until_free(folder: Path) -> None:
    """Wait while another process works in a run's folder: one of a sweep that was killed ends as soon as it has saved."""
    until = time.monotonic() + _PATIENCE
    while folder.exists() and time.monotonic() < until:
        with contextlib.suppress(ConfigError), RunFolder(folder).locked():
            return
        time.sleep(0.1)
