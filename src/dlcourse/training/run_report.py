"""What is said and written about a run: console lines, the files of its beginning, and its report."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from dlcourse import __version__
from dlcourse.config.duration import twice
from dlcourse.config.run_config import RunConfig, TrainerConfig, option_values
from dlcourse.console import Console
from dlcourse.device import Device, environment
from dlcourse.metrics.names import metric_name
from dlcourse.metrics.report import Report
from dlcourse.models.summary import count_parameters, summarize, table
from dlcourse.plots import LearningCurve
from dlcourse.runs.find import is_sweep
from dlcourse.runs.folder import CONFIG, ENVIRONMENT, OVERRIDES, RunFolder
from dlcourse.runs.logger import Logger
from dlcourse.runs.result import BELOW_NUMBERS, REPORT
from dlcourse.runs.tensorboard import Board, Option
from dlcourse.runs.test_looks import LEDGER, times
from dlcourse.spec import Data, described
from dlcourse.tasks.task import Task
from dlcourse.terminal import escaped
from dlcourse.text_table import counted
from dlcourse.training import averages_text, report_text, watch_text
from dlcourse.training.evaluate import batch_size
from dlcourse.training.history import History
from dlcourse.training.length import Length
from dlcourse.training.trainer import SELECTED
from dlcourse.training.watch import Watch

_COLUMNS = (
    "run",
    "tags",
    "data",
    "model",
    "parameters",
    "optimizer",
    "optimizer.lr",
    "trainer.batch_size",
    "trainer.epochs",
    "seed",
)
"""What HParams shows of a single run; a sweep shows what varies in it."""

CURVE = "learning_curve"
"""The picture of the whole training; it is of no split."""


@dataclass(frozen=True)
class Setup:
    """A run that is ready to start, with the overrides of its command line."""

    config: RunConfig
    overrides: list[str]
    data: Data
    task: Task
    device: Device
    length: Length

    @property
    def command(self) -> str:
        return shlex.join(["dlcourse", "train", *self.overrides])

    @property
    def subject(self) -> str:
        """What its pictures say they are of."""
        return f"{self.config.model.name} on {self.config.data.name}"

    @property
    def draws(self) -> bool:
        """Whether it leaves pictures."""
        return self.config.report == "full"

    @property
    def parameters(self) -> int:
        return count_parameters(self.task.model)

    @cached_property
    def config_yaml(self) -> str:
        """The whole config."""
        return self.config.to_yaml()

    @cached_property
    def layers(self) -> list[str]:
        """The model's layers, a line each."""
        return table(summarize(self.task.model, self.data.spec.zeros(1, self.device.torch_device)))


def headline(config: RunConfig, device: Device) -> str:
    """The first line of a run: its name, what is trained, on what, how, where."""
    features = "" if config.features.name == "none" else f" with {config.features.name} features"
    rate = config.optimizer.options.get("lr")
    optimizer = config.optimizer.name if rate is None else f"{config.optimizer.name} lr {rate:g}"
    if config.scheduler.name != "constant":
        optimizer += f" {config.scheduler.name}"
    what = f"{config.model.name} on {config.data.name}{features}"
    if config.name != f"{config.data.name}-{config.model.name}":
        what = f"{config.name} ({what})"
    tags = [f"tags {', '.join(config.run.tags)}"] if config.run.tags else []
    return "   ".join(["dlcourse train", what, optimizer, str(device), f"seed {config.seed}", *tags])


def describe_data(data: Data) -> str:
    """Sizes of the splits, shape of an example and number of targets, in words."""
    return f"{len(data.train):,} train / {len(data.val):,} val / {len(data.test):,} test   {described(data.spec)}"


def write_beginning(folder: RunFolder, setup: Setup, *, is_new: bool) -> None:
    """The files that say how to do the run again. One that is resumed keeps the facts of the machine it began on."""
    lines = (f"- {json.dumps(override, ensure_ascii=False)}\n" for override in setup.overrides)
    folder.write_text(OVERRIDES, "".join(lines) or "[]\n")
    folder.write_text(CONFIG, setup.config_yaml)  # from here on it can be resumed
    folder.write_text("model.txt", "\n".join([*setup.layers, f"{setup.parameters:,} parameters"]) + "\n")
    if not is_new:
        return
    facts = {"dlcourse": __version__, "command": setup.command, "device": str(setup.device)}
    folder.write_json(ENVIRONMENT, facts | environment())


