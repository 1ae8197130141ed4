"""A sweep from its list of runs to its table, as `dlcourse train -m` begins it and `dlcourse resume` continues it."""

import contextlib
import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from dlcourse.cli import config_files, hydra_guard
from dlcourse.cli.hydra_overrides import parse
from dlcourse.cli.train import load_session, named
from dlcourse.config.registry import Choice
from dlcourse.config.run_config import RunConfig
from dlcourse.console import Console
from dlcourse.errors import ConfigError, DataError
from dlcourse.runs.find import is_sweep
from dlcourse.runs.folder import RunFolder, claim_folder, output_errors
from dlcourse.runs.result import RunResult
from dlcourse.signals import Stop
from dlcourse.sweeps.agenda import Agenda, Outcome, SearchAgenda
from dlcourse.sweeps.grid import SOME_FAILED
from dlcourse.sweeps.launch import Launch, jobs_and_threads, launch, written
from dlcourse.sweeps.local import LocalRuns
from dlcourse.sweeps.outcome import RunDivergedError, RunFailedError, compared_by, outcome
from dlcourse.sweeps.plan import Plan, PlannedRun, read_plan, write_plan
from dlcourse.sweeps.ranking import Job, rank
from dlcourse.sweeps.search import described
from dlcourse.sweeps.slurm_job import SlurmOptions
from dlcourse.sweeps.slurm_runs import SlurmRuns
from dlcourse.sweeps.summary import write_summary
from dlcourse.text_table import counted

_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


def planned_sweep(runs: Sequence[PlannedRun], config_dir: str | None, options: Launch) -> tuple[Plan, list[RunConfig]]:
    """The plan of these runs, and the config of each; raises ConfigError for the first that cannot run.

    If several run at a time, each is told its number of threads, on which its last digits depend.
    """
    planned, configs = [], [composed(run, config_dir) for run in runs]
    options = for_gpu(options, configs)
    _, threads = jobs_and_threads(options, len(runs))
    for place, (run, config) in enumerate(zip(runs, configs, strict=True)):
        if word := threads_word(config, threads):
            run = dataclasses.replace(run, words=(*run.words, word))
            device = Choice(config.device.name, {**config.device.options, "threads": threads})
            configs[place] = dataclasses.replace(config, device=device)
        planned.append(run)
    return Plan(tuple(planned), config_dir, written(options)), configs


def for_gpu(options: Launch, configs: Sequence[RunConfig]) -> Launch:
    """The options if any of these runs takes a GPU; that of this machine does one at a time unless it is told to do more.

    Raises ConfigError for a job that asks for a GPU which its run leaves alone.
    """
    if isinstance(options, SlurmOptions):
        if options.gpus is not None and (
            cpu := next((config for config in configs if config.device.name == "cpu"), None)
        ):
            raise ConfigError(
                f"hydra.launcher.gpus={options.gpus} with device={cpu.device.name}: the run would leave it idle; write "
                "device=cuda, or leave gpus out"
            )
        return options
    return dataclasses.replace(options, jobs=1) if options.jobs is None and any(map(_takes_gpu, configs)) else options


def threads_word(config: RunConfig, threads: int | None) -> str:
    """The word that gives a run its number of threads; empty if it has one, or is to have all."""
    return f"device.threads={threads}" if threads and config.device.options.get("threads", threads) is None else ""


def _takes_gpu(config: RunConfig) -> bool:
    """Whether a run will; torch is not asked, as CUDA cannot be used in a process that is forked afterwards."""
    return config.device.name in ("cuda", "mps") or (config.device.name == "auto" and _NVIDIA_DRIVER.exists())


def begin_or_go_on(root: Path, plan: Plan, configs: Sequence[RunConfig], *, resume: bool) -> None:
    """Do a sweep in a new folder below `root`, or if asked for in the newest of the same runs there; raises as `go_on`."""
    folder = newest_of_same(root, plan) if resume else None
    if folder is None:
        write_plan(folder := claim_folder(root), plan)
    elif plan.search is not None:  # of which this list is empty, and that one is not
        plan = read_plan(folder)
        configs = [composed(run, plan.config_dir) for run in plan.runs]
    go_on(folder, plan, configs)


def newest_of_same(root: Path, plan: Plan) -> Path | None:
    """The newest sweep of the same runs in this folder."""
    for folder in sorted(filter(is_sweep, root.glob("*")), reverse=True):
        with contextlib.suppress(DataError):  # what cannot be read is not ours to resume
            if read_plan(folder).is_same_list(plan):
                return folder
    return None


def composed(run: PlannedRun, config_dir: str | None) -> RunConfig:
    """The checked config of a run; raises ConfigError, which names the run."""
    try:
        config: DictConfig = hydra_guard.compose(parse(list(run.words)), config_files.folders(config_dir))
        choices = dict(config.hydra.runtime.choices)
        checked = named(hydra_guard.run_config(config), choices)
        session = load_session()
        session.check_entries(checked)
        session.require_one_length(checked, run.words)
    except ConfigError as error:
        which = f" (in the run with {' '.join(run.varied)})" if run.varied else ""
        raise ConfigError(f"{error}{which}") from error
    return checked


