import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dlcourse.config.run_config import FolderConfig
from dlcourse.errors import ConfigError, OutputError
from dlcourse.runs.folder import RunFolder, claim_folder, output_errors

NAME = r"\d{4}-\d\d-\d\d_\d{6}-[0-9a-f]{4}"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_thirty_two_callers_at_once_get_folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    callers = 32
    together = threading.Barrier(callers)
    tokens = iter([f"{index // 4:04x}" for index in range(4 * callers)])  # each is drawn by four callers
    drawing = threading.Lock()

    def draw(size: int) -> str:
        with drawing:
            return next(tokens)

    monkeypatch.setattr("dlcourse.runs.folder.secrets.token_hex", draw)

    def claim(_: int) -> Path:
        together.wait(timeout=10)
        return claim_folder(tmp_path / "new" / "parent")

    with ThreadPoolExecutor(callers) as pool:
        claimed = list(pool.map(claim, range(callers)))
    assert len(set(claimed)) == callers
    assert names(tmp_path / "new" / "parent") == sorted(path.name for path in claimed)


def test_a_folder_is_named_after_the_run_and_the_time(tmp_path: Path) -> None:
    folder = RunFolder.create(FolderConfig(root=str(tmp_path / "outputs")), "mlp-mnist")
    assert folder.path.is_dir()
    assert re.fullmatch(NAME, folder.path.name)
    assert folder.path.parent == tmp_path / "outputs" / "mlp-mnist"


def test_dir_is_taken_exactly_and_with_the_home_folder_written_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = RunFolder.create(FolderConfig(dir="~/実験/first run"), "mlp")
    assert folder.path == tmp_path / "実験" / "first run"
    assert folder.path.is_dir()


@pytest.mark.parametrize("occupy", [Path.mkdir, Path.touch])
def test_a_dir_that_exists_is_refused_and_left_alone(tmp_path: Path, occupy: Callable[[Path], None]) -> None:
    path = tmp_path / "taken"
    occupy(path)
    with pytest.raises(ConfigError, match=rf"^run\.dir={path} exists already; write run\.dir=FOLDER for a new one$"):
        RunFolder.create(FolderConfig(dir=str(path)), "mlp")
    assert names(tmp_path) == ["taken"]


@pytest.mark.parametrize("option", ["root", "dir"])
def test_a_place_where_no_folder_can_be_made_is_told_in_one_line(tmp_path: Path, option: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError) as caught:
        RunFolder.create(FolderConfig(**{option: str(tmp_path / "file" / "below")}), "mlp")
    message = str(caught.value)
    assert message.startswith(f"cannot write in {tmp_path / 'file' / 'below'}")
    assert ": not a directory; " in message or ": file exists; " in message
    assert message.endswith("write run.root=FOLDER or run.dir=FOLDER for another place")
    assert "\n" not in message
    assert names(tmp_path) == ["file"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a Linux device that is always full")
def test_a_full_disk_is_told_in_one_line() -> None:
    full = Path("/dev/full")
    expected = r"^cannot write in /dev/full: no space left on device; [^\n]*$"
    with pytest.raises(OutputError, match=expected), output_errors(full):
        full.write_text("a")


def test_a_write_to_a_file_system_that_fills_up_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """In a namespace of its own, whose small file system is gone when the process ends."""
    program = """
import sys
from pathlib import Path
from dlcourse.runs.folder import RunFolder
folder = RunFolder(Path(sys.argv[1]))
folder.write_text("report.txt", "old")
try:
    folder.write_text("report.txt", "x" * 200_000)
except OSError as error:
    print(error.strerror)
print([path.name for path in folder.path.iterdir()], (folder / "report.txt").read_text())
"""
    script = 'mount -t tmpfs -o size=64k none "$1" || exit 77; exec "$2" -c "$3" "$1"'
    command = ["unshare", "-rm", "sh", "-c", script, "sh", str(tmp_path), sys.executable, program]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("needs unshare, of util-linux")
    if done.returncode == 77 or "unshare:" in done.stderr:
        pytest.skip(f"needs a namespace to mount in: {done.stderr.strip()}")
    assert (done.stdout, done.stderr) == ("No space left on device\n['report.txt'] old\n", "")


def test_content_that_is_no_json_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        RunFolder(tmp_path).write_json("run.json", {"half": 1, "rest": object()})
    assert names(tmp_path) == []


def test_json_text_and_tables_read_back_the_same(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_json("run.json", {"data": "犬", "accuracy": 0.5})
    folder.write_text("report.txt", "a\r\nb\n")
    folder.write_table("counts.csv", [["class", "n"], ['a "big", cat', 3]])
    assert json.loads((folder / "run.json").read_text(encoding="utf-8")) == {"data": "犬", "accuracy": 0.5}
    assert "犬" in (folder / "run.json").read_text(encoding="utf-8")
    assert (folder / "report.txt").read_bytes() == b"a\r\nb\n"
    assert (folder / "counts.csv").read_bytes() == b'class,n\n"a ""big"", cat",3\n'
