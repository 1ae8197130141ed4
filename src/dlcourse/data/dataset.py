"""What data sets share: their options, and the way from raw tables to a training, validation and test split."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from dlcourse.config.options import Count, NonNegativeInt, Probability, ProperFraction, suggestion
from dlcourse.data.folds import FoldCount, held_out
from dlcourse.data.split import TensorSplit, seeded_generator
from dlcourse.data.transforms import Augment, ImageTransform, resize_images
from dlcourse.errors import ConfigError, DataError
from dlcourse.spec import Data, DataSpec, Split


@dataclass
class Tables:
    """Raw data: inputs `(N, ...)` and targets, for training and testing, with the names that belong to them.

    Images are uint8 `(N, channels, height, width)`, features float32 `(N, features)` or `(N, T, features)`, tokens int64
    `(N, T)`; classes are int64 `(N,)`, values float32 `(N, outputs)`, sequences int64 `(N, output_length)`. Features and
    values are float64 if float32 would blur them.
    """

    train_inputs: Tensor
    train_targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    val_inputs: Tensor | None = None
    val_targets: Tensor | None = None
    """Validation, if the data set comes with its own; otherwise it is carved from the training tables."""
    notes: tuple[str, ...] = ()
    """Those of `dlcourse.spec.Data`."""


class DataSet(ABC):
    """Abstract: anything that builds the three splits of a run from its options.

    `SPECS` are what it announces with the default options, or if a file decides, all that it may: `announced` has them
    in short, and `dlcourse list fits` asks the models with them.
    """

    SPECS: ClassVar[tuple[DataSpec, ...]] = ()

    @abstractmethod
    def build(self, *, name: str, seed: int) -> Data:
        """The splits for a run with this seed; raises ConfigError and DataError."""


@dataclass(frozen=True, kw_only=True)
class Source(DataSet):
    """A data set of single examples in tables: options shared by all of these, and `load` to be written for each.

    `subset` keeps that many training examples, before `val_fraction` of them is set aside for validation. The test set
    is never cut by either. With `k_fold`, validation is instead fold number `fold`, counted from 0, of `k_fold`
    equal parts of the training examples.
    """

    subset: Count | None = None
    val_fraction: ProperFraction = 0.1
    k_fold: FoldCount | None = None
    fold: NonNegativeInt | None = None

    @abstractmethod
    def load(self) -> Tables:
        """Read or generate the raw tables; raises DataError."""

    def build(self, *, name: str, seed: int) -> Data:
        tables = self._select(self.load())
        available = len(tables.train_targets)
        if self.subset is not None and self.subset > available:
            raise ConfigError(f"data.subset={self.subset} is more than the {available:,} training examples of '{name}'")
        kept = self._pick(tables.train_targets, self.subset or available, seeded_generator("subset", seed))
        if len(tables.test_targets) == 0:
            raise ConfigError(f"no example is left in the test set of '{name}'; use other data.classes or more data")
        train, val_inputs, val_targets = self._hold_out(tables, kept, seed)
        noise = seeded_generator("label noise", seed)
        train_targets = self._disturb(tables.train_targets[train], len(tables.class_names), noise)
        train_inputs = self._finish(tables.train_inputs[train])
        transform = self._transform(train_inputs)
        return Data(
            spec=self._spec(name, tables, train_inputs.shape[1:], transform),
            train=self._split(train_inputs, train_targets, seed, transform),
            val=self._split(self._finish(val_inputs), val_targets, seed, transform),
            test=self._split(self._finish(tables.test_inputs), tables.test_targets, seed, transform),
            notes=(*tables.notes, *self._fold_notes()),
        )

    def _hold_out(self, tables: Tables, kept: Tensor, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Those of the `kept` indices that stay for training, and validation's inputs and targets."""
        if self.fold is not None and self.k_fold is None:
            raise ConfigError(f"data.fold={self.fold} needs the number of folds, such as data.k_fold=5")
        if tables.val_inputs is not None and tables.val_targets is not None:
            if self.k_fold is not None:
                raise ConfigError(
                    f"data.k_fold={self.k_fold}: the data come with a validation set of their own; leave data.k_fold out, "
                    "or move its examples to the training set"
                )
            return kept, tables.val_inputs, tables.val_targets
        is_val = self._is_validation(tables.train_targets[kept], tables.class_names, seed)
        val = kept[is_val]
        return kept[~is_val], tables.train_inputs[val], tables.train_targets[val]

    def _is_validation(self, targets: Tensor, class_names: tuple[str, ...], seed: int) -> Tensor:
        """Whether each of the training examples `(N,)` is set aside for validation."""
        if self.k_fold is not None:
            return held_out(targets, self.k_fold, self.fold, seed, class_names if self._picks_by_class(targets) else ())
        count = round(self.val_fraction * len(targets))
        if count < 1 or count >= len(targets):
            raise ConfigError(
                f"data.val_fraction={self.val_fraction} of {len(targets)} training examples leaves training or validation "
                "empty; use more data"
            )
        is_val = torch.zeros(len(targets), dtype=torch.bool)
        is_val[self._pick(targets, count, seeded_generator("validation", seed))] = True
        return is_val

    def _fold_notes(self) -> list[str]:
        """A line if both options say what validation is."""
        if self.k_fold is None or self.val_fraction == type(self).val_fraction:
            return []
        return [f"validation is a fold of data.k_fold={self.k_fold}; data.val_fraction={self.val_fraction} is ignored"]

    def _select(self, tables: Tables) -> Tables:
        return tables

    def _pick(self, targets: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """`count` sorted indices into `targets`."""
        pick = _pick_by_class if self._picks_by_class(targets) else _pick_at_random
        return pick(targets, count, generator)

    def _picks_by_class(self, targets: Tensor) -> bool:
        """Whether the shares of the classes stay equal in what is picked."""
        return False

    def _disturb(self, targets: Tensor, num_classes: int, generator: torch.Generator) -> Tensor:
        return targets

    def _finish(self, inputs: Tensor) -> Tensor:
        """The same examples as they are kept in memory."""
        return inputs

    def _transform(self, train_inputs: Tensor) -> ImageTransform | None:
        return None

    def _split(self, inputs: Tensor, targets: Tensor, seed: int, transform: ImageTransform | None) -> Split:
        return TensorSplit(inputs, targets, seed, transform)

    def _spec(self, name: str, tables: Tables, shape: torch.Size, transform: ImageTransform | None) -> DataSpec:
        pixel_mean, pixel_std = transform.moments if transform else ((), ())
        return DataSpec(
            name=name,
            input_shape=tuple(transform.output_shape(shape) if transform else shape),
            num_outputs=len(tables.class_names) or tables.train_targets.shape[1],
            target="class" if tables.class_names else "value",
            class_names=tables.class_names,
            feature_names=tables.feature_names,
            vocabulary=tables.vocabulary,
            tokenizer="words" if tables.vocabulary else "",
            pixel_mean=pixel_mean,
            pixel_std=pixel_std,
        )


@dataclass(frozen=True, kw_only=True)
class ClassSource(Source):
    """A data set with classes, or one from a file that may turn out to hold values, to which these options mean nothing.

    `classes` keeps these, by name or number, renumbered in the order given. `label_noise` gives that share of the
    training labels (never validation's or the test's) another class at random; `stratify` keeps the share of each
    class equal in subset and validation, and in each fold.
    """

    classes: tuple[int | str, ...] | None = None
    label_noise: Probability = 0.0
    stratify: bool = True

    def _select(self, tables: Tables) -> Tables:
        if self.classes is None:
            return tables
        if not tables.class_names:
            raise ConfigError(
                f"data.classes={list(self.classes)} needs classes, and the targets are numbers; leave it out"
            )
        chosen = [_class_index(wanted, tables.class_names) for wanted in self.classes]
        if len(set(chosen)) < max(2, len(chosen)):
            raise ConfigError(f"data.classes={list(self.classes)} must name at least two different classes")
        new_index = torch.full((len(tables.class_names),), -1)
        new_index[torch.tensor(chosen)] = torch.arange(len(chosen))
        train_inputs, train_targets = _keep_classes(tables.train_inputs, tables.train_targets, new_index)
        test_inputs, test_targets = _keep_classes(tables.test_inputs, tables.test_targets, new_index)
        selected = dataclasses.replace(
            tables,
            train_inputs=train_inputs,
            train_targets=train_targets,
            test_inputs=test_inputs,
            test_targets=test_targets,
            class_names=tuple(tables.class_names[index] for index in chosen),
        )
        if tables.val_inputs is not None and tables.val_targets is not None:
            selected.val_inputs, selected.val_targets = _keep_classes(tables.val_inputs, tables.val_targets, new_index)
        return selected

    def _picks_by_class(self, targets: Tensor) -> bool:
        return self.stratify and targets.ndim == 1

    def _disturb(self, targets: Tensor, num_classes: int, generator: torch.Generator) -> Tensor:
        count = round(self.label_noise * len(targets))
        if num_classes == 0 and self.label_noise > 0:
            raise ConfigError(
                f"data.label_noise={self.label_noise} needs classes, and the targets are numbers; leave it out"
            )
        if count == 0:
            return targets
        noisy = torch.randperm(len(targets), generator=generator)[:count]
        shift = torch.randint(1, num_classes, (count,), generator=generator)
        disturbed = targets.clone()
        disturbed[noisy] = (targets[noisy] + shift) % num_classes
        return disturbed


def _pick_at_random(targets: Tensor, count: int, generator: torch.Generator) -> Tensor:
    return torch.randperm(len(targets), generator=generator)[:count].sort().values


def _pick_by_class(targets: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Every class gets its share to within one example.

    Examples are put in random order, then in order of class, and taken at equal distances.
    """
    shuffled = torch.randperm(len(targets), generator=generator)
    by_class = shuffled[targets[shuffled].argsort(stable=True)]
    places = (torch.arange(count, dtype=torch.float64) + 0.5) * len(targets) / count
    return by_class[places.long()].sort().values


def _class_index(wanted: int | str, names: Sequence[str]) -> int:
    if str(wanted) in names:
        return names.index(str(wanted))
    if isinstance(wanted, int) and 0 <= wanted < len(names):
        return wanted
    raise ConfigError(f"data.classes: no class '{wanted}'{suggestion(str(wanted), names)}")


def _keep_classes(inputs: Tensor, targets: Tensor, new_index: Tensor) -> tuple[Tensor, Tensor]:
    """The examples whose class has a new index that is not -1, with that index."""
    renamed = new_index[targets]
    kept = (renamed >= 0).nonzero().squeeze(1)
    return inputs[kept], renamed[kept]


@dataclass(frozen=True, kw_only=True)
class ImageSource(ClassSource):
    """A data set of images with classes; every split is resized and normalized alike, training also augmented.

    `resize` is the side in pixels (bilinear, antialiased); `rgb` repeats a gray channel three times. Normalization
    takes mean and standard deviation per channel from the training examples.
    """

    resize: Count | None = None
    rgb: bool = False
    augment: Augment = field(default_factory=Augment)

    def _finish(self, inputs: Tensor) -> Tensor:
        return inputs if self.resize is None else resize_images(inputs, self.resize)

    def _transform(self, train_inputs: Tensor) -> ImageTransform | None:
        return ImageTransform.fit(train_inputs, rgb=self.rgb, augment=self.augment)


@dataclass(frozen=True, kw_only=True)
class TableSource(Source):
    """A data set that comes as one table, of which `test_fraction` is set aside.

    The test rows are the same in every run, whatever its seed.
    """

    test_fraction: ProperFraction = 0.2

    def divide(
        self,
        inputs: Tensor,
        targets: Tensor,
        class_names: tuple[str, ...] = (),
        feature_names: tuple[str, ...] = (),
        vocabulary: tuple[str, ...] = (),
    ) -> Tables:
        """The table's rows as training and test tables."""
        is_test = self.set_aside(targets, class_names)
        return Tables(
            *(inputs[~is_test], targets[~is_test], inputs[is_test], targets[is_test]),
            *(class_names, feature_names, vocabulary),
        )

    def set_aside(self, targets: Tensor, class_names: tuple[str, ...] = ()) -> Tensor:
        """Whether each row is one for testing, `(N,)`; raises DataError if none would be."""
        count = round(self.test_fraction * len(targets))
        if count < 1:
            raise DataError(f"data.test_fraction={self.test_fraction} of {len(targets)} rows leaves no test set")
        pick = _pick_by_class if class_names else _pick_at_random
        is_test = torch.zeros(len(targets), dtype=torch.bool)
        is_test[pick(targets, count, seeded_generator("test"))] = True
        return is_test
