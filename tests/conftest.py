"""Fixtures shared by all tests."""

import functools
import http.server
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import Lab
from sweep_lab import Sweeps

REPOSITORY = Path(__file__).resolve().parents[1]

_connections: list[str] = []
_sockets: list[str] = []
_HERE = (None, "", "127.0.0.1", "localhost", "::1", b"127.0.0.1", b"localhost", b"::1")


def _watch_sockets(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.__new__":
        _sockets.append(repr(arguments))
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        if isinstance(address, tuple) and address[0] not in _HERE:
            _refuse(f"{address!r}")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname") and arguments[0] not in _HERE:
        _refuse(f"{arguments[0]!r}")


def _refuse(address: str) -> None:
    _connections.append(address)
    raise AssertionError(f"connects to {address}")


sys.addaudithook(_watch_sockets)


@pytest.fixture(autouse=True)
def connections() -> Iterator[list[str]]:
    """The addresses beyond this machine that a test tried to reach: none, or it fails, even where the error was caught."""
    yield _connections
    try:
        assert _connections == [], "a test, or a fixture before it, reaches for the network"
    finally:
        _connections.clear()


@pytest.fixture(autouse=True)
def no_plugins_left() -> Iterator[None]:
    """The registries are without plug-ins again after a test that had named some."""
    yield
    if registries := sys.modules.get("dlcourse.training.registries"):
        for registry in registries.REGISTRIES.values():
            registry.set_plugins({})


@pytest.fixture
def opened_sockets() -> list[str]:
    """The sockets that this test has opened so far."""
    _sockets.clear()
    return _sockets


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real MNIST and CIFAR-10 files, or a skip where there is none."""
    folder = Path(os.environ.get("DLCOURSE_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(
            f"no real data at {folder}; set DLCOURSE_TEST_DATA to a folder with MNIST/ and cifar-10-batches-py/"
        )
    return folder


@pytest.fixture
def drawn(with_pictures: None, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, str]]:
    """The pictures of the runs of this test as data, each with its caption, in the order in which they are saved."""
    from dlcourse.runs import logger

    pictures: list[tuple[Any, str]] = []
    to_image = logger.to_image

    def record(captioned: Any) -> Any:
        pictures.append((captioned.picture, captioned.caption))
        return to_image(captioned)

    monkeypatch.setattr(logger, "to_image", record)
    return pictures


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which it is served."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    monkeypatch.setenv("no_proxy", "*")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lab:
    """An empty folder, to be the working folder of `dlcourse train`."""
    monkeypatch.chdir(tmp_path)
    return Lab(tmp_path, capsys)


@pytest.fixture
def with_pictures(lab: Lab) -> None:
    """The runs of the test draw their pictures, as they do for a user: they take longer than a small training."""
    lab.always = ()


@pytest.fixture
def sweeps(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Sweeps:
    monkeypatch.setattr("dlcourse.sweeps.local.cores", lambda: 2)
    return Sweeps(lab.folder, lab.capsys)