def log_setup(board: Board, setup: Setup) -> None:
    """Show in TensorBoard how to do the run again, and the model's graph if that is asked for."""
    board.text("command", f"`{setup.command}`")
    board.text("config", f"```yaml\n{setup.config_yaml}\n```")
    if setup.config.trainer.log_graph:
        with setup.device.forked_random_state():
            board.graph(setup.task.model, next(setup.data.val.batches(1)).inputs)


def log_end(logger: Logger, setup: Setup, history: History, test: Report) -> None:
    """Log the test, the picture of the whole training, and what TensorBoard compares runs by."""
    epoch = history.epochs[-1]
    logger.report("test", history.steps, epoch, test)
    logger.picture(CURVE, history.steps, epoch, _learning_curve(history, setup))
    options = hyperparameters(setup)
    logger.board.hyperparameters(options)
    if not is_sweep(logger.folder.parent):  # which has columns of its own
        columns = {name: options[name] for name in _COLUMNS if name in options}
        logger.board.columns(columns, results(setup.task))


def _learning_curve(history: History, setup: Setup) -> LearningCurve:
    names = ("loss", setup.task.main_metric)
    shown = {tag: values for tag, values in history.series.items() if tag.rpartition("/")[2] in names}
    labels = {name: metric_name(name) for name in names}
    return LearningCurve(history.epochs, shown, history.kept_epoch, setup.config.trainer.weights, labels)


def hyperparameters(setup: Setup) -> dict[str, Option]:
    """The options of the run by dotted names, for TensorBoard's HParams: `model`, `model.dropout`, `trainer.epochs`."""
    tags = {"tags": ", ".join(setup.config.run.tags)} if setup.config.run.tags else {}
    return {"run": setup.config.name, **tags, "parameters": float(setup.parameters), **option_values(setup.config)}


def results(task: Task) -> list[str]:
    """The tags of the numbers beside the options: the kept weights' on validation, not the test's, by which nobody sorts."""
    return [f"{SELECTED}/{name}" for name in dict.fromkeys((task.monitor, task.main_metric, "loss"))]


def write_report(
    folder: RunFolder,
    setup: Setup,
    history: History,
    test: Report,
    seconds: float,
    looks: int,
    watch: Watch | None = None,
) -> None:
    """report.json for programs, report.txt for people: the numbers of all splits are of the epoch whose weights are kept.

    `looks` is how often the test set was read by now, 0 if nobody knows.
    """
    data, config, ended = setup.data, setup.config, datetime.now().astimezone()
    size = batch_size(config.trainer, data)
    train = history.numbers("train", history.kept_epoch)
    folder.write_json(
        REPORT,
        {
            "run": config.name,
            "tags": list(config.run.tags),
            "command": setup.command,
            "date": ended.isoformat(timespec="minutes"),
            **report_text.facts_of_run(config, size),
            "device": str(setup.device),
            "data": {
                "name": data.spec.name,
                "train": len(data.train),
                "val": len(data.val),
                "test": len(data.test),
                "test_sha256": data.test.fingerprint(),
                "notes": list(data.notes),
            },
            "model": {"name": config.model.name, "parameters": setup.parameters},
            "monitor": f"val/{setup.task.monitor}",
            "mode": setup.task.mode,
            "epochs": history.epochs[-1],
            "steps": history.steps,
            "best_epoch": history.best_epoch,
            "kept_epoch": history.kept_epoch,
            "seconds": round(seconds, 2),
            "train_seconds": round(history.train_seconds, 4),
            "samples_per_second": round(history.samples_per_second, 1),
            "train": train,
            "val": history.kept,
            "test": test.scalars,
            **averages_text.as_numbers(config.trainer, history),
            **({} if watch is None else {"watch": watch_text.as_numbers(watch)}),
            **test.details,
        },
    )
    lines = [
        f"Report: {setup.subject}",
        "",
        setup.command,
        "",
        *report_text.settings(config, setup.device, size, history, ended),
        f"model      {config.model.name}   {setup.parameters:,} parameters",
        f"data       {data.spec.name}   {describe_data(data)}",
        *(f"note       {note}" for note in data.notes),
        "",
        *report_text.scores(setup.task.main_metric, train, history.kept, test.scalars, data),
        *looked(looks),
        f"{BELOW_NUMBERS}{history.kept_epoch}; validation and test: {_kept(setup, history)}",
        "",
        *averages_text.table(config.trainer, setup.task.main_metric, history),
        *([] if watch is None else [f"watched in epoch {watch.epoch}", *watch_text.found(watch), ""]),
        *([] if test.facts else [test.headline]),
        *report_text.findings(test),
    ]
    folder.write_text("report.txt", escaped("\n".join(lines)).rstrip() + "\n")


