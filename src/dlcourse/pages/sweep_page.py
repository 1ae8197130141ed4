"""What the page of a sweep or a search shows, gathered from its folder and those of its runs; nothing is drawn again."""

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcourse.console import format_seconds
from dlcourse.errors import ConfigError
from dlcourse.pages import numbers
from dlcourse.pages.figures import end_pictures, read_figures
from dlcourse.pages.parts import Fact, Figure, Table, shortened
from dlcourse.pages.run_page import LONGEST_COMMAND
from dlcourse.runs.record import read_record, whole_config
from dlcourse.runs.result import RunResult, read_report
from dlcourse.sweeps.agenda import Outcome
from dlcourse.sweeps.outcome import compared_by, outcome
from dlcourse.sweeps.plan import Plan, PlannedRun, read_plan
from dlcourse.sweeps.ranking import Group, Job, rank, repeated_over
from dlcourse.sweeps.search import EPOCHS, Choices, Range, described
from dlcourse.sweeps.summary import Summary, summarize
from dlcourse.text_table import counted

_UNNAMED = "multirun"
"""The folder of sweeps that nobody has given a name."""
_FEW = 4
_MOST_ROWS = 200
_MOST_PICTURES = 12
_MOST_LINES, _LONGEST_LINE = 40, 400


@dataclass(frozen=True)
class SweepPage:
    """Everything on the page of a sweep, in the order in which it stands there."""

    name: str
    subject: str
    facts: tuple[Fact, ...]
    tiles: tuple[Fact, ...]
    command: str
    command_note: str
    varied: Table | None
    heading: str
    table: Table
    best: Fact
    best_command: str
    best_results: Table
    failures: tuple[str, ...]
    pictures: tuple[Figure, ...]
    problems: tuple[str, ...]
    folder: str


def sweep_page(folder: Path) -> SweepPage:
    """The page of the sweep in this folder; raises DataError and ConfigError if it is not done, or has no run that is."""
    plan = read_plan(folder)
    jobs = sweep_jobs(folder, plan)
    left = sum(job.outcome is None for job in jobs) + _not_chosen(plan)
    if left:
        raise ConfigError(
            f"{folder} is not finished, {counted(left, 'run')} still to do; write dlcourse resume "
            f"{shlex.quote(str(folder))}"
        )
    summary, ranked = summarize(jobs), rank(jobs)
    if not ranked:
        raise ConfigError(f"{folder} has no run that ended well; a report needs one")
    best = ranked[0].best_run
    figures, problems = read_figures(end_pictures(folder, _MOST_PICTURES), f"sweep {folder.name}")
    command, note = sweep_command(plan)
    subject, is_unnamed = _subject(ranked), folder.parent.name == _UNNAMED
    return SweepPage(
        name=subject if is_unnamed else folder.parent.name,
        subject=_what_varies(plan) if is_unnamed else f"{subject}: {_what_varies(plan)}",
        facts=tuple(_facts(plan, jobs, ranked, folder)),
        tiles=tuple(_tiles(ranked[0])),
        command=shortened(command, LONGEST_COMMAND),
        command_note=note,
        varied=_varied(plan),
        heading=summary.heading[:1].upper() + summary.heading[1:],
        table=_table(summary),
        best=Fact(best.folder.name, shortened(" ".join(ranked[0].words), _LONGEST_LINE)),
        best_command=f"dlcourse report {shlex.quote(str(best.folder))}",
        best_results=numbers.results(read_report(best.folder), _task(best.folder)),
        failures=tuple(shortened(line, _LONGEST_LINE) for line in summary.failures[:_MOST_LINES]),
        pictures=tuple(figures),
        problems=tuple(problems),
        folder=str(folder),
    )


def sweep_jobs(folder: Path, plan: Plan) -> list[Job]:
    """The runs of a sweep with what each has come to; those of a search are compared by the number that it looks at."""
    jobs = []
    for run in plan.runs:
        reached: Outcome = outcome(folder / run.folder)
        if plan.search is not None and isinstance(reached, RunResult):
            is_short = plan.search.method == "halving" and reached.epochs < _told_epochs(run)
            reached = None if is_short else compared_by(reached, plan.search.metric, plan.search.direction)
        jobs.append(Job(run.varied, folder / run.folder, reached))
    return jobs


def _told_epochs(run: PlannedRun) -> int:
    """For how many epochs a run of `halving` is trained by now."""
    told = [word.partition("=")[2] for word in run.words if word.startswith(f"{EPOCHS}=")]
    return int(told[-1]) if told and told[-1].isdecimal() else 0


def _not_chosen(plan: Plan) -> int:
    """The runs that a search has still to choose."""
    search = plan.search
    return 0 if search is None else max(0, search.trials * search.repetitions - len(plan.runs))


