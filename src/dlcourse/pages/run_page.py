"""What the page of a finished run shows, gathered from its folder; nothing is drawn and nothing is measured again."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcourse.config.run_config import RunConfig
from dlcourse.console import format_seconds
from dlcourse.errors import DataError
from dlcourse.pages import numbers
from dlcourse.pages.differences import Row
from dlcourse.pages.figures import end_pictures, read_figures
from dlcourse.pages.folder import progress, read_text, text_names
from dlcourse.pages.numbers import mapping
from dlcourse.pages.parts import Fact, Figure, Table, Text, shortened
from dlcourse.runs.record import RunRecord
from dlcourse.runs.result import BELOW_NUMBERS, read_report
from dlcourse.runs.test_looks import count_looks, root_above
from dlcourse.spec import DataSpec, described
from dlcourse.text_table import counted

if TYPE_CHECKING:
    from dlcourse.pages.examples import Examples

_REPORT, _MODEL, _ENVIRONMENT = "report.txt", "model.txt", "environment.json"
_CURVES = ("learning_curve.png",)
_MISTAKES = ("confusion_matrix.png", "mistakes.png")
_SHOWN_ON_THE_WAY = ("samples", "reconstructions")
_MOST_PICTURES = 24
_MOST_CLASSES = 200
_LISTED_CLASSES = 40
_MOST_LINES, _LONGEST_LINE, _MOST_TEXTS = 30, 400, 8
_MOST_FACTS, _LONGEST_NAME = 30, 60
LONGEST_COMMAND = 8000
_MACHINE = {
    "dlcourse": "dlcourse",
    "python": "Python",
    "torch": "PyTorch",
    "platform": "System",
    "processor": "Processor",
    "device": "Trained on",
    "threads": "Threads",
    "cuda": "GPU",
    "denormal numbers": "Denormal numbers",
}


@dataclass(frozen=True)
class RunPage:
    """Everything on the page of a run, in the order in which it stands there."""

    name: str
    subject: str
    facts: tuple[Fact, ...]
    tiles: tuple[Fact, ...]
    command: str
    differences: Table | None
    data: tuple[Fact, ...]
    data_notes: tuple[str, ...]
    classes: tuple[tuple[str, str], ...]
    more_classes: int
    examples: "Examples"
    results: Table
    highlights: tuple[str, ...]
    curves: tuple[Figure, ...]
    mistakes: tuple[Figure, ...]
    per_class: Table | None
    pictures: tuple[Figure, ...]
    progress: tuple[Figure, ...]
    texts: tuple[Text, ...]
    details: Text | None
    model: Text | None
    machine: tuple[Fact, ...]
    test_looks: int | None
    problems: tuple[str, ...]
    how_to_draw: str
    folder: str


def run_page(
    record: RunRecord, config: RunConfig, spec: DataSpec, differs: Sequence[Row], examples: "Examples"
) -> RunPage:
    """The page of the finished run that `record` is of; raises DataError for a file that cannot be read."""
    folder, report = record.folder, read_report(record.folder)
    task = spec.target_kind.task if config.task.name == "auto" else config.task.name
    subject = f"{config.model.name} on {config.data.name}"
    figures, problems = read_figures(end_pictures(folder, _MOST_PICTURES), subject)
    on_the_way, more_problems = read_figures(_on_the_way(folder), subject)
    written = read_text(folder / _REPORT)
    highlights, rest = split_report(written)
    texts = _texts(folder)
    supports = numbers.supports(report)
    has_more = bool(rest) and not supports and not texts
    return RunPage(
        name=record.name,
        subject=subject,
        facts=tuple(_facts(record, report, config, task)),
        tiles=tuple(numbers.tiles(report, task)),
        command=_command(report, record),
        differences=_differences(differs),
        data=tuple(_data(report, config, spec)),
        data_notes=_notes(report),
        classes=tuple((shortened(name), count) for name, count in list(supports.items())[:_LISTED_CLASSES]),
        more_classes=max(0, len(supports) - _LISTED_CLASSES),
        examples=examples,
        results=numbers.results(report, task),
        highlights=tuple(highlights),
        curves=_of(figures, _CURVES),
        mistakes=_of(figures, _MISTAKES),
        per_class=numbers.classes(report, _MOST_CLASSES),
        pictures=tuple(figure for figure in figures if figure.file not in (*_CURVES, *_MISTAKES)),
        progress=tuple(on_the_way),
        texts=tuple(texts),
        details=Text.of("More of the report", _REPORT, rest) if has_more else None,
        model=_model(folder),
        machine=tuple(_machine(folder)),
        test_looks=_test_looks(report, config, folder),
        problems=(*problems, *more_problems),
        how_to_draw="" if figures or problems else f"dlcourse resume {shlex.quote(str(folder))} report=full",
        folder=str(folder),
    )


def split_report(text: str) -> tuple[list[str], str]:
    """What report.txt says of the test in sentences, and the tables behind them; of a run of any version."""
    _, scores, rest = text.partition(f"\n{BELOW_NUMBERS}")
    if scores:
        sentences, _, tables = rest.partition("\n")[2].strip("\n").partition("\n\n")
        lines = sentences.split("\n")[:_MOST_LINES]
        return [shortened(line.strip().replace(" -> ", " → "), _LONGEST_LINE) for line in lines], tables.strip("\n")
    _, _, rest = text.partition("\ntest ")
    if not rest:
        return [], ""
    _, _, behind = rest.partition("\n")
    lines = behind.split("\n")
    count = next((place for place, line in enumerate(lines) if not line.startswith(" " * 7)), len(lines))
    return [
        shortened(line.strip().replace(" -> ", " → "), _LONGEST_LINE) for line in lines[: min(count, _MOST_LINES)]
    ], "\n".join(lines[count:]).strip("\n")


def _of(figures: Sequence[Figure], files: Sequence[str]) -> tuple[Figure, ...]:
    return tuple(figure for figure in figures if figure.file in files)


def _facts(record: RunRecord, report: Mapping[str, Any], config: RunConfig, task: str) -> list[Fact]:
    """What was trained, when and for how long."""
    kept = numbers.number(report.get("kept_epoch"))
    facts = [
        Fact("Task", task),
        Fact("Trained", f"{datetime.fromtimestamp(record.started):%Y-%m-%d %H:%M}"),
    ]
    if record.epochs is not None:
        which = "" if kept is None else f"weights of epoch {kept:,.0f} ({config.trainer.weights})"
        facts.append(Fact("Length", counted(record.epochs, "epoch"), which))
    if record.seconds is not None:
        facts.append(Fact("Time", format_seconds(record.seconds)))
    parameters = numbers.number(mapping(report.get("model")).get("parameters"))
    if parameters is not None:
        facts.append(Fact("Parameters", f"{parameters:,.0f}"))
    facts.append(Fact("Seed", str(config.seed)))
    if record.tags:
        facts.append(Fact("Tags", shortened(", ".join(record.tags))))
    return facts


def _command(report: Mapping[str, Any], record: RunRecord) -> str:
    command = report.get("command")
    return shortened(
        command if isinstance(command, str) else shlex.join(["dlcourse", "train", *record.words]), LONGEST_COMMAND
    )


def _differences(rows: Sequence[Row]) -> Table | None:
    head = ("Option", "This run", "Default")
    return Table.of("What differs from the defaults", head, rows, words=(0, 1, 2)) if rows else None


def _data(report: Mapping[str, Any], config: RunConfig, spec: DataSpec) -> list[Fact]:
    """The sizes of the data and the shape of an example."""
    told = mapping(report.get("data"))
    sizes = [("Training", "train"), ("Validation", "val"), ("Test", "test")]
    shape, _, targets = described(spec).partition("   ")
    return [
        Fact("Data set", config.data.name),
        *(Fact(f"{name} examples", f"{size:,.0f}") for name, key in sizes if (size := numbers.number(told.get(key)))),
        Fact("One example", shape),
        Fact("Target", targets),
    ]


def training_size(report: Mapping[str, Any]) -> int | None:
    """How many training examples a run had, if its report says so."""
    size = mapping(report.get("data")).get("train")
    return size if type(size) is int else None


def _notes(report: Mapping[str, Any]) -> tuple[str, ...]:
    notes = mapping(report.get("data")).get("notes")
    return tuple(shortened(str(note), _LONGEST_LINE) for note in notes[:_MOST_LINES]) if isinstance(notes, list) else ()


def _on_the_way(folder: Path) -> dict[Path, str]:
    """Of the samples, or else the reconstructions, that a run drew while training: the first, a middle one and the last."""
    found = progress(folder, "png")
    named = {name: [each for each in found if each.name == name] for name in _SHOWN_ON_THE_WAY}
    drawn = next(filter(None, named.values()), [])
    places = sorted({0, len(drawn) // 2, len(drawn) - 1}) if len(drawn) > 1 else []
    return {drawn[place].path: f"epoch {drawn[place].epoch}" for place in places}


def _texts(folder: Path) -> list[Text]:
    """What a model has written in the end, and for comparison after its first epoch."""
    texts = [
        Text.of(name.removesuffix(".txt").replace("_", " ").capitalize(), name, read_text(folder / name))
        for name in text_names(folder, (_REPORT, _MODEL, "error.txt"))[:_MOST_TEXTS]
    ]
    written = [each for each in progress(folder, "txt") if (folder / f"{each.name}.txt").exists()]
    if len(written) > 1:
        first = written[0]
        title = f"{first.name.replace('_', ' ').capitalize()} after epoch {first.epoch}, for comparison"
        texts.append(Text.of(title, f"progress/{first.path.name}", read_text(first.path)))
    return texts


def _model(folder: Path) -> Text | None:
    layers = read_text(folder / _MODEL)
    return Text.of("Layers", _MODEL, layers) if layers else None


def _machine(folder: Path) -> list[Fact]:
    """Versions and machine, as they were when the run began."""
    try:
        found = mapping(json.loads(read_text(folder / _ENVIRONMENT) or "{}"))
    except (ValueError, RecursionError):
        raise DataError(f"{folder / _ENVIRONMENT} is damaged, it cannot be read") from None
    known = {key: found[key] for key in _MACHINE if key in found}
    others = {key: value for key, value in found.items() if key not in known and key != "command"}
    return [
        Fact(_MACHINE.get(key) or _words(key), shortened(str(value)))
        for key, value in (known | others).items()
        if isinstance(value, str | int | float)
    ][:_MOST_FACTS]


def _words(key: str) -> str:
    return shortened(re.sub(r"[_\s]+", " ", key), _LONGEST_NAME)


def _test_looks(report: Mapping[str, Any], config: RunConfig, folder: Path) -> int | None:
    """How often the test set of the run was read by now; None where nobody has counted."""
    test = mapping(report.get("data")).get("test_sha256")
    looks = count_looks(test, root_above(folder, config.run.root)) if isinstance(test, str) else 0
    return looks or None
