"""The Hydra plugins behind `dlcourse train -m`; Hydra finds plugins in this package and in no other."""

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from omegaconf import ListConfig, open_dict

from dlcourse.cli import config_files, hydra_guard
from dlcourse.cli.folds import require_folds
from dlcourse.cli.hydra_errors import hydra_errors_as_one_line
from dlcourse.cli.hydra_overrides import parse
from dlcourse.cli.search import SearchOptions, planned_search, words_of_experiment
from dlcourse.cli.sweep import begin_or_go_on, composed, planned_sweep
from dlcourse.config.options import Count, check_options
from dlcourse.config.paths import user_path
from dlcourse.config.run_config import FolderConfig
from dlcourse.error_line import report
from dlcourse.errors import ConfigError
from dlcourse.runs.folder import claim_folder
from dlcourse.signals import Stop, StoppedError
from dlcourse.sweeps.folds import with_folds
from dlcourse.sweeps.grid import SOME_FAILED, OnlyRunFailedError, combinations, job_name
from dlcourse.sweeps.launch import SLURM, launch
from dlcourse.sweeps.local import LocalOptions
from dlcourse.sweeps.plan import PlannedRun
from dlcourse.sweeps.ranking import SEED, Job
from dlcourse.sweeps.slurm_job import SlurmOptions
from dlcourse.sweeps.summary import write_summary

_RESUME = "resume=auto"


@dataclasses.dataclass(frozen=True)
class SweepOptions:
    """`seeds`: how often each run is repeated, with seed 0, 1, 2, ..."""

    seeds: Count | None = None


class Sweeper(BasicSweeper):
    """Every combination of the given values, refused as a whole if one of them cannot run."""

    def __init__(self, seeds: Any = None) -> None:
        super().__init__(max_batch_size=None)
        self._seeds = seeds

    def sweep(self, arguments: list[str]) -> Sequence[JobReturn]:
        """Run all combinations, print and write the ranking.

        Raises ConfigError before the first run, and SystemExit after the last if one failed, whose error was told. A sweep
        of one run that fails ends as that run by itself would: OnlyRunFailedError.
        """
        assert self.config is not None and self.launcher is not None
        words = self._words(arguments)
        overrides = self._parser().parse_overrides([*words, *self._repetitions(words)])
        runs = with_folds(combinations(overrides), self._k_fold())
        varied = [index for index in range(len(runs[0])) if len({run[index] for run in runs}) > 1]
        planned = [
            PlannedRun(tuple(run), words, job_name(number, len(runs), words))
            for number, run in enumerate(runs, start=1)
            for words in [tuple(run[index] for index in varied)]
        ]
        root = self._root()
        if isinstance(self.launcher, SlurmLauncher) or (isinstance(self.launcher, LocalLauncher) and len(runs) > 1):
            self._sweep_in_processes(root, planned, resume=_RESUME in arguments)
            return []
        if _RESUME in arguments:
            raise ConfigError(f"{_RESUME} with -m is for several runs with hydra/launcher=local; leave one of them out")
        for run in planned:
            composed(run, self._config_dir())
        folder = claim_folder(root)
        jobs = [Job(run.varied, folder / run.folder) for run in planned]
        for job, words_of_run in zip(jobs, runs, strict=True):
            words_of_run.append(f"run.dir={QuotedString(str(job.folder), Quote.single).with_quotes()}")
        returns = self.launcher.launch(runs, initial_job_idx=0)
        for job, returned in zip(jobs, returns, strict=False):
            job.outcome = returned.return_value
        if len(jobs) == 1 and isinstance(error := jobs[0].outcome, Exception):
            with contextlib.suppress(OSError):  # if the run had not begun to write, there is nothing to keep
                folder.rmdir()
            raise OnlyRunFailedError(error)
        write_summary(folder, jobs)
        if isinstance(self.launcher, Launcher) and self.launcher.stopped_by is not None:
            raise self.launcher.stopped_by
        if any(isinstance(job.outcome, Exception) for job in jobs):
            raise SystemExit(SOME_FAILED)
        return returns

    def _parser(self) -> OverridesParser:
        """Reads words, also those whose values are the names of entries: `model=glob(r*)`."""
        assert self.hydra_context is not None
        return OverridesParser.create(config_loader=self.hydra_context.config_loader)

    def _words(self, arguments: list[str]) -> list[str]:
        """The words of the command line that say what to run."""
        return [word for word in arguments if word != _RESUME]

    def _k_fold(self) -> Any:
        """The folds of the chosen config files, for runs whose words do not say it."""
        assert self.config is not None
        return self.config.data.get("k_fold")

    def _root(self) -> Path:
        """The folder in which this sweep gets a new one."""
        assert self.config is not None
        name = FolderConfig(name=self.config.run.name).name or "multirun"
        return user_path(str(self.config.run.root), "run.root") / name

    def _repetitions(self, words: list[str]) -> list[str]:
        """The word that repeats each run with other seeds if `hydra.sweeper.seeds` asks for it; raises ConfigError."""
        options = SweepOptions(**check_options(SweepOptions, {"seeds": self._seeds}, where="hydra.sweeper"))
        if options.seeds is None:
            return []
        if given := next((word for word in words if word.startswith(f"{SEED}=")), None):
            raise ConfigError(f"hydra.sweeper.seeds={options.seeds} and {given} both give seeds; leave one of them out")
        return [f"{SEED}=range(0,{options.seeds})"]

    def _sweep_in_processes(self, root: Path, planned: list[PlannedRun], *, resume: bool) -> None:
        """Run all in processes of their own, in a new folder, or if asked for in the newest of the same runs."""
        assert isinstance(self.launcher, LocalLauncher | SlurmLauncher)
        options = launch(self.launcher.options)
        plan, configs = planned_sweep(planned, self._config_dir(), options)
        require_folds(configs)
        begin_or_go_on(root, plan, configs, resume=resume)

    def _config_dir(self) -> str | None:
        """The folder of the user's config files, if one was given."""
        assert self.config is not None
        sources = self.config.hydra.runtime.config_sources
        return next((str(source.path) for source in sources if source.provider == "command-line"), None)


