"""Tiny real sweeps in a folder of their own."""

import csv
from collections.abc import Sequence
from pathlib import Path

from dlcourse.cli.main import main
from lab import Lab, not_given

TINY = ("data=xor", "data.size=40", "model=mlp", "model.hidden=[4]", "trainer.epochs=2", "device=cpu")


def less(words: Sequence[str]) -> list[str]:
    """TINY without the options that these words give."""
    return not_given(TINY, words)


class Sweeps(Lab):
    def sweep(self, *words: str, code: int = 0) -> Path:
        """Run a sweep; returns its folder."""
        assert self.attempt("-m", *less(words), *words) == code, self.out + self.err
        return sorted(Path("outputs/multirun").iterdir())[-1]

    def resume(self, *words: str) -> int:
        code = main(["resume", *words])
        self.out, self.err = self.capsys.readouterr()
        return code


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "summary.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
