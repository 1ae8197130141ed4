"""One training run from its config: build everything, fit, test once, and leave a run folder that tells all."""

import dataclasses
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcourse.config.run_config import RunConfig, TrainerConfig
from dlcourse.console import Console
from dlcourse.device import DEVICES, Device, cpu, environment, keep_freed_memory, thread_notes, use_threads
from dlcourse.errors import ConfigError, DivergedError
from dlcourse.metrics.report import Report
from dlcourse.plots import LearningCurve
from dlcourse.rng import seed_everything
from dlcourse.runs.checkpoints import Checkpoints
from dlcourse.runs.find import checkpoints_of
from dlcourse.runs.folder import WEIGHTS, RunFolder
from dlcourse.runs.logger import Logger
from dlcourse.runs.reopen import write_spec
from dlcourse.runs.resume import Paused, environment_changes, epochs_done, find_same, look, read_status
from dlcourse.runs.saver import Saver, restore, save_again
from dlcourse.runs.status import explained, recorded_status
from dlcourse.signals import Stop
from dlcourse.tasks import choose
from dlcourse.tasks.task import Task
from dlcourse.training import run_report
from dlcourse.training.build import batch_notes, build_data, build_task, check_entries, fingerprint, planned_lr
from dlcourse.training.divergence import diagnosed
from dlcourse.training.evaluate import batch_size, evaluate, steps_per_epoch
from dlcourse.training.history import History
from dlcourse.training.progress import Progress
from dlcourse.training.trainer import Trainer


@dataclass(frozen=True)
class RunResult:
    """What a finished run reached, by the validation numbers of the weights that were kept."""

    folder: Path
    kept_epoch: int
    seconds: float
    monitor: str
    mode: str
    scalars: Mapping[str, float]

    @property
    def best(self) -> float:
        """The number that is compared with other runs'."""
        return self.scalars[self.monitor]


def run(config: RunConfig, overrides: list[str]) -> RunResult | None:
    """Train as `config` says; nothing is written before everything has been built and tried.

    `overrides` are the words of the command line, kept for the record. None is for `resume=auto` where the run in run.dir
    is complete. Raises UserError, and StoppedError where a signal ended the run.
    """
    check_entries(config)
    if config.resume == "auto":
        same = find_same(_with_task(config), config.name)
        if same is not None:
            with RunFolder(same).locked() as folder:
                return resume(look(folder), config, overrides)
    with Stop() as stop:
        session = _Session(config, overrides, stop)
        with stop.deferred():
            folder = RunFolder.create(config.run, config.name)
            with folder.locked():
                return session.train(folder, None)


def resume(paused: Paused, config: RunConfig, overrides: list[str]) -> RunResult | None:
    """Go on with a run, whose folder the caller has locked; `config` may ask for more epochs than it had.

    None where it is complete already: then nothing is changed. Raises UserError and StoppedError, as `run`.
    """
    check_entries(config)
    epochs = _epochs_done(paused)
    if config.trainer.epochs < epochs:
        raise ConfigError(f"trainer.epochs={config.trainer.epochs}: the run has done {epochs} epochs already")
    if read_status(paused.folder.path) == "done" and not _asks_for_more(config, paused):
        more = f"trainer.epochs={2 * epochs}" if epochs == config.trainer.epochs else "trainer.patience=N"
        Console().show(
            "done",
            f"{paused.folder.path} is complete: {epochs} epoch{'' if epochs == 1 else 's'}; for more of them type "
            f"dlcourse resume {shlex.quote(str(paused.folder.path))} {more}",
        )
        return None
    with Stop() as stop:
        session = _Session(config, overrides, stop, paused)
        with stop.deferred():
            return session.train(paused.folder, paused)


def _epochs_done(paused: Paused) -> int:
    return epochs_done(paused.checkpoint) if paused.checkpoint else 0