class SearchSweeper(Sweeper):
    """The best values of options, looked for between bounds."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self._options = options

    def sweep(self, arguments: list[str]) -> Sequence[JobReturn]:
        """Run the trials, print and write the ranking; raises as Sweeper."""
        assert self.config is not None
        if not isinstance(self.launcher, LocalLauncher | SlurmLauncher):
            raise ConfigError(
                "hydra/sweeper=search runs its trials with hydra/launcher=local or slurm; write one of them"
            )
        options = SearchOptions(**check_options(SearchOptions, self._options, where="hydra.sweeper"))
        launcher = launch(self.launcher.options)
        words = self._words(arguments)
        words += words_of_experiment(self.config.get(hydra_guard.SEARCH, {}), words)
        config_dir = self._config_dir()
        parsed = parse(words)
        hydra_guard.check(parsed, config_files.folders(config_dir), sweep=True)
        overrides = self._parser().parse_overrides([str(override.input_line) for override in parsed])
        plan = planned_search(overrides, config_dir, launcher, options)
        begin_or_go_on(self._root(), plan, [], resume=_RESUME in arguments)
        return []


class Launcher(BasicLauncher):
    """Runs one after another in this process; Ctrl-C or another signal to stop ends the sweep with the runs done so far."""

    stopped_by: KeyboardInterrupt | StoppedError | None = None
    """What ended the latest sweep before its time."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """The outcomes of the runs, fewer than asked for if it was stopped. A failed run does not stop the others."""
        returns: list[JobReturn] = []
        self.stopped_by = None
        try:
            with Stop():
                self._launch(job_overrides, initial_job_idx, returns)
        except (KeyboardInterrupt, StoppedError) as stop:
            self.stopped_by = stop
        return returns

    def _launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int, returns: list[JobReturn]) -> None:
        for index, overrides in enumerate(job_overrides):
            words = [word for word in overrides if not word.startswith("run.dir=")]
            print(f"\nrun {index + 1} of {len(job_overrides)}  {' '.join(words)}".rstrip(), flush=True)
            returns.append(self._run(overrides, initial_job_idx + index))
            if isinstance(error := returns[-1].return_value, Exception) and len(job_overrides) > 1:
                report(error)

    def _run(self, overrides: Sequence[str], number: int) -> JobReturn:
        assert self.config is not None and self.hydra_context is not None and self.task_function is not None
        setup_globals()
        try:
            with hydra_errors_as_one_line():
                config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        except ConfigError as error:  # composed anew: a file has changed since the sweep was checked
            failed = JobReturn(overrides=overrides, status=JobStatus.COMPLETED)
            failed.return_value = error
            return failed
        with open_dict(config):
            config.hydra.job.id = str(number)
            config.hydra.job.num = number
        return run_job(
            hydra_context=self.hydra_context,
            task_function=self.task_function,
            config=config,
            job_dir_key="hydra.run.dir",
            job_subdir_key=None,
        )


class LocalLauncher(Launcher):
    """Several runs at a time on this machine, each in a process of its own: see LocalOptions. A single run needs none."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = options


class SlurmLauncher(Launcher):
    """Each run as a job of a SLURM cluster: see SlurmOptions."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        plain = {name: list(value) if isinstance(value, ListConfig) else value for name, value in options.items()}
        self.options = {"name": SLURM, **plain}


_SWEEP: dict[str, Any] = dataclasses.asdict(SweepOptions())
_SEARCH: dict[str, Any] = dataclasses.asdict(SearchOptions())
_LOCAL: dict[str, Any] = dataclasses.asdict(LocalOptions())
_SLURM: dict[str, Any] = dataclasses.asdict(SlurmOptions())
for _plugin, _group, _name, _options in (
    (Sweeper, "hydra/sweeper", "dlcourse", _SWEEP),
    (SearchSweeper, "hydra/sweeper", "search", _SEARCH),
    (Launcher, "hydra/launcher", "dlcourse", {}),
    (LocalLauncher, "hydra/launcher", "local", _LOCAL),
    (SlurmLauncher, "hydra/launcher", "slurm", _SLURM),
):
    _node = {"_target_": f"{_plugin.__module__}.{_plugin.__name__}", **_options}
    ConfigStore.instance().store(group=_group, name=_name, node=_node, provider="dlcourse")
