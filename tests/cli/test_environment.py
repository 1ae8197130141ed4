"""Runs where something of the machine is missing, odd, or another than when they began."""

import datetime
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import dlcourse.runs.folder
from dlcourse import device
from dlcourse.cli.main import main
from dlcourse.runs.folder import claim_folder
from lab import Lab
from torture import starts
from torture.processes import IS_POSSIBLE

TINY = ["data=iris", "model.hidden=[4]", "trainer.epochs=1", "report=light"]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed before its end; to be copied."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    assert main(["train", *TINY, "trainer.batch_size=8", "trainer.checkpoint.steps=5", f"run.dir={folder}"]) == 0
    (folder / "run.json").write_text('{"status": "running"}')
    return folder


OTHER = {
    "denormal numbers": "kept",
    "python": "3.99.0",
    "torch": "9.9.9+cu999",
    "torchvision": "9.9",
    "numpy": "9.9",
    "platform": "OtherOS-1",
    "processor": "OTHER512",
    "threads": 63,
    "cuda": "Other GPU",
}


def test_nothing_is_said_of_a_machine_that_is_the_same(lab: Lab, killed: Path) -> None:
    shutil.copytree(killed, "run")
    assert main(["resume", "run"]) == 0
    assert "when the run began" not in lab.capsys.readouterr().out


def test_every_fact_of_the_machine_is_compared() -> None:
    assert set(OTHER) == set(device.environment())


