"""`dlcourse tensorboard`: which runs are shown under which names, and a real TensorBoard that shows all of them."""

import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dlcourse.cli import tensorboard as verb
from dlcourse.cli.main import main
from dlcourse.plots import ConfusionMatrix, to_image, to_png
from dlcourse.runs.tensorboard import Board
from dlcourse.signals import StoppedError
from fake_runs import leave

Shown = Callable[..., dict[str, str]]


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shown:
    """What TensorBoard would be started on: the links in its folder by their names, or under "" the folder itself."""
    monkeypatch.chdir(tmp_path)
    found: dict[str, str] = {}

    def serve(folder: Path, port: int | None) -> str:
        links = [path for path in folder.rglob("*") if path.is_symlink()]
        found.update({str(link.relative_to(folder)): str(link.readlink().relative_to(tmp_path)) for link in links})
        found.update({} if links else {"": str(folder.relative_to(tmp_path))}, port=str(port))
        found["folder"] = str(folder)
        return "http://127.0.0.1:6006/"

    def interrupt(_: float) -> None:
        raise StoppedError("SIGINT")

    monkeypatch.setattr(verb, "serve", serve)
    monkeypatch.setattr(verb.time, "sleep", interrupt)

    def run(*words: str) -> dict[str, str]:
        found.clear()
        assert main(["tensorboard", *words]) == 130
        said = capsys.readouterr()
        assert said.err == "" and said.out.startswith("board  http://127.0.0.1:6006/   ")
        found["said"] = said.out
        folder = Path(found.pop("folder"))
        assert folder.exists() == ("" in found), "a folder of links is removed, any other stays"
        return found

    return run


def links(found: dict[str, str]) -> dict[str, str]:
    return {name: path for name, path in found.items() if name not in ("port", "said")}


