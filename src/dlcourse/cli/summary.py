"""`dlcourse summary`: the layers of a model, their parameters and FLOPs, and the memory that training it takes."""

import dataclasses
import json
import os.path
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcourse.cli import config_files
from dlcourse.cli.composed import composed
from dlcourse.cli.train import load_session
from dlcourse.config.options import hint, suggestion
from dlcourse.config.run_config import RunConfig
from dlcourse.config.yaml_file import read_yaml
from dlcourse.errors import ConfigError
from dlcourse.gpt_sizes import SIZES
from dlcourse.plugins.recorded import require_named
from dlcourse.runs.find import find_started, is_sweep
from dlcourse.runs.folder import CONFIG
from dlcourse.runs.reopen import read_checked, read_spec, run_facts
from dlcourse.spec import DataSpec, described
from dlcourse.terminal import fitted, print_help
from dlcourse.text_table import aligned, counted

if TYPE_CHECKING:
    from dlcourse.models.layer_costs import LayerCost
    from dlcourse.training.step_memory import StepMemory

HELP = f"""\
dlcourse summary [GROUP=NAME ...] [OPTION=VALUE ...]
                       layers, parameters, FLOPs and memory of what dlcourse
                       train would train with these words
dlcourse summary RUN   the same of a run: its folder, or one above
dlcourse summary SIZE  the same of a GPT: {", ".join(SIZES)}
  --json               for programs, sizes in bytes
  --config-dir DIR     your own YAML files from DIR/model, DIR/data, ..., too

Example:
  dlcourse summary model=cnn data=mnist trainer.batch_size=128

Nothing is trained, and the model takes no memory. Data are read only if
their files decide on the model.
"""

_FLAGS = ("--json", "--config-dir", "--help")
_MIB, _GIB, _TIB = 2**20, 2**30, 2**40
_FOOTNOTES = (
    "FLOPs: a forward pass of one example, a multiply-add is 2. Counted are matrix products, convolutions and attention,",
    "every query with every key; the rest is small. A training step takes about three times as many for each example.",
    "A module with layers inside has what is its own, such as the scores of attention. Layers without parameters and",
    "FLOPs that keep the shape, such as activations and dropout, are left out.",
)


@dataclass(frozen=True)
class _Subject:
    """What is to be summarized. `spec` is None if it is the data that tell, and `origin` says where else it is from."""

    title: str
    config: RunConfig
    spec: DataSpec | None = None
    origin: str = "as announced: no file was read"


@dataclass(frozen=True)
class _Examples:
    """What a training step gets, and lines under labels that say so."""

    spec: DataSpec
    batch_size: int
    was_read: bool
    notes: list[tuple[str, str]]


@dataclass(frozen=True)
class _Summary:
    """All that is said of a model."""

    title: str
    config: RunConfig
    examples: _Examples
    costs: list["LayerCost"]
    frozen: int
    """The parameters that training leaves as they are."""
    memory: "StepMemory"

    @property
    def parameters(self) -> int:
        return sum(cost.parameters for cost in self.costs)

    @property
    def precision(self) -> str:
        return str(self.config.device.options.get("precision", "float32"))


def main(words: list[str]) -> int:
    """Print what the words behind `summary` ask for; raises UserError."""
    if "--help" in words or "-h" in words:
        print_help(HELP)
        return 0
    as_json, config_dir, words = _flags(words)
    summary = _summarize(_subject(words, config_dir))
    if as_json:
        print(json.dumps(_as_json(summary), indent=2))
    else:
        print("\n".join(piece for line in _lines(summary) for piece in fitted(line)))
    return 0


