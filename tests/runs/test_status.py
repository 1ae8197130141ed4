"""How the end of a run is told: the status in run.json, and a system error in a line that says what is safe."""

import errno
import json
from pathlib import Path

import pytest

from dlcourse.console import Console
from dlcourse.errors import ConfigError, DivergedError, OutputError, ResourceError
from dlcourse.runs.checkpoints import Checkpoints
from dlcourse.runs.folder import RunFolder
from dlcourse.runs.status import explained, recorded_status
from dlcourse.signals import StoppedError


def status_after(folder: Path, error: BaseException | None) -> dict[str, str]:
    """run.json after a run that ends so, which must have said that it runs."""
    try:
        with recorded_status(RunFolder(folder), Console()):
            assert json.loads((folder / "run.json").read_text())["status"] == "running"
            if error is not None:
                raise error
    except BaseException as raised:
        assert raised is error
    return json.loads((folder / "run.json").read_text())


def test_the_end_of_a_run_is_recorded_and_a_defect_with_its_traceback(tmp_path: Path) -> None:
    assert status_after(tmp_path, None)["status"] == "done"
    told = status_after(tmp_path, ConfigError("a mistake"))
    assert (told["status"], told["reason"]) == ("failed", "a mistake") and not (tmp_path / "error.txt").exists()
    told = status_after(tmp_path, KeyError("defect"))
    assert (told["status"], told["reason"]) == ("failed", "'defect'")
    assert "KeyError: 'defect'" in (tmp_path / "error.txt").read_text()


@pytest.mark.parametrize(
    ("stop", "by"),
    [(KeyboardInterrupt(), "Ctrl-C"), (StoppedError("SIGINT"), "Ctrl-C"), (StoppedError("SIGTERM"), "SIGTERM")],
)
def test_a_stopped_run_says_by_what_and_how_to_resume_it(
    stop: BaseException, by: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "my run"
    folder.mkdir()
    assert status_after(folder, stop)["status"] == "stopped"
    assert capsys.readouterr().out == f"stop   interrupted ({by}); resume with: dlcourse resume '{folder}'\n"


FULL = OSError(errno.ENOSPC, "No space left on device")
LOST = RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")


@pytest.mark.parametrize(
    ("error", "kind", "line"),
    [
        (FULL, OutputError, "cannot write in {run}: no space left on device; "),
        (MemoryError(), ResourceError, "out of memory with 64 examples in a batch; "),
        (RuntimeError("CUDA out of memory"), ResourceError, "out of memory with 64 examples in a batch; "),
        (LOST, ResourceError, "a process that reads images was killed, "),
    ],
)
def test_a_system_error_is_a_line_that_says_from_where_to_resume(
    error: Exception, kind: type[Exception], line: str, tmp_path: Path
) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.saved_step = 7
    with pytest.raises(kind) as caught, explained(RunFolder(tmp_path), checkpoints, 64):
        raise error
    assert str(caught.value).startswith(line.format(run=tmp_path))
    assert str(caught.value).endswith(f"; step 7 is safe: resume with dlcourse resume {tmp_path}")


def test_without_a_checkpoint_nothing_is_promised_and_other_errors_pass(tmp_path: Path) -> None:
    folder, none = RunFolder(tmp_path), Checkpoints(tmp_path / "checkpoints")
    with pytest.raises(ResourceError, match=r"; nothing was saved yet$"), explained(folder, none, 64):
        raise MemoryError
    with pytest.raises(DivergedError, match=r"^the loss became nan$"), explained(folder, none, 64):
        raise DivergedError("the loss became nan")
    with pytest.raises(RuntimeError, match=r"^shapes differ$"), explained(folder, none, 64):
        raise RuntimeError("shapes differ")
    none.saved_step = 7
    with pytest.raises(DivergedError, match=r"; the checkpoint of step 7 is good$"), explained(folder, none, 64):
        raise DivergedError("the loss became nan")
