"""One training run from its config: build everything, fit, test once, and leave a run folder that tells all."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlcourse.config.run_config import FolderConfig, RunConfig
from dlcourse.console import Console
from dlcourse.device import DEVICES, Device, cpu, environment, keep_freed_memory, use_threads
from dlcourse.errors import ConfigError, DataError, DivergedError
from dlcourse.metrics.report import Report
from dlcourse.plugins import recorded
from dlcourse.runs.checkpoints import Checkpoints
from dlcourse.runs.find import checkpoints_of
from dlcourse.runs.folder import WEIGHTS, RunFolder
from dlcourse.runs.logger import Logger
from dlcourse.runs.reopen import run_facts, write_spec
from dlcourse.runs.result import RunResult
from dlcourse.runs.resume import Start, environment_changes, find_same, read_start, read_status
from dlcourse.runs.saver import Saver, restore, save_again
from dlcourse.runs.status import explained, recorded_status
from dlcourse.runs.test_looks import root_above
from dlcourse.signals import Stop
from dlcourse.tasks import choose
from dlcourse.training import run_report
from dlcourse.training.build import build_data, check_announced, check_entries, fingerprint, planned_lr
from dlcourse.training.debug.first_step import check_before_first_step, say_findings
from dlcourse.training.divergence import diagnosed
from dlcourse.training.evaluate import batch_size
from dlcourse.training.history import History
from dlcourse.training.progress import Progress
from dlcourse.training.set_up import set_up
from dlcourse.training.test_set import measure_on_test
from dlcourse.training.trainer import Trainer
from dlcourse.training.watch import Watch


def run(config: RunConfig, overrides: list[str]) -> RunResult | None:
    """Train as `config` says; nothing is written before everything has been built and tried.

    `overrides` are those of the command line, kept for the record. None is for `resume=auto` if the run in run.dir is
    complete. Raises UserError, and StoppedError if a signal ended the run.
    """
    check_entries(config)
    require_one_length(config, overrides)
    check_announced(config)
    if config.debug is not None:
        from dlcourse.training.debug import start

        return start.start(config, overrides)
    if config.resume == "auto":
        same = find_same(_with_task(config), config.name)
        if same is not None:
            with RunFolder(same).locked() as folder:
                return resume(folder, read_start(folder), config, overrides)
    return begin(config, overrides, config.run)


def begin(config: RunConfig, overrides: list[str], where: FolderConfig) -> RunResult:
    """Train a new run in a new folder; raises as `run`."""
    with Stop() as stop:
        session = _Session(config, overrides, stop, Start(), Console())
        with stop.deferred():
            folder = RunFolder.create(where, config.name)
            with folder.locked():
                return session.train(folder)


def resume(
    folder: RunFolder, start: Start, config: RunConfig, overrides: list[str], console: Console | None = None
) -> RunResult | None:
    """Resume a run, whose folder the caller has locked; `config` may ask for more epochs, or a longer time, than it had.

    None if it is complete already: then nothing is changed. Raises UserError and StoppedError, as `run`.
    """
    console = console or Console()
    recorded.require_named(config, _facts(folder, start))
    check_entries(config)
    start.require_no_shorter(config)
    require_one_length(config, overrides)
    if read_status(folder.path) == "done" and not start.continues(config):
        console.show("done", run_report.already_complete(folder, start.epochs_done, config.trainer))
        if start.lacks_pictures:
            run_report.say_how_to_draw(console, folder)
        return None
    with Stop() as stop:
        session = _Session(config, overrides, stop, start, console)
        with stop.deferred():
            return session.train(folder)


class _Session:
    """One process's work on a run: everything built and tried, then trained, tested and reported."""

    def __init__(self, config: RunConfig, overrides: list[str], stop: Stop, start: Start, console: Console) -> None:
        self._started = time.perf_counter()
        self._stop = stop
        self._start = start
        self._console = console
        keep_freed_memory()
        device = _device(config, start)
        self._setup = set_up(config, overrides, device, self._console, is_new=start.checkpoint is None)
        config, data = self._setup.config, self._setup.data
        self._about: dict[str, Any] = {
            "config": config.to_mapping(),
            "overrides": overrides,
            "environment": environment() | {"device": device.torch_device.type},
            "data": fingerprint(data),
        }
        self._plugins: dict[str, Any] = {recorded.KEY: used} if (used := recorded.used(config)) else {}
        self._about |= self._plugins
        if start.about:
            self._console.say("note", *self._changes())
            self._about["environment"] = start.about["environment"]

    def train(self, folder: RunFolder) -> RunResult:
        """Train in this folder, then test, and report.

        The caller defers signals to stop: none may come before the folder has what the run can be resumed from.
        """
        setup, console, task = self._setup, self._console, self._setup.task
        console.show("run", str(folder.path))
        checkpoints = checkpoints_of(folder, setup.config.trainer.checkpoint.keep)
        size = batch_size(setup.config.trainer, setup.data)
        facts: dict[str, Any] = {"config": setup.config.to_mapping(), **self._plugins}
        if setup.config.trainer.time is None:
            facts["steps"] = setup.length.total  # unless patience ends it
        with recorded_status(folder, console, **facts) as status, explained(folder, checkpoints, size):
            self._begin(folder, checkpoints)
            status("running")
            with self._stop.at_once():
                console.say("ready", *task.prepare(setup.data))
                if setup.config.debug is not None and self._start.checkpoint is None:
                    say_findings(console, check_before_first_step(setup))
                history, test, looks, watch = self._fit_and_test(folder, checkpoints)
                seconds = time.perf_counter() - self._started
                run_report.write_report(folder, setup, history, test, seconds, looks, watch)
                run_report.say_end(console, folder, setup, history, test, watch)
        scalars = {f"val/{name}": value for name, value in history.kept.items()}
        monitor, epochs = f"val/{task.monitor}", history.epochs[-1]
        return RunResult(folder.path, history.kept_epoch, seconds, monitor, task.mode, scalars, epochs)

    def _begin(self, folder: RunFolder, checkpoints: Checkpoints) -> None:
        """Write what the run can be resumed from, should it end before its first checkpoint."""
        checkpoint = self._start.checkpoint
        folder.tidy()
        run_report.write_beginning(folder, self._setup, is_new=checkpoint is None)
        write_spec(folder, self._setup.data.spec)
        if checkpoint is not None:
            checkpoints.set_aside_newer(checkpoint)
            if self._start.about["config"] != self._about["config"]:  # what is asked for now must outlive a kill, too
                save_again(checkpoint, checkpoints, self._about)

    def _fit_and_test(self, folder: RunFolder, checkpoints: Checkpoints) -> tuple[History, Report, int, Watch | None]:
        """Train, then measure the kept weights on the test set, once; all of it logged.

        Returns how often that test set was read by now, too, and what watched the training, if anything did.
        """
        setup, data, task = self._setup, self._setup.data, self._setup.task
        config = setup.config.trainer
        with Logger(folder, self._start.log, subject=setup.subject, draws=setup.draws) as logger:
            run_report.log_setup(logger.board, setup)
            saver = Saver(checkpoints, config.checkpoint, logger, folder / WEIGHTS, self._about)
            progress = Progress(self._console, task, config, setup.length)
            trainer = Trainer(
                task,
                data,
                config,
                length=setup.length,
                logger=logger,
                saver=saver,
                progress=progress,
                stop=self._stop,
            )
            self._restore(trainer, folder, checkpoints, logger)
            try:
                history = trainer.fit()
            except DivergedError as error:
                saver.write_kept_weights()
                raise diagnosed(error, setup.config, data) from error
            place = {"run": str(folder.path), "root": root_above(folder.path, setup.config.run.root)}
            test, looks = measure_on_test(task, data, config.eval_batch_size, by="train", **place)
            run_report.log_end(logger, setup, history, test)
        return history, test, looks, trainer.watch

    def _restore(self, trainer: Trainer, folder: RunFolder, checkpoints: Checkpoints, logger: Logger) -> None:
        """Put everything back as it was at the checkpoint, if there is one."""
        checkpoint = self._start.checkpoint
        if checkpoint is None:
            return
        trainer.load_state_dict(restore(checkpoint, self._setup.task.model, folder / WEIGHTS))
        checkpoints.saved_step = trainer.history.steps
        self._console.say("resume", f"from step {trainer.history.steps:,}, {trainer.epochs_done} epochs done")
        if logger.lost:
            self._console.say("note", run_report.lost_log(logger.lost, trainer.history.steps))
            trainer.save()  # with the log that there is from now on

    def _changes(self) -> Iterator[str]:
        """A line for each thing that is different now; raises ConfigError if the data are."""
        config, before = self._setup.config, self._start.about
        if before["data"] != self._about["data"]:
            raise ConfigError(
                f"data '{config.data.name}' differs from the data the run was trained on; restore it, or start a new run"
            )
        yield from self._start.damaged
        yield from recorded.changes(config, self._start.about)
        yield from environment_changes(before["environment"], self._about["environment"])
        epochs = self._start.epochs_planned
        assert self._start.checkpoint is not None and epochs is not None
        if config.trainer.time is not None:
            yield from run_report.other_time(config, self._start.about["config"]["trainer"]["time"])
        elif epochs != config.trainer.epochs:
            planned = dataclasses.replace(config, trainer=dataclasses.replace(config.trainer, epochs=epochs))
            step, times = self._start.checkpoint.step, self._setup.task.updates_per_batch
            lrs = [planned_lr(asked, self._setup.data, step, times) for asked in (planned, config)]
            yield run_report.other_schedule(config, epochs, *lrs)


