"""One training run from its config: build everything, fit, test once, and leave a run folder that tells all."""

import contextlib
import copy
import itertools
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dlcourse import report
from dlcourse.config import RunConfig, TrainerConfig
from dlcourse.console import Console
from dlcourse.data import DATASETS
from dlcourse.descent import Descent
from dlcourse.device import DEVICES, Device, keep_freed_memory, seed_everything
from dlcourse.errors import ConfigError
from dlcourse.features import FEATURES
from dlcourse.finished import write_spec
from dlcourse.logger import Logger
from dlcourse.models import MODELS
from dlcourse.optim import OPTIMIZERS, SCHEDULERS
from dlcourse.plots import LearningCurve
from dlcourse.registry import Choice, Registry
from dlcourse.run import WEIGHTS, RunFolder, output_errors
from dlcourse.spec import Batch, Data, Report, Split
from dlcourse.tasks import TASKS
from dlcourse.tasks.task import Task
from dlcourse.trainer import History, Trainer, batch_size, evaluate, steps_per_epoch
from dlcourse.transfer import freeze, start_from

_MISFITS = (RuntimeError, ValueError, IndexError, TypeError, OverflowError, MemoryError)
"""What torch and NumPy raise for shapes that do not fit and sizes that no memory holds."""


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


def run(config: RunConfig, overrides: list[str]) -> RunResult:
    """Train as `config` says; nothing is written before everything has been built and tried.

    `overrides` are the words of the command line, kept for the record. Raises UserError.
    """
    started = time.perf_counter()
    keep_freed_memory()
    check_entries(config)
    device = DEVICES.build(config.device)
    console = Console()
    console.rows([report.headline(config, device)])
    seed_everything(config.seed)
    data = _build_data(config, device)
    _check_batch_size(config.trainer, data)
    console.say("data", report.describe_data(data))
    task = _build_task(config, data, device, console)
    setup = report.Setup(config, overrides, data, task, device)
    console.say("model", f"{config.model.name}   {setup.parameters:,} parameters", *setup.layers)
    folder = RunFolder.create(config.run, f"{config.data.name}-{config.model.name}")
    console.say("run", str(folder.path))
    with output_errors(folder.path), _recorded_status(folder, console):
        console.say("ready", *task.prepare(data))
        history, test = _fit_and_test(setup, folder, console)
        seconds = time.perf_counter() - started
        report.write_report(folder, setup, history, test, seconds)
        report.say_end(console, folder, setup, history, test)
    scalars = {f"val/{name}": value for name, value in history.kept.items()}
    return RunResult(folder.path, history.kept_epoch, seconds, f"val/{task.monitor}", task.mode, scalars)


def check_entries(config: RunConfig) -> None:
    """Check every name and option of the config against the registries; raises ConfigError."""
    entries: list[tuple[Registry[Any], Choice]] = [
        (DEVICES, config.device),
        (DATASETS, config.data),
        (FEATURES, config.features),
        (MODELS, config.model),
        (TASKS, config.task),
        (OPTIMIZERS, config.optimizer),
        (SCHEDULERS, config.scheduler),
    ]
    for registry, choice in entries:
        registry.check(choice)
    task: Any = TASKS[config.task.name]
    if config.features.name != "none" and not task.takes_features:
        raise ConfigError(
            f"features={config.features.name} does not go with task '{config.task.name}'; use features=none, "
            "or a model for task classification or regression"
        )


def _fit_and_test(setup: report.Setup, folder: RunFolder, console: Console) -> tuple[History, Report]:
    """Train, then measure the kept weights on the test set, once; all of it logged."""
    trainer_config, data, task = setup.config.trainer, setup.data, setup.task
    report.write_beginning(folder, setup)
    write_spec(folder, data.spec)
    with Logger(folder) as logger:
        logger.text("command", f"`{setup.command}`")
        logger.text("config", f"```yaml\n{setup.config.to_yaml()}\n```")
        if trainer_config.log_graph:
            with setup.device.forked_random_state():
                logger.graph(task.model, next(data.val.batches(1)).inputs)
        history = Trainer(task, data, trainer_config, setup.device, logger, console, folder / WEIGHTS).fit()
        test = evaluate(task, data.test, trainer_config.eval_batch_size, setup.device, full=True)
        test.pictures["learning_curve"] = _learning_curve(history, task.main_metric)
        logger.report("test", history.steps, history.epochs[-1], test)
        logger.hyperparameters(report.hyperparameters(setup), report.results(task, history, test))
    return history, test


def _learning_curve(history: History, metric: str) -> LearningCurve:
    shown = {tag: values for tag, values in history.series.items() if tag.rpartition("/")[2] in ("loss", metric)}
    return LearningCurve(history.epochs, shown, history.best_epoch)


