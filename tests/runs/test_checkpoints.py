import json
import os
import shutil
from pathlib import Path

import pytest

from dlcourse.errors import DataError
from dlcourse.files import FilePrefix
from dlcourse.runs.checkpoints import MANIFEST, Checkpoint, Checkpoints, UnknownFormatError


@pytest.fixture
def saves(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "checkpoints")


def save(saves: Checkpoints, step: int, content: bytes | None = None, **links: Path) -> None:
    """Save one file that says which step it is."""
    saves.save(step, {"state.json": content or b'{"step": %d}' % step}, FilePrefix.of(b"%d\n" % step), links)


def found(saves: Checkpoints) -> Checkpoint:
    checkpoint, damaged = saves.newest()
    assert checkpoint is not None and damaged == []
    return checkpoint


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def forge(saves: Checkpoints, step: int, changes: dict[str, object]) -> None:
    """Put other values into a manifest, written as dlcourse writes it."""
    path = saves.folder / f"step-{step:08d}" / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_bytes()) | changes, indent=1) + "\n")


def test_what_was_saved_comes_back(saves: Checkpoints) -> None:
    save(saves, 3)
    checkpoint = found(saves)
    assert (checkpoint.step, dict(checkpoint.contents)) == (3, {"state.json": b'{"step": 3}'})
    assert checkpoint.json("state.json") == {"step": 3}
    assert checkpoint.log == FilePrefix.of(b"3\n")


def test_there_is_none_before_the_first(saves: Checkpoints) -> None:
    assert saves.newest() == (None, []) and saves.saved_step is None


def test_the_newest_are_kept_and_counted_by_step(saves: Checkpoints) -> None:
    for step in (5, 50, 500):
        save(saves, step)
        assert saves.saved_step == step
    assert names(saves.folder) == ["step-00000050", "step-00000500"]
    assert found(saves).step == 500


def test_a_step_may_be_saved_again_and_the_last_time_counts(saves: Checkpoints) -> None:
    for content in (b"0", b"1", b"2"):
        save(saves, 7, content)
    assert names(saves.folder) == ["step-00000007.1", "step-00000007.2"]
    assert found(saves).contents["state.json"] == b"2"


def test_a_link_shares_the_file_until_that_is_replaced(saves: Checkpoints, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.write_bytes(b"old")
    save(saves, 1, kept=weights)
    assert (saves.folder / "step-00000001" / "kept").samefile(weights)
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "new").replace(weights)
    assert found(saves).contents["kept"] == b"old"


def test_where_links_cannot_be_made_the_file_is_copied(
    saves: Checkpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "weights").write_bytes(b"kept")
    save(saves, 1, kept=tmp_path / "weights")
    assert found(saves).contents["kept"] == b"kept"
    assert not (saves.folder / "step-00000001" / "kept").samefile(tmp_path / "weights")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"step": 2}!', "state.json has 12 bytes, expected 11"),
        (b'{"step": 1}', "sha256 mismatch: state.json"),
        (None, "state.json: no such file or directory"),
    ],
)
def test_a_damaged_one_is_passed_over_and_named(saves: Checkpoints, content: bytes | None, reason: str) -> None:
    save(saves, 1)
    save(saves, 2)
    file = saves.folder / "step-00000002" / "state.json"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    checkpoint, damaged = saves.newest()
    assert checkpoint is not None and checkpoint.step == saves.saved_step == 1
    assert damaged == [f"checkpoint step-00000002 is damaged: {reason}"]


