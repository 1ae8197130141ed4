"""From a checked config to what a run is made of: the data, the model and the task, tried before anything is written."""

import contextlib
import copy
import dataclasses
import itertools
import re
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from dlcourse.config.registry import Choice
from dlcourse.config.run_config import RunConfig, TrainerConfig
from dlcourse.console import Console
from dlcourse.data import DATASETS
from dlcourse.data.float_precision import narrow_inputs, narrow_targets
from dlcourse.device import Device
from dlcourse.errors import (
    WORKER_LOST,
    ConfigError,
    MisfitError,
    ResourceError,
    UserError,
    first_line,
    is_out_of_memory,
    is_worker_lost,
)
from dlcourse.models import MODELS
from dlcourse.models.features import FEATURES
from dlcourse.models.torchvision_model import FROM_SCRATCH, Torchvision
from dlcourse.optim.optimizers import OPTIMIZERS
from dlcourse.optim.schedules import SCHEDULERS, ScheduleMaker, Updates
from dlcourse.optim.step import MakeOptimizer, ScheduledOptimizer
from dlcourse.spec import Batch, Data, DataSpec, Split
from dlcourse.tasks import TASKS, takes_features
from dlcourse.tasks.task import Task
from dlcourse.training.advice import advised
from dlcourse.training.debug.one_batch import one_batch_of_each
from dlcourse.training.evaluate import batch_size, evaluate, steps_per_epoch
from dlcourse.training.pretrained import start_pretrained
from dlcourse.training.registries import with_plugins
from dlcourse.training.transfer import freeze, start_from

MISFITS = (RuntimeError, ValueError, IndexError, TypeError, OverflowError, MemoryError)
"""What torch and NumPy raise for shapes that do not fit and sizes that no memory holds."""

_CHANGE_NOTHING = {
    *("root", "download", "verify", "subset", "val_fraction", "k_fold", "fold", "label_noise", "stratify", "augment")
}
"""Options of data sets that change nothing of what they announce."""
_CHANGE_IMAGES = {"resize", "rgb"}


def check_entries(config: RunConfig) -> None:
    """Check every name and option of the config against the registries, plug-ins among them; raises ConfigError."""
    for group, registry in with_plugins().items():
        registry.check(getattr(config, group))
    if config.features.name != "none" and not takes_features(config.task.name):
        raise ConfigError(
            f"features={config.features.name} does not go with task '{config.task.name}'; write features=none, "
            "or a model for task classification or regression"
        )


def require_fit(spec: DataSpec, model: Choice, task: Choice, features: Choice) -> None:
    """Build the model and the task for such data; raises ConfigError and MISFITS if they do not take them."""
    mapping = FEATURES.build(features, spec=spec)
    built = MODELS.build(model, spec=mapping.spec(spec) if mapping else spec)
    TASKS.build(task, model=built, spec=spec, device=Device(torch.device("cpu")))


def check_announced(config: RunConfig) -> None:
    """Refuse a model or a task that cannot take what the data set announces, before its files are read or downloaded.

    Only with the options that it announces this for. Raises ConfigError.
    """
    spec = announced_spec(config)
    if spec is None:
        return
    try:
        require_fit(spec, config.model, config.task, config.features)
    except MisfitError as error:
        raise advised(error, spec) from None
    except MISFITS:
        return  # the true data will tell


def announced_spec(config: RunConfig) -> DataSpec | None:
    """What the data set announces of its examples, if it does so for the options that it has here."""
    name, schema = config.data.name, DATASETS.schema(config.data.name)
    options = DATASETS.check(config.data)
    given = {option for option, value in options.items() if value != schema[option].default}
    announced: Any = DATASETS[name]
    if len(announced.SPECS) != 1 or given - _CHANGE_NOTHING - _CHANGE_IMAGES:
        return None
    spec: DataSpec = dataclasses.replace(announced.SPECS[0], name=name)
    if not given & _CHANGE_IMAGES:
        return spec
    channels, *sides = spec.input_shape
    channels, sides = 3 if options.get("rgb") else channels, [options.get("resize") or side for side in sides]
    moments = {key: (3 * getattr(spec, key))[:channels] for key in ("pixel_mean", "pixel_std")}
    return dataclasses.replace(spec, input_shape=(channels, *sides), **moments)


def batch_notes(config: TrainerConfig, data: Data) -> list[str]:
    """A line if the training set does not fill one batch, which is then as large as the training set."""
    size = batch_size(config, data)
    if config.batch_size in ("full", size):
        return []
    return [
        f"trainer.batch_size={config.batch_size} is larger than the training set: each batch holds all {size:,} examples"
    ]