def _flags(words: Sequence[str]) -> tuple[bool, str | None, list[str]]:
    """Whether JSON is asked for, the folder of config files, and the other words."""
    as_json, config_dir, others, rest = False, None, [], iter(words)
    for word in rest:
        flag, equals, value = word.partition("=")
        if word == "--json":
            as_json = True
        elif flag in ("--config-dir", "-cd"):
            config_dir = value if equals else next(rest, None)
            if not config_dir:
                raise ConfigError("--config-dir needs a folder: dlcourse summary --config-dir DIR")
        elif word in ("-m", "--multirun"):
            raise ConfigError(f"{word} is for dlcourse train; dlcourse summary is of one model, leave {word} out")
        elif word.startswith("-"):
            raise ConfigError(f"unknown flag '{word}'{suggestion(flag, _FLAGS)}")
        else:
            others.append(word)
    return as_json, config_dir, others


def _subject(words: list[str], config_dir: str | None) -> _Subject:
    """What the words name: a run, a size of GPT, or a config as `dlcourse train` composes it. Raises UserError."""
    places = config_files.folders(config_dir)
    name, *more = [word for word in words if "=" not in word] or [""]
    others = [word for word in words if word != name]
    is_run = name not in SIZES and (os.path.exists(name) or "/" in name)  # noqa: PTH110 - no error for a name that is too long
    if more and (name in SIZES or is_run):
        raise ConfigError(f"'{more[0]}' after '{name}': dlcourse summary is of one model; give one of them")
    if name in SIZES:
        return _of_size(name, others, places)
    if is_run:
        if others:
            raise ConfigError(
                f"'{others[0]}': a run is summarized as it is; write dlcourse summary {shlex.quote(name)}"
            )
        return _of_run(name)
    if name and (meant := hint(name, SIZES)):
        raise ConfigError(f"unknown size '{name}'{meant}")
    config = composed(words, places, "summary")
    return _Subject(f"{config.model.name} on {config.data.name}", config)


def _of_run(text: str) -> _Subject:
    folder = find_started(text)
    if is_sweep(folder):
        raise ConfigError(f"{folder} is a sweep; write dlcourse summary with the folder of one of its runs")
    read_checked(folder, CONFIG)
    config = RunConfig.from_mapping(read_yaml(folder / CONFIG))
    require_named(config, run_facts(folder))
    title = f"{config.model.name} on {config.data.name}"
    return _Subject(title, config, read_spec(folder), f"of the run in {folder}")


def _of_size(name: str, words: list[str], places: list[Path]) -> _Subject:
    """A size of GPT, trained as the words say."""
    size = SIZES[name]
    for word in words:
        if word.startswith("data"):
            raise ConfigError(
                f"'{word}': {name} has its own context and vocabulary; for others write model=transformer"
            )
    options = {"width": size.width, "layers": size.layers, "heads": size.heads, "norm": size.norm}
    model = ["model=transformer", *(f"model.{option}={value}" for option, value in options.items())]
    config = composed([*model, "data=text", *words], places, "summary")
    if config.trainer.batch_size == "full":
        raise ConfigError(f"trainer.batch_size=full needs data, and {name} has none here; write trainer.batch_size=8")
    symbols = tuple(map(str, range(size.vocabulary)))
    spec = DataSpec("text", (size.context,), size.vocabulary, "next", vocabulary=symbols, tokenizer="words")
    return _Subject(f"{name}, {size.note}", config, spec, "no text was read")


def _summarize(subject: _Subject) -> _Summary:
    """Build the model without memory, and run it; raises UserError."""
    load_session().check_entries(subject.config)
    from dlcourse.models.layer_costs import layer_costs
    from dlcourse.tasks import choose
    from dlcourse.training.step_memory import meta_model, step_memory

    examples = _examples(subject)
    spec = examples.spec
    config = dataclasses.replace(subject.config, task=choose(subject.config.task, spec))
    model = meta_model(config, spec)
    costs = layer_costs(model, spec.zeros(1, "meta"))
    frozen = sum(parameter.numel() for parameter in model.parameters() if not parameter.requires_grad)
    memory = step_memory(model, config, spec, examples.batch_size)
    return _Summary(subject.title, config, examples, costs, frozen, memory)


