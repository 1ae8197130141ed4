"""How the end of a run is told: in run.json, and in one line for a system error."""

import contextlib
import functools
import shlex
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from dlcourse.console import Console
from dlcourse.errors import (
    WORKER_LOST,
    DivergedError,
    OutputError,
    ResourceError,
    UserError,
    is_out_of_memory,
    is_worker_lost,
)
from dlcourse.runs.checkpoints import Checkpoints
from dlcourse.runs.folder import ERROR, RunFolder, output_errors
from dlcourse.signals import StoppedError, forget_children


@contextlib.contextmanager
def explained(folder: RunFolder, checkpoints: Checkpoints, size: int) -> Iterator[None]:
    """System errors as one line each, which says from where the run can be resumed."""
    try:
        with output_errors(folder.path):
            yield
    except OutputError as error:
        folder.require_in_place()  # a checkpoint in a folder that is gone is not safe
        place = str(error).partition(";")[0]
        if checkpoints.saved_step is None:
            raise
        raise OutputError(f"{place}; {_safe(folder.path, checkpoints)}") from error
    except (MemoryError, RuntimeError, ImportError) as error:
        if is_out_of_memory(error):
            reason = f"out of memory with {size} examples in a batch; use a smaller trainer.batch_size in a new run"
        elif is_worker_lost(error):
            forget_children()  # torch raises once more for each further process that ends
            reason = WORKER_LOST
        else:
            raise
        raise ResourceError(f"{reason}; {_safe(folder.path, checkpoints)}") from error
    except DivergedError as error:
        step = checkpoints.saved_step
        raise DivergedError(f"{error}; the checkpoint of step {step} is good" if step else str(error)) from error


def _safe(folder: Path, checkpoints: Checkpoints) -> str:
    step = checkpoints.saved_step
    if step is None:
        return "nothing was saved yet"
    return f"step {step} is safe: resume with dlcourse resume {shlex.quote(str(folder))}"


@contextlib.contextmanager
def recorded_status(folder: RunFolder, console: Console, **facts: object) -> Iterator[Callable[[str], None]]:
    """Keep run.json true: running, then done, stopped (by a signal) or failed with the reason; and these facts.

    It gives the function that writes it, to be called again once the files are there that it vouches for. Until then it
    vouches for none: a run that was cut off while these were replaced is not opened, but can be resumed.
    """
    started = f"{datetime.now().astimezone():%Y-%m-%dT%H:%M:%S%z}"
    status = functools.partial(folder.write_status, started=started, **facts)
    with output_errors(folder.path):
        status("running")
    try:
        yield status
    except (KeyboardInterrupt, StoppedError) as stop:
        with contextlib.suppress(OSError):
            status("stopped")  # raises OutputError if the folder is gone: then nothing can be resumed there
        by = stop.signal if isinstance(stop, StoppedError) and stop.signal != "SIGINT" else "Ctrl-C"
        console.show("stop", f"interrupted ({by}); resume with: dlcourse resume {shlex.quote(str(folder.path))}")
        raise
    except Exception as error:
        with contextlib.suppress(OSError, OutputError):
            status("failed", reason=str(error), error=type(error).__name__)
        if not isinstance(error, UserError):
            with contextlib.suppress(OSError, OutputError):
                folder.write_text(ERROR, "".join(traceback.format_exception(error)))
                error.add_note(f"its traceback is in {folder / ERROR}")
        raise
    status("done")
