"""`dlcourse train -m`: Hydra plugins that check every combination first, run them one by one, and rank the results."""

import contextlib
import datetime
import itertools
import math
import re
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, run_job, setup_globals
from omegaconf import open_dict

from dlcourse import front_door
from dlcourse.error_report import report
from dlcourse.errors import ConfigError, OutputError, UserError
from dlcourse.plain_errors import hydra_errors_as_one_line
from dlcourse.sweep_summary import Job, write_summary

_MAX_JOBS = 10_000
_MAX_NAME = 100


class SweepFailed(UserError):
    """Some runs of a sweep failed; the others are done and ranked."""

    exit_code = 1


def register() -> None:
    """Make both plugins known to Hydra, as `hydra/sweeper=dlcourse` and `hydra/launcher=dlcourse`."""
    for group, plugin in {"hydra/sweeper": Sweeper, "hydra/launcher": Launcher}.items():
        Plugins.instance().register(plugin)
        node = {"_target_": f"{plugin.__module__}.{plugin.__name__}"}
        ConfigStore.instance().store(group=group, name="dlcourse", node=node, provider="dlcourse")


class Sweeper(BasicSweeper):
    """Every combination of the given values, refused as a whole where one of them cannot run."""

    __module__ = "hydra_plugins.dlcourse"  # Hydra instantiates plugins of this package only

    def __init__(self) -> None:
        super().__init__(max_batch_size=None)

    def sweep(self, arguments: list[str]) -> Sequence[JobReturn]:
        """Run all combinations, print and write the ranking. Raises ConfigError before the first run, SweepFailed after the last."""
        assert self.config is not None and self.launcher is not None and self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides(arguments)
        combinations = _combinations(overrides)
        varied = [index for index, override in enumerate(overrides) if override.is_sweep_override()]
        jobs = [Job([combination[index] for index in varied]) for combination in combinations]
        self._check(combinations, jobs)

        folder = make_sweep_folder(Path(str(self.config.run.root)).expanduser())
        for number, (job, combination) in enumerate(zip(jobs, combinations, strict=True), start=1):
            job.folder = folder / job_name(number, len(jobs), job.overrides)
            combination.append(f"run.dir={QuotedString(str(job.folder), Quote.single).with_quotes()}")
        returns = self.launcher.launch(combinations, initial_job_idx=0)
        for job, returned in zip(jobs, returns, strict=False):
            job.outcome = returned.return_value
        failed = write_summary(folder, jobs)
        if len(returns) < len(jobs):
            raise KeyboardInterrupt
        if failed:
            raise SweepFailed(f"{failed} of {len(jobs)} runs failed; their errors are in {folder / 'summary.txt'}")
        return returns

    def _check(self, combinations: list[list[str]], jobs: list[Job]) -> None:
        """Compose every combination; the first that cannot run is named."""
        assert self.config is not None and self.hydra_context is not None
        for combination, job in zip(combinations, jobs, strict=True):
            try:
                with hydra_errors_as_one_line():
                    config = self.hydra_context.config_loader.load_sweep_config(self.config, combination)
                with open_dict(config):
                    del config["hydra"]
                front_door.run_config(config)
            except ConfigError as error:
                which = f" (in the run with {' '.join(job.overrides)})" if job.overrides else ""
                raise ConfigError(f"{error}{which}") from error


def _combinations(overrides: list[Override]) -> list[list[str]]:
    """All combinations, the last override varying fastest; raises ConfigError for none at all and for too many."""
    values = [list(itertools.islice(_values(override), _MAX_JOBS + 1)) for override in overrides]
    for override, choices in zip(overrides, values, strict=True):
        if not choices:
            raise ConfigError(f"the sweep is empty: '{override.input_line}' gives no value")
    total = math.prod(len(choices) for choices in values)
    if total > _MAX_JOBS:
        raise ConfigError(f"the sweep has more than {_MAX_JOBS} runs; give fewer values")
    return [list(combination) for combination in itertools.product(*values)]


def _values(override: Override) -> Iterator[str]:
    key = override.get_key_element()
    if not override.is_sweep_override():
        yield f"{key}={override.get_value_element_as_str()}"
    elif override.is_discrete_sweep():
        yield from (f"{key}={value}" for value in override.sweep_string_iterator())
    else:
        raise ConfigError(f"'{override.input_line}' is a range without steps; write choice(...) or range(start,stop,step)")


def make_sweep_folder(root: Path) -> Path:
    """A new folder `<root>/multirun/<date>_<time>-<4 hex>`, never one that exists. Raises OutputError."""
    parent = root / "multirun"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        while True:
            now = datetime.datetime.now().astimezone()
            folder = parent / f"{now:%Y-%m-%d_%H%M%S}-{secrets.token_hex(2)}"
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                return folder
    except OSError as error:
        raise OutputError(f"cannot make a sweep folder in '{parent}': {error.strerror}; set run.root=FOLDER") from None


def job_name(number: int, total: int, overrides: Sequence[str]) -> str:
    """`03-model=mlp,optimizer.lr=0.1`: sorts by number, safe as a folder name, at most 100 characters."""
    readable = ",".join(re.sub(r"[^\w=.+-]+", "_", override, flags=re.ASCII) for override in overrides)
    return "-".join(filter(None, (f"{number:0{len(str(total))}d}", readable)))[:_MAX_NAME].rstrip(".,_-")


class Launcher(BasicLauncher):
    """Runs one after another in this process; Ctrl-C ends the sweep with the runs done so far."""

    __module__ = "hydra_plugins.dlcourse"

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """The outcomes of the runs, fewer than asked for where Ctrl-C ended it. A failed run does not stop the others."""
        returns: list[JobReturn] = []
        for index, overrides in enumerate(job_overrides):
            words = [word for word in overrides if not word.startswith("run.dir=")]
            print(f"\nrun {index + 1} of {len(job_overrides)}  {' '.join(words)}".rstrip(), flush=True)
            try:
                returns.append(self._run(overrides, initial_job_idx + index))
            except KeyboardInterrupt:
                break
            if isinstance(error := returns[-1].return_value, Exception):
                report(error)
        return returns

    def _run(self, overrides: Sequence[str], number: int) -> JobReturn:
        assert self.config is not None and self.hydra_context is not None and self.task_function is not None
        setup_globals()
        config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
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
