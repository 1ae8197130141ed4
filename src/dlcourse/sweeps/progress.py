"""What a sweep says of its runs: a line when one begins and one when it ends, and a bar with the time that is left."""

from dlcourse.console import Console, format_metric, format_seconds
from dlcourse.runs.result import RunResult
from dlcourse.sweeps.agenda import Agenda, Outcome
from dlcourse.sweeps.outcome import RunFailedError


class RunLines:
    """The lines of a sweep, and its bar while this is entered."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self._console = Console()

    def __enter__(self) -> "RunLines":
        total, done = self._agenda.parts
        self._console.start_runs(total, done)
        return self

    def __exit__(self, *_: object) -> None:
        self._console.end_progress()

    def note(self, label: str, text: str) -> None:
        """Say something of the sweep as a whole."""
        self._console.say(label, text)

    def begun(self, place: int) -> None:
        """Say that the run there begins."""
        self._console.say("run", f"{self._number(place)}  {' '.join(self._agenda.plan.runs[place].varied)}")

    def ended(self, place: int, reached: Outcome, log: str, *, is_stopped: bool = False) -> None:
        """Say how it has ended: with what it reached, or with the file that tells more."""
        number = self._number(place)
        if isinstance(reached, RunResult):
            self._console.say("done", f"{number}  {_numbers(reached)}")
        elif isinstance(reached, Exception):
            see = f"; see {log}" if isinstance(reached, RunFailedError) else ""
            self._console.say("failed", f"{number}  {reached}{see}")
        elif is_stopped:
            self._console.say("stop", f"{number}  saved")
        else:
            self._console.say("failed", f"{number}  ended too early; see {log}")
        self._console.runs_done(1 if reached is not None else 0)

    def _number(self, place: int) -> str:
        count = self._agenda.total
        return f"{place + 1:{len(str(count))}} of {count}"


def _numbers(reached: RunResult) -> str:
    best = f"{reached.monitor} {format_metric(reached.monitor, reached.best)}"
    return f"{best}   epoch {reached.kept_epoch}   {format_seconds(reached.seconds)}"
