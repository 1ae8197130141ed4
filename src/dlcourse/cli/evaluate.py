"""`dlcourse evaluate RUN`: the kept weights of finished runs on the test set, or on other data of the same kind."""

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcourse.cli import config_files
from dlcourse.cli.hydra_guard import check_given_once
from dlcourse.cli.hydra_overrides import parse
from dlcourse.cli.resume import with_option
from dlcourse.config.options import suggestion
from dlcourse.config.paths import user_path
from dlcourse.config.run_config import FolderConfig, RunConfig
from dlcourse.console import Console
from dlcourse.errors import ConfigError
from dlcourse.runs.find import find_run, find_runs, required_run
from dlcourse.runs.folder import RunFolder, claim_folder
from dlcourse.runs.reopen import read_config
from dlcourse.terminal import escaped, print_help

if TYPE_CHECKING:
    from dlcourse.metrics.report import Report
    from dlcourse.spec import Data

HELP = """\
dlcourse evaluate RUN ...          measure finished runs again, with the weights they kept; RUN is a run folder, or one above
  data=NAME data.OPTION=VALUE      on the test set of other data: the same shape and classes
  device=NAME                      on another device
  --ensemble                       the runs as one: the mean of the probabilities, or of the numbers, that they predict
  --json                           the numbers for programs, nothing else

For example:
  dlcourse evaluate outputs/mnist-cnn
  dlcourse evaluate outputs/mnist-cnn data.root=/other/mnist
  dlcourse evaluate outputs/digits-mlp/* --ensemble

Each evaluation is kept in outputs/evaluations/NAME/TIME; the run itself stays as it is. outputs/test_looks.jsonl counts how
often each test set was read.
"""

_GROUPS = ("data", "device")
_FLAGS = ("--ensemble", "--json", "--help")
EVALUATIONS = "evaluations"
_FEWEST = 2  # runs of an ensemble


@dataclass(frozen=True)
class Request:
    """The runs to measure, what to change in their configs, and whether programs read the answer."""

    runs: tuple[str, ...]
    changes: tuple[str, ...]
    as_json: bool
    as_ensemble: bool = False


@dataclass(frozen=True)
class Found:
    """What was measured: on which data, what was reached, how often their test set was read, and of which model."""

    data: "Data"
    report: "Report"
    looks: int
    name: str
    model: str


def main(words: list[str]) -> int:
    """Evaluate as the words behind `evaluate` say; raises UserError."""
    if "--help" in words or "-h" in words:
        print_help(HELP)
        return 0
    request = _request(words)
    folders = _folders(request)
    configs = [_changed(read_config(folder), list(request.changes)) for folder in folders]

    from dlcourse.cli.train import load_session

    load_session()
    if request.as_ensemble:
        results = [_evaluate_together(folders, configs, request)]
    else:
        results = [_evaluate(*each, request) for each in zip(folders, configs, strict=True)]
    if request.as_json:
        print(json.dumps(results if len(results) > 1 else results[0], indent=2, ensure_ascii=False))
    return 0


def prepared(folder: Path, changes: Sequence[str]) -> tuple[RunConfig, Callable[[], dict[str, Any]]]:
    """What is measured if a run is evaluated with these changes, and what does it quietly and returns what --json prints.

    Raises ConfigError.
    """
    for word in changes:
        if word.startswith("-") or "=" not in word:
            raise ConfigError(f"'{word}': expected data=NAME, data.OPTION=VALUE or device=NAME")
    request = _request([str(folder), *changes, "--json"])
    config = _changed(read_config(folder), list(request.changes))
    return config, lambda: _evaluate(folder, config, request)


def _request(words: list[str]) -> Request:
    """What the words ask for; raises ConfigError."""
    for word in words:
        if word.startswith("-") and word not in _FLAGS:
            raise ConfigError(f"unknown flag '{word}'{suggestion(word, _FLAGS)}")
    plain = [word for word in words if not word.startswith("-")]
    changes = [word for word in plain if word.partition("=")[0].partition(".")[0] in _GROUPS and "=" in word]
    runs = [word for word in plain if word not in changes]
    for word in runs:
        if "=" in word and not Path(word).exists():
            raise ConfigError(
                f"'{word}': evaluate takes RUN, data=NAME, data.OPTION=VALUE and device, nothing else of a config"
            )
    if not runs:
        required_run(None, "evaluate", changes)
    return Request(tuple(runs), tuple(changes), "--json" in words, "--ensemble" in words)