def sweep_command(plan: Plan) -> tuple[str, str]:
    """A command that does the same, and what is to be said of it.

    The words that were typed are not kept. Those of a grid follow from its runs: each value of each option, if the runs
    are all combinations.
    """
    places = [] if plan.config_dir is None else ["--config-dir", plan.config_dir]
    if plan.search is not None:
        words = [f"{option}={_range(values)}" for option, values in plan.search.space.items()]
        more = [f"hydra.sweeper.trials={plan.search.trials}", f"hydra.sweeper.method={plan.search.method}"]
        command = ["dlcourse", "train", *places, "-m", "hydra/sweeper=search", *more, *plan.search.words, *words]
        return shlex.join(command), ""
    values = _values(plan)
    is_plain = not any("," in value for found in values.values() for value in found)
    is_grid = is_plain and math.prod(map(len, values.values())) == len(plan.runs)
    common = [word for word in plan.runs[0].words if word not in plan.runs[0].varied]
    if is_grid:
        varied = [f"{option}={','.join(found)}" for option, found in values.items()]
        return shlex.join(["dlcourse", "train", *places, "-m", *common, *varied]), ""
    return shlex.join(["dlcourse", "train", *places, *plan.runs[0].words]), "The first of its runs alone:"


def _values(plan: Plan) -> dict[str, list[str]]:
    """The values of each option that varies, in the order in which they come."""
    values: dict[str, dict[str, None]] = {}
    for run in plan.runs:
        for word in run.varied:
            option, _, value = word.partition("=")
            values.setdefault(option, {})[value] = None
    return {option: list(found) for option, found in values.items()}


def _range(values: Range) -> str:
    """As it is typed behind `dlcourse train -m`."""
    if isinstance(values, Choices):
        return f"choice({','.join(values.words)})"
    interval = f"interval({values.low},{values.high})"
    return f"tag(log,{interval})" if values.log else interval


def _varied(plan: Plan) -> Table | None:
    """The options that vary, and their values."""
    if plan.search is not None:
        rows = [[option, _range(values)] for option, values in plan.search.space.items()]
        return Table.of("What was searched", ("Option", "Values"), rows, words=(0, 1))
    values = _values(plan)
    rows = [[option, ", ".join(found)] for option, found in values.items()]
    return Table.of("What varies", ("Option", "Values"), rows, words=(0, 1)) if rows else None


def _what_varies(plan: Plan) -> str:
    """`12 runs that differ in optimizer.lr and seed`."""
    options = list(plan.search.space) if plan.search is not None else list(_values(plan))
    differ = f" that differ in {_few(options, 'options')}" if options else ""
    return f"{counted(len(plan.runs), 'run')}{differ}"


def _subject(ranked: Sequence[Group]) -> str:
    """`mlp on digits`, or how many models and data sets were compared."""
    records = [read_record(run.folder) for group in ranked for _, run in group.runs]
    models, data = (dict.fromkeys(getattr(record, name) for record in records) for name in ("model", "data"))
    return f"{_few(list(models), 'models')} on {_few(list(data), 'data sets')}"


def _few(names: Sequence[str], what: str) -> str:
    """`a, b and c`; of many, how many there are."""
    *first, last = names
    return f"{len(names)} {what}" if len(names) > _FEW else " and ".join([*([", ".join(first)] if first else []), last])


def _facts(plan: Plan, jobs: Sequence[Job], ranked: Sequence[Group], folder: Path) -> list[Fact]:
    """How many runs there are, and how long they took together."""
    done = [run for group in ranked for _, run in group.runs]
    facts = [Fact("Runs", f"{len(done):,}", "" if len(done) == len(jobs) else f"of {len(jobs):,}; the others failed")]
    if plan.search is not None:
        facts.append(Fact("Search", described(plan.search)))
    elif len(ranked) < len(done):
        facts.append(Fact("Settings", f"{len(ranked):,}", f"each with several {repeated_over(ranked)}"))
    facts.append(Fact("Time of all runs", format_seconds(math.fsum(run.seconds for run in done))))
    facts.append(Fact("Sweep", folder.name))
    return facts


def _tiles(best: Group) -> list[Fact]:
    """The validation number by which the best setting was found, and what its best run reached on the test set."""
    metric = best.monitor
    over = f"mean over {len(best.runs)} {repeated_over([best])}" if len(best.runs) > 1 else "best setting"
    tiles = [Fact(f"Validation {_plain(metric)}", best.shown(metric), over)]
    report = read_report(best.best_run.folder)
    name = metric.removeprefix("val/")
    if numbers.number(numbers.mapping(report.get("test")).get(name)) is not None:
        bounds = numbers.interval(report, name)
        note = "of its best run" + (f"; 95 % interval: {bounds}" if bounds else "")
        tiles.append(Fact(f"Test {_plain(metric)}", numbers.shown(name, report["test"][name]), note))
    return tiles


def _plain(metric: str) -> str:
    return numbers.in_line(metric.removeprefix("val/"))


def _table(summary: Summary) -> Table:
    head, *rows = summary.rows
    note = f"and {len(rows) - _MOST_ROWS:,} settings more in summary.csv" if len(rows) > _MOST_ROWS else ""
    return Table.of("All settings, the best first", head, rows[:_MOST_ROWS], words=sorted(summary.words), note=note)


def _task(folder: Path) -> str:
    config: Any = whole_config(read_record(folder))
    name = numbers.mapping(config.get("task")).get("name")
    return name if isinstance(name, str) else ""
