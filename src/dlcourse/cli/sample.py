"""`dlcourse sample RUN`: images or text made up by the model of a finished run."""

import argparse
from pathlib import Path
from typing import Any, NoReturn

from dlcourse.config.options import suggestion
from dlcourse.config.paths import user_path
from dlcourse.config.run_config import RunConfig
from dlcourse.config.yaml_file import read_yaml
from dlcourse.errors import ConfigError
from dlcourse.runs.find import find_run
from dlcourse.runs.folder import CONFIG
from dlcourse.runs.reopen import read_checked
from dlcourse.terminal import print_help

HELP = """\
dlcourse sample RUN          images or text made up by a finished run: its folder, or one above (the newest run in it)
  --count N                  how many images, points or texts
  --seed N                   the same seed gives the same samples (default 0)
  --out FILE                 write here instead of RUN/samples/; never over a file that is there
for models that know classes:
  --label NAME               only this class
  --guidance W               diffusion: how strongly the class pulls (0: not more than it was trained to)
  --steps N                  diffusion: reverse steps
for text:
  --prompt TEXT              go on from here
  --length N                 for so many tokens
  --temperature T            below 1 bolder in what is likely, above 1 wilder; 0 always takes the likeliest
  --top-k K                  only from the K likeliest tokens
"""

_RANGES: dict[str, tuple[type, float, float]] = {
    "count": (int, 1, 10_000),
    "seed": (int, 0, 2**32 - 1),
    "guidance": (float, 0, 1000),
    "steps": (int, 1, 100_000),
    "length": (int, 1, 1_000_000),
    "temperature": (float, 0, 1000),
    "top_k": (int, 1, 1_000_000),
}


def main(words: list[str]) -> int:
    """Sample as the words behind `sample` say; raises UserError."""
    if not words or "--help" in words or "-h" in words:
        print_help(HELP)
        return 0 if words else 2
    options = _parse(words)
    folder = find_run(options.pop("run"), "RUN")
    read_checked(folder, CONFIG)
    config = RunConfig.from_mapping(read_yaml(folder / CONFIG))
    seed = options.pop("seed") or 0
    out = options.pop("out")
    target: Path | None = None if out is None else user_path(out, "--out")

    from dlcourse.cli.train import load_session

    load_session().check_entries(config)
    from dlcourse.tasks.generative_task import SampleRequest
    from dlcourse.training import sampling

    if target is not None:
        sampling.check_out(target)
    report = sampling.sample(folder, config, SampleRequest(**options), seed)
    written = sampling.write(report, folder, config, target)
    for text in report.texts.values():
        print(text)
    for path in written:
        print(f"saved  {path}")
    return 0


def _parse(words: list[str]) -> dict[str, Any]:
    """The folder and the options by name, None where not given; raises ConfigError."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.error = _refuse  # type: ignore[method-assign]
    parser.add_argument("run")
    names = ["count", "seed", "out", "label", "guidance", "steps", "prompt", "length", "temperature", "top_k"]
    flags = [f"--{name.replace('_', '-')}" for name in names]
    for flag in flags:
        parser.add_argument(flag)
    for word in words:
        if word.startswith("--") and word.partition("=")[0] not in flags:
            raise ConfigError(f"unknown flag '{word}'{suggestion(word.partition('=')[0], flags)}")
    options = vars(parser.parse_args(words))
    return {name: _number(name, value) if name in _RANGES else value for name, value in options.items()}


def _number(name: str, text: str | None) -> float | None:
    if text is None:
        return None
    kind, low, high = _RANGES[name]
    try:
        value: float = kind(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        word = "whole number" if kind is int else "number"
        raise ConfigError(f"--{name.replace('_', '-')} must be a {word} in [{low:g}, {high:g}], got '{text}'")
    return value


def _refuse(message: str) -> NoReturn:
    raise ConfigError(f"{message}; try dlcourse sample --help")
