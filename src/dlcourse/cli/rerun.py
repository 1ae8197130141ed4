"""`dlcourse rerun RUN`: train the config of a run once more, in a new folder, with other options if some are given."""

import dataclasses
import shlex
from pathlib import Path

from dlcourse.cli.recorded import ended, keys_of, recorded_config, version_told, with_changes, words_of
from dlcourse.cli.train import clear_resolvers, load_session
from dlcourse.config.options import suggestion
from dlcourse.config.run_config import NO_PART_OF_A_RUN, RunConfig
from dlcourse.console import Console
from dlcourse.errors import ConfigError
from dlcourse.plugins import recorded as plugins
from dlcourse.runs.find import required_run
from dlcourse.runs.reopen import run_facts
from dlcourse.runs.test_looks import root_above
from dlcourse.terminal import print_help

HELP = """\
dlcourse rerun RUN [OPTION=VALUE ...]  train a run again, in a new folder
  RUN is a run folder, or a folder above it; the run may have failed. It is not
  changed.
  OPTION=VALUE is any option of dlcourse train. An entry such as optimizer=sgd
  comes with its own options.

The config is the one the run recorded, with the defaults of its time, and its
number of threads, unless you give device.threads=N.

For example:
  dlcourse rerun outputs/mnist-cnn
  dlcourse rerun outputs/mnist-cnn seed=1
  dlcourse rerun outputs/mnist-cnn optimizer=sgd optimizer.lr=0.1 run.name=with_sgd

dlcourse verify RUN NEW compares the two, bit for bit.
"""


def main(words: list[str]) -> int:
    """Run `dlcourse rerun` with these words; raises UserError and StoppedError."""
    if "--help" in words or "-h" in words:
        print_help(HELP)
        return 0
    for word in words:
        if word.startswith("-"):
            raise ConfigError(
                f"unknown flag '{word}'{suggestion(word, ['--help'])}; options are written trainer.epochs=20"
            )
    is_missing = not words or ("=" in words[0] and not Path(words[0]).exists())
    text, *changes = ["", *words] if is_missing else words
    folder = ended(required_run(text, "rerun", changes))
    clear_resolvers()
    before = recorded_config(folder)
    Console().say("note", *plugins.changes(before, run_facts(folder)))
    given = keys_of(changes)
    with version_told(folder):
        config = _in_new_folder(with_changes(before, changes), before, given, folder)
        session = load_session()
        if not any(key.partition(".")[0] == "device" for key in given):
            config = _on_its_threads(config, folder)
        result = session.run(config, words_of(folder, config, changes))
    assert result is not None  # that is for resume=auto
    if _is_same(before, config):
        Console().show("verify", shlex.join(["dlcourse", "verify", str(folder), str(result.folder)]))
    return 0


def _in_new_folder(config: RunConfig, before: RunConfig, given: set[str], folder: Path) -> RunConfig:
    """The config with a folder of its own: where the run is, or below `outputs`, unless another place is given.

    A name that was made of the names of data set and model is made anew.
    """
    run = config.run
    if "run.dir" not in given:
        run = dataclasses.replace(run, dir=None)
    if "run.root" not in given:
        run = dataclasses.replace(run, root=root_above(folder, run.root))
    if "run.name" not in given and run.name == f"{before.data.name}-{before.model.name}":
        run = dataclasses.replace(run, name=f"{config.data.name}-{config.model.name}")
    return dataclasses.replace(config, run=run, resume=None)


def _on_its_threads(config: RunConfig, folder: Path) -> RunConfig:
    """The config with the threads that the run had, if this process would take another number."""
    import torch

    from dlcourse.training.again import with_recorded_threads

    again = with_recorded_threads(config, folder)
    return config if again.device.options.get("threads") == torch.get_num_threads() else again


def _is_same(before: RunConfig, config: RunConfig) -> bool:
    """Whether the two should be bit-equal: only the place or the pictures were changed, and no clock ends the training."""
    ours, theirs = (
        {key: value for key, value in each.to_mapping().items() if key not in (*NO_PART_OF_A_RUN, "device")}
        for each in (before, config)
    )
    return ours == theirs and config.trainer.time is None