def checked(run: PlannedRun, config_dir: str | None) -> RunConfig:
    """The same of a run whose words may be a stranger's, and are checked like a command line first."""
    hydra_guard.check(parse(list(run.words)), config_files.folders(config_dir), sweep=False)
    return composed(run, config_dir)


def go_on(folder: Path, plan: Plan, configs: Sequence[RunConfig], *, retry_failed: bool = False) -> None:
    """Do what is left of a sweep, then print and write its table.

    Raises StoppedError if it was told to stop, and SystemExit if not all runs are done.
    """
    options = launch(plan.launcher)
    with Stop() as stop, stop.deferred(), RunFolder(folder).locked() as locked:
        jobs = _jobs(folder, plan, configs)
        todo = [place for place, job in enumerate(jobs) if _is_to_do(job, retry_failed=retry_failed)]
        agenda = _agenda(folder, plan, configs, jobs, todo)
        parts, before = agenda.parts
        _say_begin(folder, jobs, agenda, options, retry_failed=retry_failed)
        if before < parts:
            if not _do(locked, agenda, options, stop):
                return
            jobs = _jobs(folder, agenda.plan, agenda.configs)
        if jobs:  # a search that was stopped at once has none
            is_new = before < parts or not any(folder.glob("events.*"))
            _write(folder, agenda.plan, agenda.configs, jobs, is_new=is_new)
        stop.check()
    if not all(_is_fine(job, is_search=plan.search is not None) for job in jobs):
        raise SystemExit(SOME_FAILED)


def _do(locked: RunFolder, agenda: Agenda, options: Launch, stop: Stop) -> bool:
    """Do what the agenda asks for, or let it be done by others; returns whether it has come to its end here."""
    read = functools.partial(_outcome, locked.path, agenda)
    if isinstance(options, SlurmOptions):
        SlurmRuns(locked.path, agenda, options, read).do(stop)
        return options.wait
    LocalRuns(locked, agenda, options, load_session(), read).do(stop)
    return True


def _agenda(folder: Path, plan: Plan, configs: Sequence[RunConfig], jobs: Sequence[Job], todo: Sequence[int]) -> Agenda:
    if plan.search is None:
        return Agenda(plan, configs, todo)
    outcomes = [job.outcome for job in jobs]
    return SearchAgenda(folder, plan, configs, todo, outcomes, lambda run: checked(run, plan.config_dir))


def _outcome(folder: Path, agenda: Agenda, place: int) -> Outcome:
    return _jobs(folder, agenda.plan, agenda.configs, [place])[0].outcome


def _jobs(folder: Path, plan: Plan, configs: Sequence[RunConfig], places: Sequence[int] | None = None) -> list[Job]:
    """The runs at these places, or all, with what each has come to."""
    jobs = []
    for place in range(len(plan.runs)) if places is None else places:
        run = plan.runs[place]
        reached: Outcome = outcome(folder / run.folder)
        if plan.search is not None and isinstance(reached, RunResult):
            is_short = plan.search.method == "halving" and reached.epochs < configs[place].trainer.epochs
            reached = None if is_short else compared_by(reached, plan.search.metric, plan.search.direction)
        jobs.append(Job(run.varied, folder / run.folder, reached))
    return jobs


def _is_fine(job: Job, *, is_search: bool) -> bool:
    return isinstance(job.outcome, RunResult) or (is_search and isinstance(job.outcome, RunDivergedError))


def _write(folder: Path, plan: Plan, configs: Sequence[RunConfig], jobs: Sequence[Job], *, is_new: bool) -> None:
    """Print the table, and write what the sweep has come to."""
    from dlcourse.sweeps.columns import write_columns  # with torch, which no other command is to wait for
    from dlcourse.sweeps.pictures import write_pictures

    ranked, pictures = rank(jobs), list[str]()
    if is_new:
        write_columns(folder, plan, configs, ranked)
        by_folder = {job.folder: config for job, config in zip(jobs, configs, strict=True)}
        with output_errors(folder):
            is_search = plan.search is not None
            pictures = write_pictures(folder, ranked, by_folder, f"sweep {folder.name}", is_search=is_search)
    write_summary(folder, jobs, pictures)


def _is_to_do(job: Job, *, retry_failed: bool) -> bool:
    return not isinstance(job.outcome, RunResult) and (retry_failed or not isinstance(job.outcome, RunFailedError))


def _say_begin(folder: Path, jobs: Sequence[Job], agenda: Agenda, options: Launch, *, retry_failed: bool) -> None:
    console = Console()
    parts, before = agenda.parts
    at_a_time, threads = jobs_and_threads(options, max(1, parts - before))
    each = "" if threads is None else f", {counted(threads, 'thread')} each"
    how = f", {at_a_time} at a time{each}" if before < parts else ""
    console.show("sweep", str(folder))
    done = sum(isinstance(job.outcome, RunResult) for job in jobs)
    search = agenda.plan.search
    ended = [job for job in jobs if isinstance(job.outcome, RunFailedError)]
    failed = 0 if retry_failed else sum(not _is_fine(job, is_search=search is not None) for job in ended)
    there = f"   {done} are done" * (done > 0) + f"   {failed} failed: retry=failed tries them again" * (failed > 0)
    what = counted(agenda.total, "run") if search is None else described(search)
    console.say("", f"{what}{how}{there}")