def looked(looks: int) -> list[str]:
    """A line on how often the test set was read by now, if that is known."""
    return [f"the test set was read {times(looks)} by now, see {LEDGER}"] if looks else []


def already_complete(folder: RunFolder, epochs_done: int, asked: TrainerConfig) -> str:
    """That a run has nothing left to do, and the command that trains it for longer."""
    if asked.time is not None:
        option = f"trainer.time={twice(asked.time)}"
    else:
        option = f"trainer.epochs={2 * epochs_done}" if epochs_done == asked.epochs else "trainer.patience=N"
    command = f"dlcourse resume {shlex.quote(str(folder.path))} {option}"
    return f"{folder.path} is already complete ({counted(epochs_done, 'epoch')}); to train longer: {command}"


def say_how_to_draw(console: Console, folder: RunFolder) -> None:
    """The command that draws what a light report has left out."""
    console.show("draw", f"dlcourse resume {shlex.quote(str(folder.path))} report=full")


def other_schedule(config: RunConfig, epochs_before: int, lr_before: float, lr: float) -> str:
    """What another number of epochs does to the learning rate of the next step."""
    change = f"stays {lr:.3g}" if lr == lr_before else f"continues at {lr:.3g} (was {lr_before:.3g})"
    return (
        f"{config.trainer.epochs} epochs instead of {epochs_before}; schedule '{config.scheduler.name}': the learning rate "
        f"{change}"
    )


def other_time(config: RunConfig, time_before: str) -> Iterator[str]:
    """What another time does, if it is another."""
    if config.trainer.time != time_before:
        yield (
            f"trainer.time={config.trainer.time} (was {time_before}); schedule '{config.scheduler.name}' is stretched over "
            "all of it"
        )


def lost_log(reason: str, step: int) -> str:
    """What is missing after the log of the steps before was lost."""
    return f"{reason}: metrics.jsonl and TensorBoard lack steps up to {step:,}; the training itself lacks nothing"


def say_end(
    console: Console, folder: RunFolder, setup: Setup, history: History, test: Report, watch: Watch | None = None
) -> None:
    """The last lines on the console: what was reached, where it is, and the command that opens it."""
    if watch is not None:
        console.say("watch", *watch_text.found(watch))
    console.say("val", *averages_text.compared(setup.config.trainer, setup.task.main_metric, history))
    console.say("test", f"{test.headline}   {_kept(setup, history)}", *test.highlights)
    texts = [f"{name}.txt" for name in test.texts]
    pictures = [f"{name}.png" for name in (*test.pictures, CURVE)] if setup.draws else []
    console.say("saved", "  ".join(["report.txt", *texts, *pictures, "metrics.jsonl"]))
    if not setup.draws:
        say_how_to_draw(console, folder)
    place = folder.path if setup.config.run.dir else folder.path.parent
    console.show("look", f"dlcourse tensorboard {shlex.quote(str(place))}")


def _kept(setup: Setup, history: History) -> str:
    weights = f", {history.kept_weights} weights" if setup.config.trainer.averages else ""
    return f"{setup.config.trainer.weights} epoch {history.kept_epoch}{weights}"