@pytest.mark.parametrize("fact", OTHER)
def test_a_run_that_goes_on_elsewhere_names_what_is_different(
    fact: str, lab: Lab, killed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(killed, "run")
    before = device.environment()
    monkeypatch.setattr("dlcourse.training.session.environment", lambda: before | {fact: OTHER[fact]})
    line = f"{fact}: {OTHER[fact]} here, {before[fact]} when the run began; the numbers may differ in their last digits"
    assert main(["resume", "run", "trainer.epochs=2"]) == 0
    assert line in lab.capsys.readouterr().out
    assert main(["resume", "run", "trainer.epochs=3"]) == 0  # every time, not only at the first
    assert line in lab.capsys.readouterr().out


def test_other_threads_that_were_asked_for_are_named(lab: Lab, killed: Path) -> None:
    shutil.copytree(killed, "run")
    recorded = device.environment()["threads"]
    other = 2 if recorded == 1 else 1
    try:
        assert main(["resume", "run", f"device.threads={other}"]) == 0
        assert f"threads: {other} here, {recorded} when the run began" in lab.capsys.readouterr().out
    finally:
        device.use_threads(int(str(recorded)))


class SetBack(datetime.datetime):
    """A clock that is set back an hour each time it is looked at, and forward again."""

    hours: Iterator[int] = iter(())

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> "SetBack":
        return cls(2026, 11, 21, next(cls.hours), 0, 0)


def test_names_stay_unique_when_the_clock_is_set_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SetBack.hours = iter([3, 2, 1, 2, 3, 2, 1, 3, 3, 3] * 20)
    tokens = iter([f"{number // 3:04x}" for number in range(1000)])  # each token is drawn three times
    monkeypatch.setattr(dlcourse.runs.folder, "datetime", SetBack)
    monkeypatch.setattr("dlcourse.runs.folder.secrets.token_hex", lambda size: next(tokens))
    assert len({claim_folder(tmp_path) for _ in range(100)}) == 100


@pytest.mark.slow
@pytest.mark.skipif(not IS_POSSIBLE, reason="needs fork and /proc, which Linux has")
def test_twenty_simultaneous_starts_share_nothing(tmp_path: Path) -> None:
    outcome = starts.run(20, 0, tmp_path)
    assert outcome.is_good, outcome.failures
    assert [good for _, good, _ in outcome.controls] == [0]


def real(folder: Path, script: str, **changes: str | None) -> "subprocess.CompletedProcess[bytes]":
    """What a shell script that calls `$dlcourse` brings, without a terminal; None takes a variable away."""
    environment = {**os.environ, "dlcourse": f"{sys.executable} -m dlcourse", **changes}
    kept = {name: value for name, value in environment.items() if value is not None}
    return subprocess.run(
        ["setsid", "sh", "-c", script] if shutil.which("setsid") else ["sh", "-c", script],
        cwd=folder,
        env=kept,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


def test_a_run_needs_no_home_no_terminal_and_no_language(tmp_path: Path) -> None:
    words = " ".join(TINY).replace("[4]", "'[4]'")
    done = real(
        tmp_path, f"$dlcourse train {words} run.dir=run", HOME=None, LANG="C", LC_ALL="C", TERM="dumb", PYTHONUTF8="0"
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()
    assert b"\x1b" not in done.stdout
    assert (tmp_path / "run" / "report.json").is_file()


@pytest.mark.slow
def test_a_run_needs_no_working_folder_where_the_paths_are_whole(tmp_path: Path) -> None:
    words = " ".join(TINY).replace("[4]", "'[4]'")
    script = f"mkdir gone && cd gone && rmdir ../gone && $dlcourse train {words} run.dir={tmp_path}/run"
    done = real(tmp_path, f"{script} && $dlcourse resume {tmp_path}/run")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"is already complete" in done.stdout
    assert (tmp_path / "run" / "report.json").is_file()


def test_a_working_folder_that_is_gone_is_one_line_where_results_should_go_there(tmp_path: Path) -> None:
    words = " ".join(TINY).replace("[4]", "'[4]'")
    done = real(tmp_path, f"mkdir gone && cd gone && rmdir ../gone && $dlcourse train {words}")
    assert done.returncode == 3
    assert done.stderr.startswith(b"dlcourse: error: cannot write in outputs/iris-mlp: no such file or directory")
    assert done.stderr.count(b"\n") == 1


def test_a_reader_that_has_gone_is_no_error(tmp_path: Path) -> None:
    done = real(tmp_path, "$dlcourse --help | head -n 1")
    assert done.stderr == b""
    assert done.stdout.count(b"\n") == 1


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_no_error(closed: str, tmp_path: Path) -> None:
    done = real(tmp_path, f"$dlcourse list optimizers {closed}")
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which Linux has")
@pytest.mark.parametrize(
    ("words", "code"), [("train nosuch=1", 2), ("--traceback train nosuch=1", 2), ("list optimizers", 3)]
)
def test_a_full_disk_behind_both_streams_changes_no_exit_code(words: str, code: int, tmp_path: Path) -> None:
    assert real(tmp_path, f"$dlcourse {words} >/dev/full 2>/dev/full").returncode == code


def test_a_result_that_cannot_be_printed_is_one_line(tmp_path: Path) -> None:
    done = real(tmp_path, "$dlcourse list optimizers >/dev/full")
    assert (done.returncode, done.stderr.count(b"\n")) == (3, 1)
    assert done.stderr.startswith(b"dlcourse: error: ") and b"no space left on device" in done.stderr


@pytest.mark.parametrize(
    ("place", "error", "line"),
    [
        ("sklearn.datasets.load_iris", MemoryError(), "out of memory while building data 'iris': MemoryError; "),
        ("dlcourse.models.mlp.MLP.forward", RuntimeError("std::bad_alloc"), "out of memory while building model 'mlp'"),
        (
            "torch.autograd.backward",
            RuntimeError("can't start new thread"),
            "out of memory with 108 examples in a batch",
        ),
        (
            "dlcourse.training.session.run",
            ImportError("libx.so: failed to map segment"),
            "out of memory (libx.so: failed to map",
        ),
    ],
)
def test_no_memory_is_a_system_error_wherever_it_is_noticed(
    place: str, error: Exception, line: str, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(place, fail)
    lab.train(*TINY, "trainer.batch_size=full", code=3)
    assert lab.err.startswith(f"dlcourse: error: {line}") and lab.err.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit the address space")
def test_no_memory_to_import_torch_is_one_line(tmp_path: Path) -> None:
    done = real(tmp_path, f"ulimit -v 1000000; $dlcourse train {' '.join(TINY[2:])}")
    assert (done.returncode, done.stderr.count(b"\n")) == (3, 1), done.stderr
    assert done.stderr.startswith(b"dlcourse: error: out of memory (")


def test_without_a_home_the_data_are_looked_for_in_one_line(lab: Lab, unknown_home: Callable[[], None]) -> None:
    unknown_home()
    lab.train("data=mnist", "data.download=false", code=2)
    assert lab.err.startswith("dlcourse: error: ")
    assert lab.err.count("\n") == 1


@pytest.fixture
def unknown_home(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Takes away HOME and the user's entry in the table of users."""

    def take_away() -> None:
        monkeypatch.delenv("HOME", raising=False)
        monkeypatch.delenv("DLCOURSE_DATA", raising=False)
        monkeypatch.setattr("pwd.getpwuid", lambda number: {}[number])

    return take_away
