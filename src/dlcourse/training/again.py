"""A run's config trained once more in a temporary folder, so that the two can be compared."""

import contextlib
import dataclasses
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dlcourse.config.registry import Choice
from dlcourse.config.run_config import CheckpointConfig, FolderConfig, RunConfig
from dlcourse.device import settings_kept
from dlcourse.errors import OutputError
from dlcourse.runs.circumstances import recorded_environment
from dlcourse.runs.folder import output_errors
from dlcourse.training import session


@contextlib.contextmanager
def trained_again(config: RunConfig) -> Iterator[Path]:
    """The folder of a run of this config, which is gone afterwards; raises UserError, and StoppedError as `session.run`.

    It draws no pictures and saves no checkpoint on the way. Its readings of the test set are entered in a ledger in the
    temporary folder: they show nobody a number that the first run had not shown.
    """
    try:
        with output_errors(Path(tempfile.gettempdir())):
            temporary = tempfile.TemporaryDirectory(prefix="dlcourse-again-", ignore_cleanup_errors=True)
        with temporary as root:
            folder = Path(root) / "run"
            with settings_kept(), contextlib.redirect_stdout(io.StringIO()):
                session.run(_in_folder(config, folder), [])
            yield folder
    except OutputError as error:
        raise OutputError(f"{str(error).partition(';')[0]}; set TMPDIR to a folder with more space") from error


def _in_folder(config: RunConfig, folder: Path) -> RunConfig:
    """The config of the same numbers in this folder."""
    return dataclasses.replace(
        config,
        run=dataclasses.replace(FolderConfig(), root=str(folder.parent), name=config.run.name, dir=str(folder)),
        trainer=dataclasses.replace(config.trainer, checkpoint=CheckpointConfig(seconds=None, keep=1)),
        report="light",
        resume=None,
    )


def with_recorded_threads(config: RunConfig, run: Path) -> RunConfig:
    """The config with the number of threads that the run had, on which its last digits depend, unless it says one itself."""
    threads = recorded_environment(run).get("threads")
    options = config.device.options
    if "threads" not in options or options["threads"] is not None or type(threads) is not int:
        return config
    return dataclasses.replace(config, device=Choice(config.device.name, {**options, "threads": threads}))
