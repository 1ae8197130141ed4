"""RunConfig and TrainerConfig: the typed shape of a whole run, and where the config files are."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Annotated, Any, Literal

from dlcourse.config.duration import Duration
from dlcourse.config.options import Count, Positive, ProperFraction, Range, convert, suggestion
from dlcourse.config.registry import Choice
from dlcourse.errors import ConfigError


@dataclass(frozen=True)
class CheckpointConfig:
    """When the whole state of a training is saved, besides at its start, its end and when it is told to stop.

    Every `steps` steps and every `seconds` seconds, less often if saving would take more than 3 % of the time. The newest
    `keep` checkpoints are kept.
    """

    steps: Count | None = None
    seconds: Positive | None = 60.0
    keep: Count = 2


AVERAGES = ("ema", "swa")
"""The options that average the weights, and the names of these averages in logs and reports."""


@dataclass(frozen=True)
class TrainerConfig:
    """How the loop goes round: lengths in epochs, sizes in examples, intervals in epochs (evaluation) or steps (log).

    `time` decides when training ends if it is given, in place of `epochs`. `batch_size=full` takes the whole training set in
    each step: gradient descent; no batch is larger than that.
    `accumulate` averages the gradients of that many batches for a step, `clip_norm` scales gradients down to this norm,
    and `patience` stops after that many evaluations without improvement. `weights` says which are tested and kept: the
    best on validation, or the last.

    `ema` is the decay of an exponential moving average of the weights, `swa` the share of the epochs from which on they are
    averaged equally. Averages are measured on validation beside the raw weights, and whichever are best there stand for
    their epoch: they are the ones that `weights` keeps. `watch` shows weights, gradients and activations in TensorBoard.
    """

    epochs: Count = 5
    time: Duration | None = None
    batch_size: Count | Literal["full"] = 64
    eval_batch_size: Count = 250
    eval_every: Count = 1
    log_every: Count = 50
    accumulate: Count = 1
    clip_norm: Positive | None = None
    patience: Count | None = None
    weights: Literal["best", "last"] = "best"
    ema: ProperFraction | None = None
    swa: ProperFraction | None = None
    watch: bool = False
    compile: bool = False
    log_graph: bool = False
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)

    @property
    def averages(self) -> tuple[str, ...]:
        """The averages of the weights that are asked for."""
        return tuple(name for name in AVERAGES if getattr(self, name) is not None)


_MOST_BYTES = 255


@dataclass(frozen=True)
class FolderConfig:
    """Where results go: a new folder `<root>/<name>/<time>`, or exactly `dir` if that is given.

    A `name` of null stands for the names of data set and model, `tags` are words of the user's. Raises ConfigError for a
    name that no folder should have, and for a tag that cannot be shown.
    """

    root: str = "outputs"
    name: str | None = None
    dir: str | None = None
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for tag in self.tags:
            if not tag.strip() or not tag.isprintable() or "," in tag:
                raise ConfigError(
                    f"run.tags must be words without commas, got {tag[:80]!r}; write run.tags=[first,lecture3]"
                )
        if self.name is not None and not _is_folder_name(self.name):
            raise ConfigError(
                f"run.name must be a plain folder name, such as first_try (no '/', no '.' at the start, at most "
                f"{_MOST_BYTES} bytes), got {self.name[:80]!r}; write run.name=NAME"
            )


def _is_folder_name(name: str) -> bool:
    """Whether it names one folder, which is not hidden, on any system, and can be printed as it is."""
    plain = name.isprintable() and not name.startswith(".") and not set(name) & set("/\\")
    return plain and 0 < len(name.encode()) <= _MOST_BYTES


@dataclass(frozen=True)
class RunConfig:
    """All that decides a run. A `Choice` names a registry entry, whose options its registry checks."""

    model: Choice
    data: Choice
    features: Choice
    task: Choice
    optimizer: Choice
    scheduler: Choice
    device: Choice
    trainer: TrainerConfig
    run: FolderConfig
    init_from: str | None = None
    """The folder of a run whose weights the model starts from."""
    init_skip: tuple[str, ...] = ()
    """Patterns of the names of tensors that keep their first random weights all the same."""
    freeze: tuple[str, ...] = ()
    """Patterns of the names of parameters that training leaves as they are."""
    seed: Annotated[int, Range(ge=0, le=2**32 - 1)] = 0
    report: Literal["full", "light"] = "full"
    """`light` draws no pictures; the numbers, tables and texts are the same."""
    resume: Literal["auto"] | None = None
    """`auto` resumes an unfinished run of the same config, if there is one."""
    debug: Literal["overfit", "fast", "profile"] | None = None
    """Not a real run: `overfit` looks for faults on one batch, `fast` runs one batch of everything, `profile` measures."""

    @property
    def name(self) -> str:
        """What the run is called: the name of its folder under `run.root`."""
        return self.run.name or f"{self.data.name}-{self.model.name}"

    @classmethod
    def from_mapping(cls, config: Mapping[str, Any]) -> "RunConfig":
        """The checked config of plain dicts, lists and numbers; raises ConfigError."""
        known = {field.name: field.type for field in fields(cls)}
        for name in config:
            if name not in known:
                raise ConfigError(f"unknown section '{name}'{suggestion(str(name), known, kind='option')}")
        values: dict[str, Any] = {
            name: _choice(value, name) if annotation is Choice else convert(value, annotation, name)
            for name, annotation in known.items()
            for value in [config.get(name, _WITHOUT.get(name))]
        }
        return cls(**values)

    def to_mapping(self) -> dict[str, Any]:
        """The whole config as plain dicts, lists and numbers that `from_mapping` reads back to the same."""
        sections: dict[str, Any] = {}
        for section in fields(self):
            value = getattr(self, section.name)
            if isinstance(value, Choice):
                value = {"name": value.name, **value.options}
            elif is_dataclass(value) and not isinstance(value, type):
                value = asdict(value)
            sections[section.name] = _plain(value)
        return sections

    def to_yaml(self) -> str:
        """The same as YAML."""
        import yaml

        return yaml.safe_dump(self.to_mapping(), sort_keys=False, allow_unicode=True)


_WITHOUT = {"init_skip": (), "freeze": (), "report": "full"}
"""Values of options that a config does not have: it may be of a time before there were any."""


def _plain(value: Any) -> Any:
    """Lists for tuples, however deep: what JSON and YAML give back."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _choice(section: Any, name: str) -> Choice:
    if not isinstance(section, Mapping) or not isinstance(section.get("name"), str):
        raise ConfigError(f"section '{name}' must have a 'name' and options, got {section!r}")
    return Choice(section["name"], {key: value for key, value in section.items() if key != "name"})


NO_PART_OF_A_RUN = ("run", "report", "resume")
"""Sections that say where results go and what is drawn of them: two runs that differ in nothing else are the same."""


def option_values(config: RunConfig) -> dict[str, str | float | bool]:
    """Every option by its dotted name, an entry by its group's: numbers as numbers, lists and null as text."""
    values: dict[str, str | float | bool] = {}
    for section, options in config.to_mapping().items():
        if section in NO_PART_OF_A_RUN:
            continue
        for name, value in options.items() if isinstance(options, dict) else [("", options)]:
            key = section if name in ("", "name") else f"{section}.{name}"
            values[key] = (
                value if isinstance(value, str | float | bool | int) else json.dumps(value, ensure_ascii=False)
            )
    return values


GROUPS = (*(field.name for field in fields(RunConfig) if field.type is Choice), "trainer", "experiment")
"""The groups of config files, in the order in which they are listed."""