def _asks_for_more(config: RunConfig, paused: Paused) -> bool:
    """Whether a finished run shall go on: for more epochs, or with another patience where that had ended it."""
    if not paused.about:
        return True
    before = paused.about["config"]["trainer"]
    return (config.trainer.epochs, config.trainer.patience) != (before["epochs"], before["patience"])


class _Session:
    """One process's work on a run: everything built and tried, then trained, tested and reported."""

    def __init__(self, config: RunConfig, overrides: list[str], stop: Stop, paused: Paused | None = None) -> None:
        self._started = time.perf_counter()
        self._stop = stop
        self._console = Console()
        keep_freed_memory()
        device = _device(config, paused)
        self._console.rows([run_report.headline(config, device)])
        self._console.say("note", *thread_notes())
        seed_everything(config.seed)
        data = build_data(config, device)
        self._console.say("data", run_report.describe_data(data))
        self._console.say("note", *data.notes, *batch_notes(config.trainer, data))
        if config.task.name == "auto":
            config = dataclasses.replace(config, task=choose(config.task, data.spec))
            self._console.say("task", config.task.name)
        is_new = paused is None or paused.checkpoint is None
        task = build_task(config, data, device, self._console, is_new=is_new)
        self._setup = run_report.Setup(config, overrides, data, task, device)
        self._console.say("model", f"{config.model.name}   {self._setup.parameters:,} parameters", *self._setup.layers)
        self._about: dict[str, Any] = {
            "config": config.to_mapping(),
            "overrides": overrides,
            "environment": environment() | {"device": device.torch_device.type},
            "data": fingerprint(data),
        }
        if paused is not None and paused.about:
            self._compare(paused)

    def train(self, folder: RunFolder, paused: Paused | None) -> RunResult:
        """Train in this folder, from where it was paused; then test, and report.

        The caller defers signals to stop: none may come before the folder tells what can be gone on with.
        """
        setup, console = self._setup, self._console
        console.show("run", str(folder.path))
        checkpoints = checkpoints_of(folder, setup.config.trainer.checkpoint.keep)
        with (
            recorded_status(folder, console) as status,
            explained(folder, checkpoints, batch_size(setup.config.trainer, setup.data)),
        ):
            self._begin(folder, checkpoints, paused)
            status("running")
            with self._stop.at_once():
                console.say("ready", *setup.task.prepare(setup.data))
                history, test = self._fit_and_test(folder, checkpoints, paused)
                seconds = time.perf_counter() - self._started
                run_report.write_report(folder, setup, history, test, seconds)
                run_report.say_end(console, folder, setup, history, test)
        scalars = {f"val/{name}": value for name, value in history.kept.items()}
        task = setup.task
        return RunResult(folder.path, history.kept_epoch, seconds, f"val/{task.monitor}", task.mode, scalars)

    def _begin(self, folder: RunFolder, checkpoints: Checkpoints, paused: Paused | None) -> None:
        """Write what the run can be gone on with, should it end before its first checkpoint."""
        checkpoint = paused.checkpoint if paused else None
        folder.tidy()
        run_report.write_beginning(folder, self._setup, is_new=checkpoint is None)
        write_spec(folder, self._setup.data.spec)
        if paused is not None and checkpoint is not None:
            checkpoints.set_aside_newer(checkpoint)
            if paused.about["config"] != self._about["config"]:  # what is asked for now must outlive a kill, too
                save_again(checkpoint, checkpoints, self._about)

    def _fit_and_test(
        self, folder: RunFolder, checkpoints: Checkpoints, paused: Paused | None
    ) -> tuple[History, Report]:
        """Train, then measure the kept weights on the test set, once; all of it logged."""
        setup, data, task = self._setup, self._setup.data, self._setup.task
        config, device = setup.config.trainer, setup.device
        checkpoint = paused.checkpoint if paused else None
        subject = f"{setup.config.model.name} on {setup.config.data.name}"
        with Logger(folder, checkpoint.log if checkpoint else None, subject=subject) as logger:
            logger.board.text("command", f"`{setup.command}`")
            logger.board.text("config", f"```yaml\n{setup.config.to_yaml()}\n```")
            if config.log_graph:
                with device.forked_random_state():
                    logger.board.graph(task.model, next(data.val.batches(1)).inputs)
            saver = Saver(checkpoints, config.checkpoint, logger, folder / WEIGHTS, self._about)
            progress = Progress(self._console, task, config, config.epochs * steps_per_epoch(config, data))
            trainer = Trainer(task, data, config, logger=logger, saver=saver, progress=progress, stop=self._stop)
            if checkpoint is not None:
                trainer.load_state_dict(restore(checkpoint, task.model, folder / WEIGHTS))
                checkpoints.saved_step = trainer.history.steps
                self._say_where(trainer)
                if logger.lost:
                    self._say_lost(logger.lost, trainer)
                    trainer.save()  # with the log that there is from now on
            try:
                history = trainer.fit()
            except DivergedError as error:
                raise diagnosed(error, setup.config, data) from error
            test = evaluate(task, data.test, config.eval_batch_size, full=True)
            logger.report("test", history.steps, history.epochs[-1], test)
            logger.picture(run_report.CURVE, history.steps, history.epochs[-1], _learning_curve(history, task, config))
            logger.board.hyperparameters(run_report.hyperparameters(setup), run_report.results(task))
        return history, test

    def _compare(self, paused: Paused) -> None:
        """Say what is different now; raises ConfigError where the data are."""
        about = paused.about
        if about["data"] != self._about["data"]:
            raise ConfigError(
                f"data '{self._setup.config.data.name}' holds other examples than when {paused.folder.path} began; put "
                "those back, or start a new run"
            )
        changes = environment_changes(about["environment"], self._about["environment"])
        self._about["environment"] = about["environment"]
        self._console.say("note", *paused.damaged, *changes)
        before, now = about["config"]["trainer"]["epochs"], self._setup.config.trainer.epochs
        if before != now:
            self._say_schedule(before, now, paused)

    def _say_schedule(self, before: int, now: int, paused: Paused) -> None:
        config, data, name = self._setup.config, self._setup.data, self._setup.config.scheduler.name
        shorter = dataclasses.replace(config, trainer=dataclasses.replace(config.trainer, epochs=before))
        assert paused.checkpoint is not None
        step = paused.checkpoint.step
        was, is_now = planned_lr(shorter, data, step), planned_lr(config, data, step)
        stays = f"the learning rate stays {is_now:.3g}"
        jumps = f"the learning rate goes on at {is_now:.3g} instead of {was:.3g}"
        self._console.say(
            "note", f"{now} epochs instead of {before}; schedule '{name}': {stays if was == is_now else jumps}"
        )

    def _say_where(self, trainer: Trainer) -> None:
        history = trainer.history
        self._console.say("resume", f"from step {history.steps:,}, {trainer.epochs_done} epochs done")

    def _say_lost(self, reason: str, trainer: Trainer) -> None:
        step = trainer.history.steps
        self._console.say(
            "note",
            f"{reason}: metrics.jsonl and TensorBoard lack steps up to {step:,}; the training itself lacks nothing",
        )


def _with_task(config: RunConfig) -> RunConfig:
    """The config with the task that a run of it records; where that is `auto`, the data are read for it."""
    if config.task.name != "auto":
        return config
    return dataclasses.replace(config, task=choose(config.task, build_data(config, cpu()).spec))


def _device(config: RunConfig, paused: Paused | None) -> Device:
    """The device; a run that goes on keeps its number of threads, on which the last digits depend."""
    device = DEVICES.build(config.device)
    if paused is not None and paused.about and config.device.options.get("threads") is None:
        use_threads(int(paused.about["environment"]["threads"]))
    return device


def _learning_curve(history: History, task: Task, config: TrainerConfig) -> LearningCurve:
    names = ("loss", task.main_metric)
    shown = {tag: values for tag, values in history.series.items() if tag.rpartition("/")[2] in names}
    return LearningCurve(history.epochs, shown, history.kept_epoch, config.weights)