def test_one_that_was_renamed_is_not_taken_for_another_step(saves: Checkpoints) -> None:
    save(saves, 1)
    save(saves, 2)
    (saves.folder / "step-00000001").rename(saves.folder / "step-00000009")
    checkpoint, damaged = saves.newest()
    assert checkpoint is not None and checkpoint.step == 2 and len(damaged) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"step": 2.0},
        {"step": float("inf")},
        {"step": None},
        {"files": []},
        {"files": None},
        {"files": {"state.json": {"size": "11", "sha256": ""}}},
        {"files": {"state.json": {"size": 11.0, "sha256": ""}}},
        {"files": {"state.json": {"size": True, "sha256": ""}}},
        {"files": {"state.json": {"size": -1, "sha256": ""}}},
        {"files": {"state.json": {"size": 10**30, "sha256": ""}}},
        {"files": {"state.json": {"size": 11, "sha256": [[]]}}},
        {"files": {"state.json": {"size": 11}}},
        {"files": {"..": {"size": 11, "sha256": ""}}},
        {"files": {"../../log": {"size": 2, "sha256": ""}}},
        {"files": {"a\0b": {"size": 1, "sha256": ""}}},
        {"files": {"\ud800": {"size": 1, "sha256": ""}}},
        {"files": {"x" * 5000: {"size": 1, "sha256": ""}}},
        {"log": {"size": -1, "sha256": ""}},
        {"log": {"size": None, "sha256": ""}},
        {"more": 1},
    ],
    ids=lambda changes: str(changes)[:60].encode("ascii", "backslashreplace").decode(),
)
def test_odd_manifests_are_passed_over(saves: Checkpoints, changes: dict[str, object]) -> None:
    save(saves, 1)
    save(saves, 2)
    forge(saves, 2, changes)
    checkpoint, damaged = saves.newest()
    assert checkpoint is not None and checkpoint.step == 1
    assert len(damaged) == 1 and "\n" not in damaged[0]


@pytest.mark.parametrize("number", [2, 99, 10**4000])
def test_a_newer_format_is_refused_rather_than_taken_for_damage(saves: Checkpoints, number: int) -> None:
    save(saves, 1)
    save(saves, 2)
    forge(saves, 2, {"format": number})
    with pytest.raises(UnknownFormatError, match=r"of a newer dlcourse, this one reads 1; update dlcourse$"):
        saves.newest()


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"\xff", b"[" * 10**5, b'{"step": 2, "step": 2}', b" " * 2**21], ids=range(7)
)
def test_manifests_that_are_none_are_passed_over(saves: Checkpoints, content: bytes) -> None:
    save(saves, 1)
    save(saves, 2)
    (saves.folder / "step-00000002" / MANIFEST).write_bytes(content)
    checkpoint, damaged = saves.newest()
    assert checkpoint is not None and checkpoint.step == 1 and len(damaged) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("name", [MANIFEST, "state.json"])
def test_a_pipe_is_not_waited_for_and_a_link_not_followed(saves: Checkpoints, name: str) -> None:
    save(saves, 1)
    save(saves, 2)
    file = saves.folder / "step-00000002" / name
    copy = file.rename(file.with_name("copy"))
    os.mkfifo(file)
    assert len(saves.newest()[1]) == 1
    file.unlink()
    file.symlink_to(copy)
    assert len(saves.newest()[1]) == 1
    file.unlink()
    copy.rename(file)
    assert found(saves).step == 2


def test_damaged_ones_are_set_aside_and_their_names_are_free(saves: Checkpoints) -> None:
    for _ in range(2):
        save(saves, 1)
        save(saves, 2)
        (saves.folder / "step-00000002" / MANIFEST).unlink()
        checkpoint, _ = saves.newest()
        saves.set_aside_newer(checkpoint)
    assert "damaged-step-00000002" in names(saves.folder) and "damaged-step-00000002-2" in names(saves.folder)
    save(saves, 2)
    assert found(saves).step == 2


def test_what_a_killed_writer_of_the_same_number_left_is_no_hindrance(saves: Checkpoints) -> None:
    """In a container each process may have the number of the one before."""
    save(saves, 1)
    for name in (f".step-00000002.{os.getpid()}.part", f".step-00000001.{os.getpid()}.old"):
        shutil.copytree(saves.folder / "step-00000001", saves.folder / name)
    save(saves, 2)
    save(saves, 3)
    assert names(saves.folder) == ["step-00000002", "step-00000003"]


def test_a_failed_save_leaves_what_was_there(saves: Checkpoints, tmp_path: Path) -> None:
    save(saves, 1)
    with pytest.raises(FileNotFoundError):
        save(saves, 2, kept=tmp_path / "missing")
    assert names(saves.folder) == ["step-00000001"]
    assert found(saves).step == saves.saved_step == 1


@pytest.mark.parametrize("content", [b"[]", b"{", b"[" * 10**5])
def test_json_that_is_no_object_is_told(saves: Checkpoints, content: bytes) -> None:
    save(saves, 1, content)
    with pytest.raises(DataError, match=r"state\.json cannot be read$"):
        found(saves).json("state.json")
