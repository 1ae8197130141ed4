"""A finished run measured again: its kept weights on the test set, or on other data of the same kind."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dlcourse.config.run_config import RunConfig
from dlcourse.data.split import targets_of
from dlcourse.errors import ConfigError
from dlcourse.metrics.report import Report
from dlcourse.rng import seed_everything
from dlcourse.spec import Batch, Data, DataSpec, Split
from dlcourse.tasks.ensemble import as_one
from dlcourse.training.build import build_data
from dlcourse.training.opened import OpenedRun
from dlcourse.training.test_set import measure_on_test

_MUST_BE_SAME = {
    "target": "targets",
    "input_shape": "examples of shape",
    "num_outputs": "outputs",
    "class_names": "classes",
    "vocabulary": "vocabulary",
    "output_length": "tokens of a target",
}
"""What other data must have in common with those that a run was trained on, and how that is called."""


def measure(run: OpenedRun, config: RunConfig) -> tuple[Data, Report, int]:
    """The data that the config names, what the run reaches on their test set, and how often that was read; raises UserError.

    On the run's own data it is what the run itself has measured at its end, digit for digit.
    """
    seed_everything(config.seed)
    data = build_data(config, run.device)
    _require_same_kind(run.spec, data.spec)
    if data.spec.pixel_mean != run.spec.pixel_mean or data.spec.pixel_std != run.spec.pixel_std:
        data = _normalized_as(run.spec, data)
    run.load_frozen()
    run.task.prepare(data)
    run.load_weights()  # preparing may have measured a scale of its own on these data
    size = config.trainer.eval_batch_size
    report, looks = measure_on_test(run.task, data, size, by="evaluate", run=str(run.folder))
    return data, report, looks


def measure_ensemble(runs: Sequence[OpenedRun], configs: Sequence[RunConfig]) -> tuple[Data, Report, int]:
    """The same for the mean of what several runs predict, on the data of the first; raises UserError.

    All must have been measured on the same test set: an example that one of them was trained on would be no test.
    """
    first = configs[0]
    seed_everything(first.seed)
    data = build_data(first, runs[0].device)
    for run, config in zip(runs, configs, strict=True):
        _require_same_kind(run.spec, data.spec)
        if config.features != first.features:
            raise ConfigError(
                f"an ensemble reads its inputs in one way: {runs[0].folder} has features={first.features.name}, "
                f"{run.folder} has features={config.features.name}"
            )
        if config.data != first.data and build_data(config, run.device).test.fingerprint() != data.test.fingerprint():
            raise ConfigError(
                f"{run.folder} has another test set than {runs[0].folder}; write data=NAME to name one for all"
            )
    together = as_one([(run.task, run.spec) for run in runs], data.spec)
    together.prepare(data)
    size, members = first.trainer.eval_batch_size, ", ".join(str(run.folder) for run in runs)
    report, looks = measure_on_test(together, data, size, by="evaluate", run=members)
    return data, report, looks


def _require_same_kind(trained: DataSpec, other: DataSpec) -> None:
    for name, words in _MUST_BE_SAME.items():
        ours, theirs = getattr(trained, name), getattr(other, name)
        if ours != theirs:
            raise ConfigError(
                f"data '{other.name}' do not fit this run: {words} {_short(theirs)}, and it was trained on "
                f"'{trained.name}' with {_short(ours)}; write data=NAME for data of the same kind"
            )


def _short(value: object) -> str:
    """A value, or of many the first and how many there are."""
    if isinstance(value, tuple) and len(value) > 3:
        return f"{', '.join(map(str, value[:3]))}, ... ({len(value)})"
    return f"({', '.join(map(str, value))})" if isinstance(value, tuple) else str(value)


def _normalized_as(spec: DataSpec, data: Data) -> Data:
    """Images with the mean and the standard deviation that the model was trained with, not with their own."""
    train, val, test = (_Renormalized(split, data.spec, spec) for split in (data.train, data.val, data.test))
    same = replace(data.spec, pixel_mean=spec.pixel_mean, pixel_std=spec.pixel_std)
    return Data(same, train, val, test, data.notes)


@dataclass(frozen=True)
class _Renormalized:
    """A split of images as they look after another normalization."""

    split: Split
    before: DataSpec
    after: DataSpec

    def __len__(self) -> int:
        return len(self.split)

    def batches(self, batch_size: int, *, epoch: int | None = None, start: int = 0) -> Iterator[Batch]:
        for batch in self.split.batches(batch_size, epoch=epoch, start=start):
            yield batch._replace(inputs=self.after.from_pixels(self.before.to_pixels(batch.inputs)))

    def fingerprint(self) -> str:
        return self.split.fingerprint()

    def to(self, device: torch.device) -> "_Renormalized":
        return replace(self, split=self.split.to(device))

    @property
    def targets(self) -> Tensor:
        """The classes, which the images are not read for."""
        return targets_of(self.split)

    def pictures(self, indices: Tensor) -> Tensor | None:
        return self.split.pictures(indices)
