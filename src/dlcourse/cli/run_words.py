"""The words behind a verb that takes one finished RUN and flags with a value."""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from dlcourse.config.options import suggestion
from dlcourse.error_line import flag_error
from dlcourse.errors import ConfigError, DataError
from dlcourse.runs.find import required_run
from dlcourse.runs.record import RunRecord


def read_words(verb: str, words: Sequence[str], flags: Sequence[str], example: str = "") -> argparse.Namespace:
    """`run`, and the value of each flag or None; raises ConfigError. `example` are flags that the verb needs."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.error = flag_error(verb)  # type: ignore[assignment, method-assign]
    parser.add_argument("runs", nargs="*")
    for flag in flags:
        parser.add_argument(flag)
    for word in words:
        if word.startswith("--") and word != "--" and word.partition("=")[0] not in flags:
            raise ConfigError(f"unknown flag '{word}'{suggestion(word.partition('=')[0], flags)}")
    given = parser.parse_intermixed_args(words)
    more = [example] if example else []
    given.run = required_run(given.runs[0] if given.runs else None, verb, more)
    if len(given.runs) > 1:
        command = " ".join(["dlcourse", verb, shlex.quote(given.run), *more])
        raise ConfigError(f"'{given.runs[1]}': {verb} takes one RUN; write {command}")
    return given


def still_running(folder: Path) -> ConfigError:
    """That a run cannot be used before it has ended."""
    return ConfigError(f"{folder} is still running; wait for it, or see it with dlcourse tensorboard")


def require_done(record: RunRecord, verb: str) -> None:
    """Raise ConfigError or DataError, each with what to type, for a run that has not ended well."""
    folder, resume = record.folder, f"dlcourse resume {shlex.quote(str(record.folder))}"
    if record.state == "damaged":
        raise DataError(f"cannot {verb} {folder}: {record.reason}")
    if record.state == "running":
        raise still_running(folder)
    if record.state == "failed":
        raise ConfigError(f"{folder} has failed ({record.reason}); dlcourse {verb} needs a finished run")
    if record.state != "done":
        raise ConfigError(f"{folder} is not finished; write {resume}")
