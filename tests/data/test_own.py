"""Data that users add: whole or not at all, under names that are free, with the sha256 of each file."""

import json
from pathlib import Path

import pytest

from dlcourse.data import own
from dlcourse.data.own import added, copied, differences, find_own, new_name, read_own, unfinished, write_record
from dlcourse.errors import ConfigError, DataError, OutputError


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DLCOURSE_DATA", str(tmp_path / "data"))
    return tmp_path / "data" / "own"


def add(name: str, source: Path) -> Path:
    folder = new_name(name, ["mnist"])
    with unfinished(folder) as place:
        write_record(place, "text", ["data.context=8"], copied({"a.txt": source}, place))
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text("to be or not to be")
    return tmp_path / "a.txt"


def test_what_was_added_is_found_with_its_options(root: Path, source: Path) -> None:
    folder = add("hamlet", source)
    assert folder == root / "hamlet"
    (found,) = added().values()
    assert found == find_own("hamlet") == read_own(folder)
    assert (found.name, found.kind, found.place, found.words) == (
        "hamlet",
        "text",
        folder / "a.txt",
        ("data.context=8",),
    )
    assert (folder / "a.txt").read_bytes() == source.read_bytes()
    assert differences(found) == {"missing": [], "changed": [], "new": []}


def test_what_was_changed_since_is_named(root: Path, source: Path) -> None:
    folder = add("hamlet", source)
    (folder / "b.txt").write_text("new")
    (folder / "a.txt").write_text("to be or not to bee")
    assert differences(read_own(folder)) == {"missing": [], "changed": ["a.txt"], "new": ["b.txt"]}
    (folder / "a.txt").unlink()
    assert differences(read_own(folder))["missing"] == ["a.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), DataError("x"), OSError(28, "No space left on device")])
def test_what_fails_halfway_leaves_nothing(root: Path, source: Path, error: BaseException) -> None:
    with pytest.raises((KeyboardInterrupt, DataError, OutputError)), unfinished(root / "hamlet") as place:
        copied({"a.txt": source}, place)
        raise error
    assert list(root.iterdir()) == [] and added() == {}


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".x", "a b", "x" * 65, "mnist", "MNIST", "hamlet"])
def test_a_name_that_is_none_or_taken_is_refused(root: Path, source: Path, name: str) -> None:
    folder = add("hamlet", source)
    before = (folder / "a.txt").read_bytes()
    with pytest.raises(ConfigError):
        new_name(name, ["mnist"])
    assert (folder / "a.txt").read_bytes() == before


def test_a_name_that_is_taken_in_the_meantime_is_not_overwritten(root: Path, source: Path) -> None:
    with pytest.raises(ConfigError, match="made in the meantime"), unfinished(root / "hamlet") as place:
        copied({"a.txt": source}, place)
        (root / "hamlet").mkdir()
        (root / "hamlet/theirs").write_text("x")
    assert [path.name for path in root.iterdir()] == ["hamlet"]
    assert (root / "hamlet/theirs").exists()


@pytest.mark.parametrize(
    "record", ["", "[]", "{}", '{"data": "mnist", "words": [], "files": {"a": "b"}}',
               '{"data": "text", "words": [1], "files": {"a": "b"}}', '{"data": "text", "words": [], "files": {}}',
               '{"data": "text", "words": ["hydra.x=1"], "files": {"a": "b"}}',
               '{"data": "text", "words": [], "files": {"../a": "b"}}',
               '{"data": "text", "words": [], "files": {"/a": "b"}}',
               '{"data": "text", "words": ["++data.file=/a"], "files": {"a": "b"}}', "[" * 9999],
)  # fmt: skip
def test_a_damaged_record_is_one_line_and_hides_nothing_else(root: Path, source: Path, record: str) -> None:
    add("good", source)
    (add("bad", source) / own.RECORD).write_text(record)
    assert list(added()) == ["good"]
    with pytest.raises(DataError, match="is damaged"):
        find_own("bad")
    assert find_own("godo") is None


def test_the_record_is_plain_json(root: Path, source: Path) -> None:
    record = json.loads((add("hamlet", source) / own.RECORD).read_text())
    assert record == {"data": "text", "words": ["data.context=8"], "files": {"a.txt": own.sha256(source)}}
