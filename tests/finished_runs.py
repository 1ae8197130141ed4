"""Runs of a moment for the drawings of the lectures."""

from pathlib import Path

from dlcourse.cli.main import main
from dlcourse.lectures.finished import Finished


def finished(root: Path, *lines: str) -> list[Finished]:
    """A run for each line of words of `dlcourse train`, without pictures, in a folder of its own below `root`."""
    runs = []
    for number, line in enumerate(lines):
        folder = root / f"run{number}"
        assert main(["train", *line.split(), "report=light", f"run.dir={folder}"]) == 0, line
        runs.append(Finished(line, folder))
    return runs
