"""The runs of a sweep on a SLURM cluster: submitted as jobs, and watched until they have ended, if somebody waits."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from dlcourse.signals import Stop
from dlcourse.sweeps.agenda import Agenda, Outcome
from dlcourse.sweeps.outcome import log_of
from dlcourse.sweeps.plan import command
from dlcourse.sweeps.progress import RunLines
from dlcourse.sweeps.slurm import SlurmError, cancel_hint, queued, submit
from dlcourse.sweeps.slurm_job import SlurmOptions, write_job
from dlcourse.text_table import counted

_GLANCE = 2.0
"""Seconds between looks at the queue, of which a cluster's administrators think well."""
_BETWEEN_SIGNALS = 0.2
_MOST_SILENT = 5
"""So many looks in a row may find no answer; then the cluster is gone."""
_WAITS = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "CONFIGURING")
"""The states of a job that does not run yet, or not at the moment."""


class SlurmRuns:
    """The runs of a sweep, whose folder must be one that the nodes of the cluster share with this machine.

    `read` gives what a run of the sweep has come to, by its place.
    """

    def __init__(self, folder: Path, agenda: Agenda, options: SlurmOptions, read: Callable[[int], Outcome]) -> None:
        self._folder = folder
        self._agenda = agenda
        self._options = options
        self._read = read
        self._lines = RunLines(agenda)
        self._running: set[int] = set()
        """The places of the runs that have been said to have begun."""
        self._silent = 0

    def do(self, stop: Stop) -> None:
        """Submit what is neither done nor queued, and wait for all of it if that is wanted, until `stop` hears a signal.

        Jobs go on without whoever waits for them. Raises ConfigError if sbatch refuses, SlurmError if the cluster is gone.
        """
        watched = self._submit(queued(self._folder))
        if not self._options.wait:
            return
        with self._lines:
            while watched and stop.received is None:
                _sleep(stop)
                if (states := self._look()) is None:
                    continue
                for place in sorted(watched):
                    self._say_begun(place, states.get(place, ""))
                    if place not in states:
                        watched.remove(place)
                        self._finish(place)
                watched |= self._submit(states)
        if watched:
            self._lines.note("note", f"the jobs go on; {cancel_hint(self._folder)}")

    def _submit(self, states: Mapping[int, str]) -> set[int]:
        """The runs whose turn it is: those that are not queued are submitted, all at once."""
        places = set[int]()
        while (place := self._agenda.take()) is not None:
            places.add(place)
        if new := sorted(place for place in places if place not in states):
            write_job(self._folder, self._options, self._commands(), self._agenda.total)
            jobs = submit(self._folder, self._options, new)
            self._lines.note("slurm", f"{counted(len(new), 'run')} as job {', '.join(map(str, jobs))}")
        if places and not self._options.wait:
            self._lines.note("look", cancel_hint(self._folder))
        return places

    def _commands(self) -> list[list[str]]:
        plan = self._agenda.plan
        return [command(run, (self._folder / run.folder).absolute(), plan.config_dir) for run in plan.runs]

    def _look(self) -> Mapping[int, str] | None:
        """The queue; None if the cluster does not answer at the moment, of which nothing follows."""
        try:
            states = queued(self._folder)
        except SlurmError as error:
            self._silent += 1
            if self._silent >= _MOST_SILENT:
                raise SlurmError(f"{error}; the jobs go on: {cancel_hint(self._folder)}") from error
            return None
        self._silent = 0
        return states

    def _say_begun(self, place: int, state: str) -> None:
        if state in _WAITS:
            self._running.discard(place)
        elif state and place not in self._running:
            self._running.add(place)
            self._lines.begun(place)

    def _finish(self, place: int) -> None:
        reached = self._read(place)
        self._running.discard(place)
        self._lines.ended(place, reached, log_of(self._folder / self._agenda.plan.runs[place].folder).name)
        self._agenda.ended(place, reached)


def _sleep(stop: Stop) -> None:
    """Wait a while, less if a signal comes."""
    until = time.monotonic() + _GLANCE
    while stop.received is None and time.monotonic() < until:
        time.sleep(_BETWEEN_SIGNALS)
