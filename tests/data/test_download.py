"""Fetching from real servers on the loopback interface, each with its own way to fail."""

import functools
import hashlib
import http.server
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlcourse.config.paths import default_root
from dlcourse.data.download import check_file, fetch
from dlcourse.errors import DataError

CONTENT = bytes(range(256)) * 4000  # several chunks
CHECKSUM = f"md5:{hashlib.md5(CONTENT).hexdigest()}"

fetch_now = functools.partial(fetch, checksum=CHECKSUM, pause=0)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by the first word of the path; keeps the paths asked for on the server."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        behavior = self.path.split("/")[1]
        first_time = self.server.asked.count(self.path) == 1
        if behavior == "refuse":
            self.send_error(403)
        elif behavior == "busy" and first_time:
            self.send_error(503)
        elif behavior == "loop":
            self.send_response(302)
            self.send_header("Location", self.path)
            self.end_headers()
        else:
            body = b"<html>Please log in" if behavior == "wrong" else CONTENT
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:5000] if behavior == "cut" else body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[http.server.ThreadingHTTPServer]:
    monkeypatch.setenv("no_proxy", "*")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "new" / "folder" / "file.gz"


def urls(server: http.server.ThreadingHTTPServer, *behaviors: str) -> list[str]:
    return [f"http://127.0.0.1:{server.server_port}/{behavior}/file.gz" for behavior in behaviors]


def only_file(target: Path) -> bytes:
    """The target's content, when nothing else lies next to it."""
    assert list(target.parent.iterdir()) == [target]
    return target.read_bytes()


def assert_nothing_left(target: Path) -> None:
    assert not target.parent.exists() or list(target.parent.iterdir()) == []


def test_file_arrives_with_one_line_said(server, target, capsys) -> None:
    fetch_now(urls(server, "good"), target)
    assert only_file(target) == CONTENT
    assert capsys.readouterr().err == f"downloading file.gz from 127.0.0.1:{server.server_port}\n"


def test_progress_on_a_terminal(server, target, monkeypatch) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", terminal)
    fetch_now(urls(server, "good"), target)
    assert "100%" in terminal.getvalue()
    assert "1.02M/1.02M" in terminal.getvalue()


@pytest.mark.parametrize("first", ["refuse", "cut", "wrong", "loop"])
def test_next_mirror_is_tried(server, target, first: str) -> None:
    fetch_now(urls(server, first, "good"), target)
    assert only_file(target) == CONTENT


def test_busy_mirror_is_asked_again(server, target) -> None:
    fetch_now(urls(server, "busy"), target)
    assert only_file(target) == CONTENT
    assert len(server.asked) == 2


def test_mirror_that_refused_is_not_asked_again(server, target) -> None:
    with pytest.raises(DataError, match="HTTP 403"):
        fetch_now(urls(server, "refuse"), target)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("behavior", "reason"),
    [("refuse", "HTTP 403"), ("cut", "stopped after 5000 of 1024000 bytes"), ("wrong", "wrong md5")],
)
def test_failure_names_reason_and_remedy(server, target, behavior: str, reason: str) -> None:
    with pytest.raises(DataError) as caught:
        fetch_now(urls(server, behavior), target)
    assert str(caught.value) == (
        f"cannot download file.gz (127.0.0.1:{server.server_port}: {reason}); for files that are already there "
        "write data.root=FOLDER, with data.verify=false if they are repacked"
    )
    assert_nothing_left(target)


def test_server_that_is_down(target, monkeypatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    stopped = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    stopped.server_close()
    with pytest.raises(
        DataError, match=r"Connection refused\); for files that are already there write data.root=FOLDER"
    ):
        fetch_now(urls(stopped, "good"), target)
    assert_nothing_left(target)


def test_folder_that_cannot_be_made(server, tmp_path) -> None:
    (tmp_path / "in_the_way").write_text("a file")
    with pytest.raises(DataError, match=r"^cannot write .*; write data.root=FOLDER for another folder$"):
        fetch_now(urls(server, "good"), tmp_path / "in_the_way" / "file.gz")
    assert server.asked == []


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_folder_that_is_read_only(server, target) -> None:
    target.parent.mkdir(parents=True, mode=0o555)
    with pytest.raises(DataError, match="Permission denied"):
        fetch_now(urls(server, "good"), target)


def test_check_file(tmp_path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    check_file(path)
    check_file(path, CHECKSUM)
    check_file(path, f"sha256:{hashlib.sha256(CONTENT).hexdigest()}")
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(DataError, match=r"md5 differs from the published one; .* data.verify=false"):
        check_file(path, CHECKSUM)


def test_check_file_refuses_what_is_no_file(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, message in {"pipe": "not a regular file", ".": "not a regular file", "loop": "symbolic links"}.items():
        with pytest.raises(DataError, match=message):
            check_file(tmp_path / name)
    with pytest.raises(DataError, match="No such file"):
        check_file(tmp_path / "absent")


def test_default_root(monkeypatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("DLCOURSE_DATA", raising=False)
    assert default_root() == Path("/home/someone/.cache/dlcourse")
    monkeypatch.setenv("DLCOURSE_DATA", "~/sets")
    assert default_root() == Path("/home/someone/sets")
