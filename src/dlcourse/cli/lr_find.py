"""`dlcourse lr_find`: a learning rate for the training that some words describe, from a range test; it leaves no run."""

import argparse
import dataclasses
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlcourse.cli import config_files
from dlcourse.cli.composed import composed
from dlcourse.cli.train import load_session
from dlcourse.config.options import suggestion
from dlcourse.config.run_config import RunConfig
from dlcourse.console import Console
from dlcourse.error_line import flag_error
from dlcourse.errors import ConfigError
from dlcourse.plugins.named import flags
from dlcourse.runs.named_file import new_file, write_named
from dlcourse.terminal import print_help

if TYPE_CHECKING:
    from dlcourse.training.lr_range import LrRange

HELP = """\
dlcourse lr_find [GROUP=NAME ...] [OPTION=VALUE ...]
                       a learning rate for what dlcourse train would train
                       with these words, from a range test (Smith 2017)
  --out FILE.png       the picture of the test (default lr_find.png)
  --config-dir DIR     your own YAML files from DIR/model, DIR/data, ..., too

Example:
  dlcourse lr_find model=cnn data=mnist

The learning rate rises from 1e-6 to 10 in 100 updates, three times, each with
other initial weights and batches. The suggestion is the learning rate at which
the loss falls fastest. It leaves no run, only the picture.
"""

_OUT, _OUT_DEFAULT = "--out", "lr_find.png"
_LR = "optimizer.lr"


@dataclass(frozen=True)
class _Request:
    """What is asked: the words of a training, the folder of config files, and the file for the picture."""

    words: list[str]
    config_dir: str | None
    out: Path


def main(words: list[str]) -> int:
    """Find a learning rate as the words behind `lr_find` say; raises UserError."""
    if "--help" in words or "-h" in words:
        print_help(HELP)
        return 0
    request = _request(words)
    config = composed(request.words, config_files.folders(request.config_dir), "lr_find")
    load_session().check_entries(config)
    if config.debug is not None:
        raise ConfigError(f"debug={config.debug} is for dlcourse train; leave it out")
    found, subject = _test(config)
    console = Console()
    console.say("tested", _tested(found))
    console.say("lr", _suggested(found))
    _draw(found, subject, request.out)
    console.show("saved", str(request.out))
    if found.suggestion is None:
        return 1
    console.show("train", _command(request, found.suggestion))
    return 0


def _request(words: list[str]) -> _Request:
    """What the words ask for; raises ConfigError."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.error = flag_error("lr_find")  # type: ignore[assignment, method-assign]
    parser.add_argument("words", nargs="*")
    parser.add_argument(_OUT, default=_OUT_DEFAULT)
    parser.add_argument("--config-dir", "-cd")
    known = [*parser._option_string_actions, "--help"]
    for word in words:
        if word in ("-m", "--multirun"):
            raise ConfigError(f"{word} is for dlcourse train; dlcourse lr_find is of one model, leave {word} out")
        if word.startswith("-") and word.partition("=")[0] not in known:
            raise ConfigError(f"unknown flag '{word}'{suggestion(word.partition('=')[0], known)}")
    given = parser.parse_intermixed_args(words)
    return _Request(given.words, given.config_dir, new_file(given.out, _OUT, ".png"))


def _test(config: RunConfig) -> "tuple[LrRange, str]":
    """The range test, and what it is of; raises UserError."""
    from dlcourse.device import DEVICES, thread_notes
    from dlcourse.rng import seed_everything
    from dlcourse.tasks import choose
    from dlcourse.training.build import batch_notes, build_data, check_announced
    from dlcourse.training.evaluate import batch_size
    from dlcourse.training.lr_range import lr_range
    from dlcourse.training.run_report import describe_data

    check_announced(config)
    console, device = Console(), DEVICES.build(config.device)
    seed_everything(config.seed)
    data = build_data(config, device)
    subject, size = f"{config.model.name} on {config.data.name}", batch_size(config.trainer, data)
    head = [
        "dlcourse lr_find",
        subject,
        config.optimizer.name,
        f"batches of {size:,}",
        str(device),
        f"seed {config.seed}",
    ]
    console.rows(["   ".join(head)])
    console.say("data", describe_data(data))
    console.say("note", *thread_notes(), *data.notes, *batch_notes(config.trainer, data))
    config = dataclasses.replace(config, task=choose(config.task, data.spec))
    return lr_range(config, data, device, console), f"{subject}, {config.optimizer.name}"


def _draw(found: "LrRange", subject: str, out: Path) -> None:
    from dlcourse.plots import LrRangeCurve, to_image, to_png

    picture = LrRangeCurve(found.lrs, found.losses, found.smoothed, found.suggestion, subject)
    write_named(out, _OUT, to_png(to_image(picture)))


def _tested(found: "LrRange") -> str:
    tests, updates = found.losses.shape
    return f"{tests} x {updates} updates, learning rates from {found.lrs[0]:g} to {found.lrs[-1]:.2g}"


def _suggested(found: "LrRange") -> str:
    if found.suggestion is None:
        return "none: the loss does not fall at any of them"
    return f"{found.suggestion:g}, where the loss falls fastest; it is lowest at {found.lowest:.2g}"


def _command(request: _Request, lr: float) -> str:
    """The training with this learning rate, and with the words and flags of the test."""
    others = [word for word in request.words if word.lstrip("+").partition("=")[0] != _LR]
    config_dir = [] if request.config_dir is None else ["--config-dir", request.config_dir]
    return shlex.join(["dlcourse", "train", *flags(), *config_dir, *others, f"{_LR}={lr:g}"])