def _check_batch_size(config: TrainerConfig, data: Data) -> None:
    if config.batch_size != "full" and config.batch_size > len(data.train):
        raise ConfigError(
            f"trainer.batch_size={config.batch_size} is larger than the training set ({len(data.train):,} examples); "
            "use a smaller one, or trainer.batch_size=full"
        )


def _build_task(config: RunConfig, data: Data, device: Device, console: Console) -> Task:
    """The task with its model and optimizer, tried on a first batch of validation data."""
    make_optimizer = OPTIMIZERS.build(config.optimizer)
    batches = steps_per_epoch(config.trainer, data)
    accumulate = config.trainer.accumulate
    updates = config.trainer.epochs * batches // accumulate
    if updates == 0:
        raise ConfigError(
            f"trainer.accumulate={accumulate} is more than the {config.trainer.epochs * batches} batches of this training"
        )
    make_schedule = SCHEDULERS.build(config.scheduler)

    def descend(module: nn.Module, *, every: int = 1) -> Descent:
        schedule = make_schedule(max(1, updates // every), batches / accumulate / every)
        optimizer = make_optimizer(module)
        return Descent(optimizer, schedule, device, accumulate=accumulate, clip_norm=config.trainer.clip_norm)

    try:
        model = _build_model(config, data, device)
        if config.init_skip and config.init_from is None:
            raise ConfigError(f"init_skip={list(config.init_skip)} needs init_from=RUN")
        if config.init_from is not None:
            console.say("start", start_from(model, config.init_from, config.init_skip))
        if config.freeze:
            console.say("freeze", freeze(model, config.freeze))
        task = TASKS.build(config.task, model=model, spec=data.spec, device=device, descend=descend)
        evaluate(task, _FirstBatch(data.val), config.trainer.eval_batch_size, device)
        _try_training_mode(model, data, min(2, batch_size(config.trainer, data)), device)
    except _MISFITS as error:
        raise ConfigError(
            f"model '{config.model.name}' with task '{config.task.name}' cannot take data '{config.data.name}' "
            f"(examples of shape {data.spec.input_shape}): {_first_line(error)}"
        ) from error
    return task


def _try_training_mode(model: nn.Module, data: Data, size: int, device: Device) -> None:
    """Run a small training batch through a copy of the model: batch norm, for one, cannot average over one example."""
    with torch.no_grad(), device.forked_random_state():
        copy.deepcopy(model).train()(next(data.train.batches(size, epoch=1)).inputs)


def _build_data(config: RunConfig, device: Device) -> Data:
    try:
        return DATASETS.build(config.data).build(name=config.data.name, seed=config.seed).to(device.torch_device)
    except _MISFITS as error:
        raise ConfigError(
            f"data '{config.data.name}' cannot be made with these options: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _build_model(config: RunConfig, data: Data, device: Device) -> nn.Module:
    """The model, behind its feature map where there is one."""
    features = FEATURES.build(config.features, spec=data.spec)
    if features is None:
        return MODELS.build(config.model, spec=data.spec).to(device.torch_device)
    features.fit(torch.cat([batch.inputs for batch in data.train.batches(len(data.train))]).cpu())
    model = MODELS.build(config.model, spec=features.spec(data.spec))
    return nn.Sequential(OrderedDict(features=features, model=model)).to(device.torch_device)


class _FirstBatch:
    """A split cut down to its first batch."""

    def __init__(self, split: Split) -> None:
        self._split = split

    def __len__(self) -> int:
        return len(self._split)

    def batches(self, batch_size: int, *, epoch: int | None = None) -> Iterator[Batch]:
        return itertools.islice(self._split.batches(batch_size, epoch=epoch), 1)

    def to(self, device: torch.device) -> "_FirstBatch":
        return _FirstBatch(self._split.to(device))

    def pictures(self, indices: torch.Tensor) -> torch.Tensor | None:
        return self._split.pictures(indices)


@contextlib.contextmanager
def _recorded_status(folder: RunFolder, console: Console) -> Iterator[None]:
    """Keep run.json true: running, then done, stopped (Ctrl-C) or failed with the reason."""
    began = {"started": f"{datetime.now().astimezone():%Y-%m-%dT%H:%M:%S%z}"}
    folder.write_json("run.json", began | {"status": "running"})
    try:
        yield
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):
            folder.write_json("run.json", began | {"status": "stopped"})
        console.say("stop", f"stopped by Ctrl-C; what there is so far lies in {folder.path}")
        raise
    except Exception as error:
        with contextlib.suppress(OSError):
            folder.write_json("run.json", began | {"status": "failed", "reason": str(error)})
        raise
    folder.write_json("run.json", began | {"status": "done"})
