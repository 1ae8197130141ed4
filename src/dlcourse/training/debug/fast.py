"""`debug=fast`: whether everything that a run does runs through, on one batch of each split."""

import dataclasses

from dlcourse.config.run_config import RunConfig
from dlcourse.console import Console
from dlcourse.runs.folder import RunFolder
from dlcourse.runs.result import RunResult
from dlcourse.runs.resume import read_start
from dlcourse.training import session
from dlcourse.training.debug.folder import place

_RAN = "everything ran: train, validation, test (on validation examples), pictures, checkpoint, resume"


def fast(config: RunConfig, overrides: list[str]) -> RunResult:
    """Train one update, evaluate, draw and save; then resume that run for another update. Raises the errors of a run."""
    result = session.begin(_shortened(config, 1), overrides, place(config.run))
    with RunFolder(result.folder).locked() as folder:
        session.resume(folder, read_start(folder), _shortened(config, 2), overrides, Console(quiet=True))
    Console().say("fast", _RAN if config.report == "full" else _RAN.replace(" pictures,", ""))
    return result


def _shortened(config: RunConfig, updates: int) -> RunConfig:
    """The config with this many updates; an epoch is one batch here, and an update may take several."""
    every = config.trainer.accumulate
    trainer = dataclasses.replace(config.trainer, epochs=updates * every, eval_every=every, patience=None, time=None)
    return dataclasses.replace(config, trainer=trainer)