def fingerprint(data: Data) -> list[str]:
    """A checksum of each split, by which a resumed run knows its data."""
    return [split.fingerprint() for split in (data.train, data.val, data.test)]


def planned_lr(config: RunConfig, data: Data, step: int, times: int = 1) -> float:
    """The learning rate of the optimizer's next update after so many steps of `times` losses each.

    1 for an optimizer without one.
    """
    schedule = SCHEDULERS.build(config.scheduler)(_updates(config.trainer, data, times))
    return float(config.optimizer.options.get("lr", 1.0)) * schedule(step * times // config.trainer.accumulate)


def _updates(config: TrainerConfig, data: Data, times: int = 1) -> Updates:
    return Updates(config.epochs, steps_per_epoch(config, data), config.accumulate, times=times)


def optimizer_maker(
    config: RunConfig, device: Device, planned: Updates, make_schedule: ScheduleMaker | None = None
) -> MakeOptimizer:
    """What makes a task its optimizers, whose schedules, the config's unless another is given, are for these updates."""
    make_optimizer = OPTIMIZERS.build(config.optimizer)
    schedule_of = make_schedule or SCHEDULERS.build(config.scheduler)

    def make_scheduled(module: nn.Module, *, every: int = 1, times: int = 1) -> ScheduledOptimizer:
        return ScheduledOptimizer(
            make_optimizer(module),
            schedule_of(dataclasses.replace(planned, every=every, times=times)),
            device,
            accumulate=planned.accumulate,
            clip_norm=config.trainer.clip_norm,
            is_recorded=config.trainer.compile and device.has_graphs,
        )

    return make_scheduled


def build_task(
    config: RunConfig,
    data: Data,
    device: Device,
    console: Console,
    *,
    is_new: bool = True,
    make_schedule: ScheduleMaker | None = None,
) -> Task:
    """The task with its model and optimizer, tried on a first batch of validation data.

    Unless `is_new`, weights of a checkpoint follow, and those that the run once started from are not needed. The learning
    rate follows the config's schedule, or the one of `make_schedule`.
    """
    make_optimizer = optimizer_maker(config, device, _updates(config.trainer, data), make_schedule)
    accumulate, batches = config.trainer.accumulate, config.trainer.epochs * steps_per_epoch(config.trainer, data)
    if accumulate > batches and config.trainer.time is None:
        raise ConfigError(
            f"trainer.accumulate={accumulate} is more than the {batches} batches of this training; write "
            f"trainer.accumulate={batches} or less"
        )
    with misfits_told(config, data.spec):
        model = _build_model(config, data, device)
        if is_new:
            console.say("start", *_start(model, config))
        if config.freeze:
            console.say("freeze", freeze(model, config.freeze))
        task = TASKS.build(config.task, model=model, spec=data.spec, device=device)
        if is_new:
            console.say("frozen", *task.read_frozen())
        _require_full_batch(task, config, data)
        _require_one_average(task, config)
        task.start(make_optimizer)
        evaluate(task, _FirstBatch(data.val), config.trainer.eval_batch_size)
        _try_training_mode(model, data, min(2, batch_size(config.trainer, data)), device)
    return task


def _require_full_batch(task: Task, config: RunConfig, data: Data) -> None:
    """Raise ConfigError if a task that needs the whole training set in one step would see less of it."""
    size = batch_size(config.trainer, data)
    if task.needs_full_batch and config.trainer.time is not None:
        raise ConfigError(f"task '{config.task.name}' takes one step, however long that is; leave trainer.time out")
    if task.needs_full_batch and size < len(data.train):
        raise ConfigError(
            f"task '{config.task.name}' takes one step on all {len(data.train):,} training examples, and "
            f"trainer.batch_size={size} is less; write trainer=one_step"
        )


def _require_one_average(task: Task, config: RunConfig) -> None:
    """Raise ConfigError if the weights that a task averages would be averaged once more."""
    if task.averages_by and config.trainer.averages:
        option = f"trainer.{config.trainer.averages[0]}"
        raise ConfigError(
            f"task '{config.task.name}' averages the weights itself ({task.averages_by}); leave {option} out, or write "
            f"{task.averages_by}=0"
        )


@contextlib.contextmanager
def misfits_told(config: RunConfig, spec: DataSpec) -> Iterator[None]:
    """Within this, a model or a task that does not take the data raises ConfigError, for want of memory ResourceError."""
    try:
        yield
    except MisfitError as error:
        raise advised(error, spec) from None
    except MISFITS as error:
        if "more than 1 value per channel" in str(error):
            raise ConfigError("batch norm needs two examples or more in a batch; write trainer.batch_size=2") from error
        misfit = (
            f"model '{config.model.name}' with task '{config.task.name}' cannot take data '{config.data.name}' "
            f"(examples of shape {spec.input_shape})"
        )
        raise _told(error, misfit, f"model '{config.model.name}'", "a smaller model") from error


def _start(model: nn.Module, config: RunConfig) -> Iterator[str]:
    """Put weights from elsewhere into the model, if the config asks for some; says what was done."""
    if isinstance(model, Torchvision) and model.weights != FROM_SCRATCH:
        yield start_pretrained(model)
    if config.init_skip and config.init_from is None:
        raise ConfigError(f"init_skip={list(config.init_skip)} needs init_from=RUN")
    if config.init_from is not None:
        yield start_from(model, config.init_from, config.init_skip)


def _try_training_mode(model: nn.Module, data: Data, size: int, device: Device) -> None:
    """Run a small training batch through a copy of the model: batch norm, for one, cannot average over one example."""
    with torch.no_grad(), device.forked_random_state():
        copy.deepcopy(model).train()(next(data.train.batches(size, epoch=1)).inputs)


def build_data(config: RunConfig, device: Device) -> Data:
    """The data set, on the device; raises ConfigError, DataError."""
    try:
        data = DATASETS.build(config.data).build(name=config.data.name, seed=config.seed)
    except MISFITS as error:
        what = f"data '{config.data.name}'"
        raise _told(error, f"{what} cannot be made with these options", what, "less data") from error
    data = _narrowed(data, config, device).to(device.torch_device)
    return one_batch_of_each(data, config.trainer) if config.debug == "fast" else data


def _narrowed(data: Data, config: RunConfig, device: Device) -> Data:
    """The data in float32, but for tables of higher precision that are standardized before a model sees them."""
    if device.torch_device.type == "mps":  # which has no float64
        return narrow_targets(narrow_inputs(data, "device=cpu keeps all"), "device=cpu keeps all")
    if config.features.name == "none" or config.features.options.get("standardize") is False:
        is_table = len(data.spec.input_shape) == 1
        data = narrow_inputs(data, "features=standard keeps all" if is_table else "subtract a constant from them")
    if config.task.options.get("standardize") is False:
        data = narrow_targets(data, "task.standardize=true keeps all")
    return data


def _told(error: Exception, misfit: str, what: str, less: str) -> UserError:
    """One of MISFITS as the user is told: options that do not fit, or what the system lacked for what was being built."""
    reason = first_line(error)
    if is_worker_lost(error):
        return ResourceError(WORKER_LOST)
    if is_out_of_memory(error):
        if allocated := re.search(r"tried to allocate (\d+) bytes", reason):
            reason = f"{int(allocated[1]):,} bytes asked for"
        return ResourceError(f"out of memory while building {what}: {reason}; close other programs, or use {less}")
    return ConfigError(f"{misfit}: {reason}")


def _build_model(config: RunConfig, data: Data, device: Device) -> nn.Module:
    """The model, behind its feature map if there is one, which is fitted to the training set."""
    model = unfitted_model(config, data.spec)
    if config.features.name != "none":
        features: Any = model.get_submodule("features")
        features.fit(torch.cat([batch.inputs for batch in data.train.batches(len(data.train))]).cpu())
    return device.place(model)


def unfitted_model(config: RunConfig, spec: DataSpec) -> nn.Module:
    """The model for such data, behind a feature map, if there is one, that has not seen the data yet."""
    features = FEATURES.build(config.features, spec=spec)
    if features is None:
        return MODELS.build(config.model, spec=spec)
    model = MODELS.build(config.model, spec=features.spec(spec))
    return nn.Sequential(OrderedDict(features=features, model=model))


class _FirstBatch:
    """A split cut down to its first batch."""

    def __init__(self, split: Split) -> None:
        self._split = split

    def __len__(self) -> int:
        return len(self._split)

    def batches(self, batch_size: int, *, epoch: int | None = None, start: int = 0) -> Iterator[Batch]:
        return itertools.islice(self._split.batches(batch_size, epoch=epoch, start=start), 1)

    def fingerprint(self) -> str:
        return self._split.fingerprint()

    def to(self, device: torch.device) -> "_FirstBatch":
        return _FirstBatch(self._split.to(device))

    def pictures(self, indices: torch.Tensor) -> torch.Tensor | None:
        return self._split.pictures(indices)