def test_without_a_name_all_runs_are_shown(shown: Shown) -> None:
    leave(Path("outputs/digits-mlp/a"))
    leave(Path("outputs/digits-mlp/b"))
    found = shown()
    assert links(found) == {"": "outputs"} and found["port"] == "None"
    assert found["said"] == "board  http://127.0.0.1:6006/   2 runs in outputs\n       Ctrl-C ends it\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["outputs/digits-mlp"], {"": "outputs/digits-mlp"}),
        (["outputs/digits-mlp/a"], {"digits-mlp/a": "outputs/digits-mlp/a"}),
        (["outputs/digits-mlp/a", "outputs/digits-mlp/b"], {name: f"outputs/digits-mlp/{name}" for name in "ab"}),
        (["outputs/digits-mlp", "outputs/own"], {name: f"outputs/{name}" for name in ("digits-mlp", "own")}),
        (["outputs/digits-mlp/a", "outputs/../outputs/own"], {name: f"outputs/{name}" for name in ("digits-mlp/a", "own")}),
        (["outputs/multirun/s/1-model=mlp,seed=1"], {"s/1-model=mlp,seed=1": "outputs/multirun/s/1-model=mlp,seed=1"}),
        (["outputs/multirun/s"], {"": "outputs/multirun/s"}),
        (["outputs/own", "outputs", "outputs/own"], {"": "outputs"}),
        (["outputs/own", "outputs/own"], {"outputs/own": "outputs/own"}),
        (["link", "outputs/own"], {"digits-mlp/a": "outputs/digits-mlp/a", "own": "outputs/own"}),
        (["link/", "outputs/digits-mlp"], {"": "outputs/digits-mlp"}),
    ],
)  # fmt: skip
def test_runs_stand_side_by_side_under_names_that_tell_them_apart(
    words: list[str], expected: dict[str, str], shown: Shown
) -> None:
    for name in (
        "digits-mlp/a",
        "digits-mlp/b",
        "own",
        "multirun/s/1-model=mlp,seed=1",
        "multirun/s/2-model=mlp,seed=2",
    ):
        leave(Path("outputs") / name)
    Path("outputs/multirun/s/sweep.json").write_text("{}")
    Path("link").symlink_to("outputs/digits-mlp/a")
    before = sorted(Path("outputs").rglob("*"))
    assert links(shown(*words)) == expected
    assert sorted(Path("outputs").rglob("*")) == before, "nothing is left in a run"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "'outputs' does not exist; expected the folder of a run, such as outputs/mnist-cnn"),
        (["run", "nowhere"], "'nowhere' does not exist; expected the folder of a run, such as outputs/mnist-cnn"),
        (["empty"], "'empty' is not the folder of a run, and has none in it; dlcourse train leaves one in outputs"),
        (["--port", "x", "run"], "--port must be a whole number in [0, 65535], got 'x'"),
        (["run", "--port=65536"], "--port must be a whole number in [0, 65535], got 65536"),
        (["--port", "9" * 5000], "--port must be a whole number in [0, 65535], got '9"),
        (["run", "--port"], "--port needs a value; write dlcourse tensorboard --help to see all flags"),
        (["--logdir", "run"], "unknown flag '--logdir'; there are: --port"),
    ],
)
def test_mistakes_are_told_in_one_line(
    words: list[str], message: str, shown: Shown, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(Path("run"))
    Path("empty").mkdir()
    assert main(["tensorboard", *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"dlcourse: error: {message}") and err.count("\n") == 1


@pytest.mark.parametrize("place", ["events.out.tfevents.1", "progress/there"])
def test_a_link_in_a_run_is_not_followed(place: str, shown: Shown, capsys: pytest.CaptureFixture[str]) -> None:
    link = leave(Path("outputs/strange")) / place
    link.parent.mkdir(exist_ok=True)
    link.symlink_to("/etc")
    assert main(["tensorboard", "outputs"]) == 2
    assert f"{place} is a link, which dlcourse does not make" in capsys.readouterr().err


def test_a_system_without_links_is_told_what_to_do(
    shown: Shown, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    leave(Path("run"))
    monkeypatch.setattr(Path, "symlink_to", refuse)
    assert main(["tensorboard", "run"]) == 3
    assert capsys.readouterr().err.endswith("/run: operation not permitted; name a single folder of runs\n")


def test_help_says_what_it_can_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tensorboard", "--help"]) == 0
    assert "--port N" in capsys.readouterr().out


# A real one


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts the command in a process that heeds Ctrl-C, with a folder of its own for temporary files."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    processes: list[subprocess.Popen[str]] = []

    def start(*words: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "dlcourse", "tensorboard", *words],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def fetched(port: int, path: str, **query: object) -> Any:
    """What TensorBoard answers there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", f"/data/{path}?{urllib.parse.urlencode(query)}")
    answer = connection.getresponse().read()
    connection.close()
    return json.loads(answer)


def test_a_real_tensorboard_shows_each_run_with_all_of_its_pictures_and_numbers(
    tmp_path: Path, started: Callable[..., "subprocess.Popen[str]"]
) -> None:
    first = leave(tmp_path / "outputs" / "digits-mlp" / "a")
    board = Board(first)
    for step in range(1200):
        board.show({"step": step, "epoch": 1, "time": 1.0, "train/loss": 0.5})
    (first / "matrix.png").write_bytes(to_png(to_image(ConfusionMatrix([[1]], ["a"]))))
    for step in range(12):
        board.show({"step": step, "epoch": 1, "time": 1.0, "picture": "val/matrix", "file": "matrix.png"})
    board.close()
    sweep = tmp_path / "outputs" / "multirun" / "s"
    for number in (1, 2):
        shutil.copytree(first, sweep / f"{number}-model=mlp,seed={number}")

    process = started("outputs/digits-mlp/a", "outputs/multirun/s/2-model=mlp,seed=2")
    line = process.stdout.readline()
    assert re.fullmatch(r"board  http://127\.0\.0\.1:6[01]\d\d/   2 runs in .*\n", line), process.communicate()
    assert process.stdout.readline() == "       Ctrl-C ends it\n"
    port = int(re.findall(r":(\d+)/", line)[0])
    run = "multirun/s/2-model=mlp,seed=2"
    until = time.monotonic() + 60
    while set(fetched(port, "runs")) != {"digits-mlp/a", run} and time.monotonic() < until:
        time.sleep(0.2)
    assert set(fetched(port, "runs")) == {"digits-mlp/a", run}
    while len(fetched(port, "plugin/scalars/scalars", run=run, tag="train/loss")) < 1200 and time.monotonic() < until:
        time.sleep(0.2)
    assert len(fetched(port, "plugin/scalars/scalars", run=run, tag="train/loss")) == 1200
    assert len(fetched(port, "plugin/images/images", run=run, tag="val/matrix", sample=0)) == 12

    other = started("outputs", "--port", str(port))
    out, err = other.communicate(timeout=60)
    assert (other.returncode, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("dlcourse: error: ") and f"port {port}" in err and "leave --port out" in err

    told = started("outputs/digits-mlp/a", "--port", "0")
    assert told.stdout.readline().startswith("board  http://127.0.0.1:") and told.stdout.readline()
    assert len(list((tmp_path / "temporary").glob("dlcourse-*"))) == 2
    for stopped, by, code in ((process, signal.SIGINT, 130), (told, signal.SIGTERM, 143)):
        stopped.send_signal(by)
        out, err = stopped.communicate(timeout=60)
        assert (stopped.returncode, out, err) == (code, "", "")
    assert list((tmp_path / "temporary").glob("dlcourse-*")) == []
    assert sorted(path.name for path in first.iterdir() if path.name.startswith("events.")) != []


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    leave(tmp_path / "outputs" / "run")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        words = [sys.executable, "-m", "dlcourse", "tensorboard", "--port", str(port)]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert f"could not bind to port {port}, it was already in use; leave --port out for the next" in done.stderr
