"""`dlcourse verify RUN [OTHER]`: whether a run is bit-equal to its config trained again, or to another run."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from dlcourse.cli.recorded import finished, recorded_config, version_told
from dlcourse.config.options import suggestion
from dlcourse.console import Console
from dlcourse.errors import ConfigError, DataError, DivergedError
from dlcourse.runs.find import required_run
from dlcourse.terminal import print_help
from dlcourse.text_table import counted

if TYPE_CHECKING:
    from dlcourse.config.run_config import RunConfig
    from dlcourse.runs.difference import Comparison

HELP = """\
dlcourse verify RUN        train a finished run's config again in a temporary
                           folder, and compare the two
dlcourse verify RUN OTHER  compare two finished runs; nothing is trained
                           RUN is a run folder, or a folder above it

Compares metrics.jsonl (without times), the kept weights and predictions.csv,
bit for bit. If something differs, it shows the first line that does, with both
values, and which options, versions, device, threads, plug-ins or data differ.

Training again takes the run's number of threads. RUN is not changed, and
outputs/test_looks.jsonl does not count the second training.

Exit code: 0 bit-equal, 1 something differs

For example:
  dlcourse verify outputs/mnist-cnn
  dlcourse verify outputs/mnist-cnn outputs/mnist-cnn-again
"""

_MOST_WORDS = 2
_UNKNOWN = (
    "unknown: config, versions, processor, threads and data are the same; a GPU needs device.deterministic=true, and a run "
    "named by an option such as init_from may have changed"
)


def main(words: list[str]) -> int:
    """Verify what the words behind `verify` name; returns 1 if something differs. Raises UserError."""
    if "--help" in words or "-h" in words:
        print_help(HELP)
        return 0
    folders = _folders(words)
    config = recorded_config(folders[0])

    from dlcourse.cli.train import load_session

    load_session()
    console = Console()
    console.show("run", str(folders[0]))
    if len(folders) == _MOST_WORDS:
        console.show("other", str(folders[1]))
        return _compare(console, folders[0], folders[1])
    return _verify(console, folders[0], config)


def _folders(words: list[str]) -> list[Path]:
    """The finished runs that are named, one or two; raises ConfigError."""
    for word in words:
        if word.startswith("-"):
            raise ConfigError(f"unknown flag '{word}'{suggestion(word, ['--help'])}")
    if len(words) > _MOST_WORDS or ("=" in "".join(words[1:]) and not Path(words[-1]).exists()):
        raise ConfigError(
            f"'{words[-1]}': verify takes RUN, or RUN and OTHER; for a run with other options write dlcourse rerun RUN "
            "OPTION=VALUE"
        )
    folders = [finished(word) for word in words or [required_run(None, "verify")]]
    if len(folders) == _MOST_WORDS and folders[0].samefile(folders[1]):
        raise ConfigError(f"'{words[0]}' and '{words[1]}' are the same run, {folders[0]}; name two")
    return folders


def _compare(console: Console, run: Path, other: Path) -> int:
    """Compare two runs, and report; returns the exit code. Raises DataError."""
    from dlcourse.runs.circumstances import differences, reasons
    from dlcourse.runs.difference import compare, read_outcome

    names = f"in {run}", f"in {other}"
    found = compare(read_outcome(run), read_outcome(other), names)
    return _report(console, found, differences(run, other, names), [*reasons(run), *reasons(other)])


def _verify(console: Console, run: Path, config: "RunConfig") -> int:
    """Train again, compare, and report; returns the exit code. Raises UserError, before it trains if the run is damaged."""
    from dlcourse.runs.circumstances import differences, reasons
    from dlcourse.runs.difference import compare, read_outcome
    from dlcourse.training.again import trained_again, with_recorded_threads

    names, ours = ("in the run", "now"), read_outcome(run)
    length = config.trainer.time or counted(config.trainer.epochs, "epoch")
    console.say("again", f"{config.model.name} on {config.data.name}, {length}, in a temporary folder")
    try:
        with version_told(run), trained_again(with_recorded_threads(config, run)) as again:
            theirs, around = read_outcome(again), differences(run, again, names)
    except (ConfigError, DataError) as error:
        command = f"dlcourse rerun {shlex.quote(str(run))} OPTION=VALUE"
        kind = DataError if isinstance(error, DataError) else ConfigError
        raise kind(f"cannot train {run} again: {error}; to train it with other options: {command}") from error
    except DivergedError as error:
        console.say("verify", f"differs: the run finished; trained again, {error}")
        console.say("why", *reasons(run))
        return 1
    return _report(console, compare(ours, theirs, names), around, reasons(run))


def _report(console: Console, found: "Comparison", around: list[str], reasons: list[str]) -> int:
    """Say what differs between two runs, and what may be the reason; returns the exit code."""
    if not found.differences:
        console.say("verify", str(found))
        console.say("note", *around)
        return 0
    console.say("verify", *(f"differs: {line}" for line in found.differences))
    console.say("why", *([*around, *reasons] or [_UNKNOWN]))
    return 1
