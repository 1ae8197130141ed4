"""A sweep from its list of runs to its table, as `dlcourse train -m` begins it and `dlcourse resume` continues it."""

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, open_dict

from dlcourse.cli import config_files, hydra_guard
from dlcourse.cli.hydra_overrides import parse
from dlcourse.cli.train import load_session, named
from dlcourse.config.options import check_options
from dlcourse.config.registry import Choice
from dlcourse.config.run_config import RunConfig
from dlcourse.console import Console
from dlcourse.errors import ConfigError, DataError
from dlcourse.runs.find import is_sweep
from dlcourse.runs.folder import RunFolder, output_errors
from dlcourse.runs.result import RunResult
from dlcourse.signals import Stop
from dlcourse.sweeps.grid import SOME_FAILED
from dlcourse.sweeps.local import LocalOptions, LocalRuns, jobs_and_threads
from dlcourse.sweeps.outcome import RunFailedError, outcome
from dlcourse.sweeps.plan import Plan, PlannedRun, read_plan
from dlcourse.sweeps.ranking import Job, rank
from dlcourse.sweeps.summary import write_summary

_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


def local_options(options: dict[str, Any]) -> LocalOptions:
    """The checked options of `hydra/launcher=local`; raises ConfigError."""
    return LocalOptions(**check_options(LocalOptions, options, where="hydra.launcher"))


def planned_sweep(
    runs: Sequence[PlannedRun], config_dir: str | None, options: LocalOptions
) -> tuple[Plan, list[RunConfig]]:
    """The plan of these runs, and the config of each; raises ConfigError for the first that cannot run.

    If several run at a time, each is told its number of threads, on which its last digits depend. A GPU takes one at a time,
    unless it is told to take more.
    """
    planned, configs = [], [composed(run, config_dir) for run in runs]
    if options.jobs is None and any(map(_takes_gpu, configs)):
        options = dataclasses.replace(options, jobs=1)
    _, threads = jobs_and_threads(options, len(runs))
    for place, (run, config) in enumerate(zip(runs, configs, strict=True)):
        if threads is not None and config.device.options.get("threads", threads) is None:
            run = dataclasses.replace(run, words=(*run.words, f"device.threads={threads}"))
            device = Choice(config.device.name, {**config.device.options, "threads": threads})
            configs[place] = dataclasses.replace(config, device=device)
        planned.append(run)
    return Plan(tuple(planned), config_dir, dataclasses.asdict(options)), configs


def _takes_gpu(config: RunConfig) -> bool:
    """Whether a run will; torch is not asked, as CUDA cannot be used in a process that is forked afterwards."""
    return config.device.name in ("cuda", "mps") or (config.device.name == "auto" and _NVIDIA_DRIVER.exists())


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
        with open_dict(config):
            del config["hydra"]
        checked = named(hydra_guard.run_config(config), choices)
        load_session().check_entries(checked)
    except ConfigError as error:
        which = f" (in the run with {' '.join(run.varied)})" if run.varied else ""
        raise ConfigError(f"{error}{which}") from error
    return checked


def go_on(folder: Path, plan: Plan, configs: Sequence[RunConfig], *, retry_failed: bool = False) -> None:
    """Do what is left of a sweep, then print and write its table.

    Raises StoppedError if it was told to stop, and SystemExit if not all runs are done.
    """
    options = local_options(dict(plan.launcher))
    with Stop() as stop, stop.deferred(), RunFolder(folder).locked() as locked:
        jobs = _jobs(folder, plan)
        todo = [place for place, job in enumerate(jobs) if _is_to_do(job, retry_failed=retry_failed)]
        _say_begin(folder, jobs, todo, options)
        if todo:
            LocalRuns(locked, plan, options, load_session()).do(todo, configs, stop)
            jobs = _jobs(folder, plan)
        _write(folder, plan, configs, jobs, is_new=bool(todo) or not any(folder.glob("events.*")))
        stop.check()
    if not all(isinstance(job.outcome, RunResult) for job in jobs):
        raise SystemExit(SOME_FAILED)


def _jobs(folder: Path, plan: Plan) -> list[Job]:
    return [Job(run.varied, folder / run.folder, outcome(folder / run.folder)) for run in plan.runs]


def _write(folder: Path, plan: Plan, configs: Sequence[RunConfig], jobs: Sequence[Job], *, is_new: bool) -> None:
    """Print the table, and write what the sweep has come to."""
    from dlcourse.sweeps.columns import write_columns  # with torch, which no other command is to wait for
    from dlcourse.sweeps.pictures import write_pictures

    ranked, pictures = rank(jobs), list[str]()
    if is_new:
        write_columns(folder, plan, configs, ranked)
        by_folder = {job.folder: config for job, config in zip(jobs, configs, strict=True)}
        with output_errors(folder):
            pictures = write_pictures(folder, ranked, by_folder, f"sweep {folder.name}")
    write_summary(folder, jobs, pictures)


def _is_to_do(job: Job, *, retry_failed: bool) -> bool:
    return not isinstance(job.outcome, RunResult) and (retry_failed or not isinstance(job.outcome, RunFailedError))


def _say_begin(folder: Path, jobs: Sequence[Job], todo: Sequence[int], options: LocalOptions) -> None:
    console = Console()
    at_a_time, threads = jobs_and_threads(options, max(1, len(todo)))
    each = "" if threads is None else f", {threads} thread{'s' * (threads > 1)} each"
    how = f", {at_a_time} at a time{each}" if todo else ""
    console.show("sweep", str(folder))
    done = sum(isinstance(job.outcome, RunResult) for job in jobs)
    failed = len(jobs) - len(todo) - done
    there = f"   {done} are done" * (done > 0) + f"   {failed} failed: retry=failed tries them again" * (failed > 0)
    console.say("", f"{len(jobs)} runs{how}{there}")
