"""One training run from its config: build everything, fit, test once, and leave a run folder that tells all."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dlcourse import report
from dlcourse.building import build_data, build_task, check_batch_size, check_entries
from dlcourse.config import RunConfig
from dlcourse.console import Console
from dlcourse.device import DEVICES, keep_freed_memory, seed_everything
from dlcourse.finished import write_spec
from dlcourse.logger import Logger
from dlcourse.plots import LearningCurve
from dlcourse.run import WEIGHTS, RunFolder, output_errors
from dlcourse.spec import Report
from dlcourse.trainer import History, Trainer, evaluate


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
    data = build_data(config, device)
    check_batch_size(config.trainer, data)
    console.say("data", report.describe_data(data))
    task = build_task(config, data, device, console)
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