def _folders(request: Request) -> list[Path]:
    """The runs that are named; of an ensemble, all those of a sweep. Raises ConfigError."""
    if not request.as_ensemble:
        return [find_run(run) for run in request.runs]
    folders = list(dict.fromkeys(folder for run in request.runs for folder in find_runs(run)))
    if len(folders) < _FEWEST:
        raise ConfigError(f"--ensemble takes at least {_FEWEST} runs, got {folders[0]} alone; name more, or a sweep")
    return folders


def _changed(config: RunConfig, words: list[str]) -> RunConfig:
    """The config with other data or another device; raises ConfigError."""
    mapping, overrides = config.to_mapping(), parse(words)
    check_given_once(overrides)
    overrides.sort(key=lambda override: override.key_or_group not in _GROUPS)  # first the entries, then their options
    for override in overrides:
        key, value = override.key_or_group, override.value()
        if override.is_sweep_override():
            raise ConfigError(f"'{override.input_line}' has several values; evaluate takes one")
        if key in _GROUPS:
            known = config_files.entries(key, config_files.folders(None))
            if str(value) not in known:
                raise ConfigError(f"unknown {key} '{value}'{suggestion(str(value), known, kind=key)}")
            mapping[key] = config_files.all_options(known[str(value)])
        else:
            mapping = with_option(mapping, key.split("."), value)
    return RunConfig.from_mapping(mapping)


def _evaluate(folder: Path, config: RunConfig, request: Request) -> dict[str, Any]:
    """Measure a run, say and keep what it reaches, and return that as plain values."""
    from dlcourse.training.build import check_entries
    from dlcourse.training.measuring import measure
    from dlcourse.training.opened import open_run

    console = Console(quiet=request.as_json)
    run = open_run(folder, config.device)
    check_entries(config)
    console.show("run", str(folder))
    found = Found(*measure(run, config), config.name, config.model.name)
    return _tell(found, {"run": str(folder)}, [folder], request, console)


def _evaluate_together(folders: list[Path], configs: list[RunConfig], request: Request) -> dict[str, Any]:
    """The same for the mean of what several runs predict."""
    from dlcourse.training.build import check_entries
    from dlcourse.training.measuring import measure_ensemble
    from dlcourse.training.opened import open_run

    console = Console(quiet=request.as_json)
    runs = [open_run(folder, configs[0].device) for folder in folders]
    for config in configs:
        check_entries(config)
    for folder in folders:
        console.show("run", str(folder))
    measured = measure_ensemble(runs, configs)
    found = Found(*measured, f"{configs[0].data.name}-ensemble", f"ensemble of {len(runs)} runs")
    return _tell(found, {"runs": [str(folder) for folder in folders]}, folders, request, console)


def _tell(
    found: Found, whose: dict[str, Any], folders: list[Path], request: Request, console: Console
) -> dict[str, Any]:
    """Say and keep what was found, and return it as plain values."""
    from dlcourse.training.run_report import describe_data, looked

    data, report = found.data, found.report
    console.say("data", f"{data.spec.name}   {describe_data(data)}", *data.notes)
    console.say("test", report.headline, *report.highlights)
    console.say("looks", *looked(found.looks))
    place = claim_folder(user_path(FolderConfig.root, "run.root") / EVALUATIONS / found.name)
    flags = ["--ensemble"] * request.as_ensemble
    result = {
        **whose,
        "command": shlex.join(["dlcourse", "evaluate", *map(str, folders), *request.changes, *flags]),
        "data": data.spec.name,
        "examples": len(data.test),
        "test": report.scalars,
        **report.details,
    }
    files = _keep(place, found, result)
    console.show("saved", f"{place}: {'  '.join(files)}")
    return result


def _keep(place: Path, found: Found, result: dict[str, Any]) -> list[str]:
    """Write the report into its folder; returns the names of the files."""
    from dlcourse.runs.logger import Logger
    from dlcourse.training.report_text import findings
    from dlcourse.training.run_report import looked

    report = found.report
    with RunFolder(place).locked() as folder:
        with Logger(folder, subject=f"{found.model} on {result['data']}") as logger:
            logger.report("test", 0, 0, report)
        folder.write_json("evaluation.json", result)
        looks = [f"looks  {line}" for line in looked(found.looks)]
        lines = [str(result["command"]), "", f"test   {report.headline}", *looks, "", *findings(report)]
        folder.write_text("report.txt", escaped("\n".join(lines)).rstrip() + "\n")
    return [
        "report.txt",
        "evaluation.json",
        *(f"{name}.txt" for name in report.texts),
        *(f"{name}.png" for name in report.pictures),
    ]
