"""Runs of a moment, for drawings of the lectures to read."""

from pathlib import Path

from dlcourse.cli.main import main
from dlcourse.lectures.finished import Finished


def finished(folder: Path, words: str, label: str = "") -> Finished:
    """Train with these words behind `dlcourse train` into a folder."""
    assert main(["train", *words.split(), "report=light", f"run.dir={folder}"]) == 0
    return Finished(label or folder.name, folder)


def several(folder: Path, *lines: str) -> list[Finished]:
    """A run for each line of words, labeled with it, in folders below this one."""
    return [finished(folder / f"run{number}", words, words) for number, words in enumerate(lines)]
