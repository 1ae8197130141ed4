from pathlib import Path

import pytest

from dlcourse.files import whole_file


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