def _examples(subject: _Subject) -> _Examples:
    """What is known of the examples without the data if that is enough, or else what the data say; raises UserError."""
    from torch import device

    from dlcourse.device import Device
    from dlcourse.training.build import announced_spec, build_data
    from dlcourse.training.evaluate import batch_size
    from dlcourse.training.run_report import describe_data

    config, size = subject.config, subject.config.trainer.batch_size
    spec = subject.spec or announced_spec(config)
    is_known = subject.spec is not None or (spec is not None and spec.target != "next")  # a text's symbols are its own
    if spec is not None and is_known and size != "full":
        return _Examples(spec, size, False, [("data", f"{described(spec)}   {subject.origin}")])
    data = build_data(config, Device(device("cpu")))
    notes = [("data", f"{describe_data(data)}   read, as training does"), *(("note", note) for note in data.notes)]
    return _Examples(data.spec, batch_size(config.trainer, data), True, notes)


def _lines(summary: _Summary) -> Iterator[str]:
    from dlcourse.cli.layer_table import layer_table

    optimizer, batch_size = summary.config.optimizer.name, summary.examples.batch_size
    yield "   ".join(["dlcourse summary", summary.title, f"batches of {batch_size:,}", optimizer, summary.precision])
    yield from (f"{label:<6} {line}" for label, line in summary.examples.notes)
    if summary.frozen:
        yield f"freeze {summary.frozen:,} of {summary.parameters:,} parameters are left as they are"
    yield ""
    yield from layer_table(summary.costs)
    yield ""
    yield from _memory_lines(summary.memory, optimizer, batch_size)
    yield ""
    yield from _FOOTNOTES


def _memory_lines(memory: "StepMemory", optimizer: str, batch_size: int) -> Iterator[str]:
    """A row for each part with its size in MiB and what it is."""
    kept = round(memory.optimizer_state / max(memory.gradients, 1))  # a closed form has no gradients
    each = memory.activations / batch_size / _MIB
    rows = [
        ("weights", memory.weights, "parameters and buffers"),
        ("average", memory.averages, "of the weights over time"),
        ("gradients", memory.gradients, ""),
        (
            "optimizer state",
            memory.optimizer_state,
            f"{optimizer} keeps {counted(kept, 'number') if kept else 'no number'} for each parameter",
        ),
        (
            "activations",
            memory.activations,
            f"the batch, and what is kept for backward: {each:{',.2f' if each >= 1 else '.3g'}} for each example",
        ),
        ("temporary", memory.temporary, "other tensors at the peak, such as gradients of activations"),
        ("total", memory.total, _large(memory.total)),
    ]
    shown = [(name, f"{size / _MIB:,.2f}", text) for name, size, text in rows if size or name != "average"]
    return iter(aligned([("memory of a training step", "MiB", ""), *shown], left=(0, 2)))


def _large(size: int) -> str:
    if size < _GIB:
        return ""
    return f"= {size / _TIB:,.2f} TiB" if size >= _TIB else f"= {size / _GIB:,.2f} GiB"


def _as_json(summary: _Summary) -> dict[str, Any]:
    """The same for programs, sizes in bytes, with every module that the forward pass meets."""
    config, memory = summary.config, summary.memory
    return {
        "model": config.model.name,
        "data": config.data.name,
        "task": config.task.name,
        "input_shape": list(summary.examples.spec.input_shape),
        "data_read": summary.examples.was_read,
        "batch_size": summary.examples.batch_size,
        "optimizer": config.optimizer.name,
        "precision": summary.precision,
        "parameters": summary.parameters,
        "frozen": summary.frozen,
        "flops": sum(cost.flops for cost in summary.costs),
        "memory": dataclasses.asdict(memory) | {"total": memory.total},
        "layers": [
            {name: value for name, value in dataclasses.asdict(cost).items() if name != "changes_shape"}
            for cost in summary.costs
        ],
    }
