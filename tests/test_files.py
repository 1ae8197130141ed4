import os
from pathlib import Path

import pytest

from dlcourse.errors import DataError
from dlcourse.files import make_folders, read_end, read_regular, whole_file, write_durably, write_new
from torture.processes import IS_POSSIBLE


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("old")
    with whole_file(path) as unfinished:
        unfinished.write_text("new, 新\n", encoding="utf-8")
        assert path.read_text() == "old"
    assert path.read_bytes() == "new, 新\n".encode()
    assert names(tmp_path) == ["run.json"]


@pytest.mark.parametrize("interruption", [ValueError, KeyboardInterrupt])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, interruption: type[BaseException]
) -> None:
    path = tmp_path / "run.json"
    path.write_text("old")
    with pytest.raises(interruption), whole_file(path) as unfinished:
        unfinished.write_text("half")
        raise interruption
    assert path.read_text() == "old"
    assert names(tmp_path) == ["run.json"]


def test_a_file_that_cannot_be_put_in_place_leaves_no_temporary_one(tmp_path: Path) -> None:
    (tmp_path / "run.json").mkdir()
    with pytest.raises(IsADirectoryError), whole_file(tmp_path / "run.json") as unfinished:
        unfinished.write_text("{}")
    assert names(tmp_path) == ["run.json"]


def without_links(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)


@pytest.mark.parametrize("has_links", [True, False])
def test_a_new_file_takes_no_name_that_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    if not has_links:
        without_links(monkeypatch)
    write_new(tmp_path / "a", b"first")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "a", b"second")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "link", b"third")
    assert (tmp_path / "a").read_bytes() == b"first"
    assert names(tmp_path) == ["a", "link"]


@pytest.mark.parametrize("call", ["open", "write", "fsync"])
def test_a_new_file_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken, pytest.raises(OSError, match="Input/output error"):
        broken.setattr(os, call, fail)
        write_new(tmp_path / "a", b"new")
    assert names(tmp_path) == []


@pytest.mark.skipif(not IS_POSSIBLE, reason="needs /proc, which Linux has")
def test_a_durable_write_reaches_the_disk_before_its_name_and_then_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(
        os,
        "fsync",
        lambda descriptor: (calls.append(str(Path(f"/proc/self/fd/{descriptor}").readlink())), fsync(descriptor)),
    )
    monkeypatch.setattr(os, "replace", lambda one, other: (calls.append("replace"), replace(one, other)))
    write_durably(tmp_path / "a", b"content")
    assert calls == [str(tmp_path / f".a.{os.getpid()}.part"), "replace", str(tmp_path)]
    assert (tmp_path / "a").read_bytes() == b"content" and names(tmp_path) == ["a"]


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_a_durable_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(5, "Input/output error")

    write_durably(tmp_path / "a", b"old")
    with monkeypatch.context() as broken, pytest.raises(OSError, match="Input/output error"):
        broken.setattr(os, call, fail)
        write_durably(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old" and names(tmp_path) == ["a"]


def test_what_a_killed_writer_of_the_same_number_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / f".a.{os.getpid()}.part").write_bytes(b"half")
    write_durably(tmp_path / "a", b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole" and names(tmp_path) == ["a"]


def test_a_system_that_writes_a_little_at_a_time_gets_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:3]))
    write_durably(tmp_path / "a", b"0123456789")
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_the_name_of_each_new_folder_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("dlcourse.files.sync_folder", synced.append)
    make_folders(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir() and set(synced) == {tmp_path, tmp_path / "a"}
    make_folders(tmp_path / "a" / "b")
    assert len(synced) == 2


def test_only_regular_files_of_a_sensible_size_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"12345")
    assert read_regular(tmp_path / "file", 5) == b"12345"
    for name, most in (("pipe", 10), ("file", 4), ("missing", 10), (".", 10)):
        with pytest.raises(DataError):
            read_regular(tmp_path / name, most)


def test_the_end_of_a_file_is_read_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"12345")
    assert [read_end(tmp_path / "file", most) for most in (2, 5, 9)] == [b"45", b"12345", b"12345"]
    for name in ("pipe", "missing", "."):
        with pytest.raises(DataError):
            read_end(tmp_path / name, 10)