def require_one_length(config: RunConfig, overrides: Sequence[str]) -> None:
    """Raise ConfigError if there is a time, and a number of epochs on the command line or what depends on it."""
    epochs = next((word for word in overrides if word.lstrip("+").startswith("trainer.epochs=")), None)
    if config.trainer.time is not None and epochs is not None:
        raise ConfigError(
            f"{epochs} and trainer.time={config.trainer.time} both say how long to train; leave one of them out"
        )
    if config.trainer.time is not None and config.trainer.swa is not None:
        raise ConfigError(
            f"trainer.swa={config.trainer.swa} begins after a share of the epochs, and trainer.time does not say how many "
            "there are; write trainer.ema=0.999, or trainer.epochs in place of trainer.time"
        )


def _with_task(config: RunConfig) -> RunConfig:
    """The config with the task that a run of it records; if that is `auto`, the data are read for it."""
    if config.task.name != "auto":
        return config
    return dataclasses.replace(config, task=choose(config.task, build_data(config, cpu()).spec))


def _facts(folder: RunFolder, start: Start) -> Mapping[str, Any]:
    """What the run has recorded of itself: in its checkpoint, or before the first in run.json, if that can be read."""
    with contextlib.suppress(DataError):
        return start.about or run_facts(folder.path)
    return {}


def _device(config: RunConfig, start: Start) -> Device:
    """The device; a run that is resumed keeps its number of threads, unless another is asked for."""
    device = DEVICES.build(config.device)
    if start.threads is not None and config.device.options.get("threads") is None:
        use_threads(start.threads)
    return device
