"""`dlcourse.train`: one run, trained as `dlcourse train` trains it, in the caller's own process."""

import contextlib
import os
import re
import shlex
from collections.abc import Iterator, Sequence

from dlcourse.api.guest import as_in_a_command, composing
from dlcourse.api.run import Run, load
from dlcourse.cli import config_files, hydra_guard
from dlcourse.cli.hydra_overrides import parse
from dlcourse.cli.train import as_run
from dlcourse.config.paths import StrPath
from dlcourse.config.run_config import RunConfig
from dlcourse.errors import ConfigError
from dlcourse.plugins.named import as_folders, naming
from dlcourse.signals import StoppedError, in_host
from dlcourse.terminal import guarded

_SEVERAL_OPTIONS = re.compile(r"\s*[a-z][\w.]*=\S*(?:\s+[a-z][\w.]*=\S*)+\s*", re.ASCII)


def train(
    *overrides: str, config_dir: StrPath | None = None, plugins: StrPath | Sequence[StrPath] | None = None
) -> Run:
    """Train one run, as `dlcourse train` does with the same words: `train("model=cnn", "data=mnist")`.

    It prints what the command prints, and leaves the same run folder. The run is seeded by its option `seed`; your own
    random states, torch's number of threads and its other settings are afterwards what they were before. `config_dir` is a
    folder of your own config files, `plugins` a folder with models, data sets and tasks of your own, whose code is run, or
    several. `resume=auto` continues an unfinished run of the same options.

    Raises UserError, with the one line that the command would print. Ctrl-C, or the stop button of a notebook, saves the
    run within a step and raises KeyboardInterrupt; with `resume=auto` the same call continues it.
    """
    with naming(as_folders(plugins)):
        config, words = composed(overrides, config_dir)
        if config.debug in ("overfit", "profile"):
            command = shlex.join(["dlcourse", "train", *words])
            raise ConfigError(f"debug={config.debug} leaves no run to give back; type {command} in a shell")

        from dlcourse.training import session

        with _as_a_guest(), guarded(), as_in_a_command(config.device):
            result = session.run(config, words)
    if result is None:  # resume=auto found that the run in run.dir is complete
        assert config.run.dir is not None
        return load(config.run.dir, plugins=plugins)
    return load(result.folder, plugins=plugins)


def composed(overrides: Sequence[str], config_dir: StrPath | None = None) -> tuple[RunConfig, list[str]]:
    """The checked config of these words, and the words that a run of it is recorded by; raises ConfigError."""
    for word in overrides:
        _check_word(word)
    with composing():
        places = config_files.folders(None if config_dir is None else os.fspath(config_dir))
        parsed = parse([word for word in overrides if word != "experiment=null"])
        for override in parsed:
            if override.is_sweep_override():
                key = override.key_or_group
                raise ConfigError(
                    f"'{override.input_line}' has several values, and dlcourse.train does one run; call it for each of "
                    f"them, or write {key}=[...] for a list, or \"{key}='...'\" for one text"
                )
        words = hydra_guard.check(parsed, places, sweep=False)
        config = hydra_guard.compose(parse(words), places)
        hydra_node = config.hydra
        return as_run(config, hydra_node)


def _check_word(word: object) -> None:
    """Raise ConfigError for what is no option."""
    if not isinstance(word, str):
        raise ConfigError(f"options are texts such as 'model=cnn', got {word!r}")
    if word in ("-m", "--multirun"):
        raise ConfigError(
            f"'{word}': dlcourse.train does one run; call it for each, or type dlcourse train -m in a shell"
        )
    if word.startswith("-"):
        raise ConfigError(
            f"'{word}': dlcourse.train takes options such as 'model=cnn', and config_dir=FOLDER; no flags"
        )
    if _SEVERAL_OPTIONS.fullmatch(word):
        raise ConfigError(f"'{word}' is several options in one text; write {', '.join(map(repr, word.split()))}")


@contextlib.contextmanager
def _as_a_guest() -> Iterator[None]:
    """Within this a run may train in a process that goes on after it, whatever happens to the run."""
    from dlcourse.device import return_freed_memory

    try:
        with in_host():
            yield
    except StoppedError as stop:
        if stop.signal != "SIGINT":
            raise  # the whole process was told to end
        raise KeyboardInterrupt("the run is saved; the same call with 'resume=auto' continues it") from None
    finally:
        return_freed_memory()
