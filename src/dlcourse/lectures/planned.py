"""What a figure needs done, before any of it is: its runs with their folders, and how it is drawn."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcourse import __version__
from dlcourse.config.run_config import RunConfig
from dlcourse.lectures.entry import Lecture
from dlcourse.lectures.finished import Finished

RUNS = "runs"
"""The folder of all figures' runs, below that of the figures."""
FIGURE = "figure.png"
"""The picture of a figure, in its folder."""
MADE_WITH = ("report=light", "device=cpu", "device.threads=1")
"""What runs of figures are made with unless they say otherwise: no pictures, and the same last digits on any machine."""
_CHANGES_NOTHING = ("root", "download", "verify")
"""Options of data sets that say where files are, not what is in them."""


@dataclass(frozen=True)
class PlannedRun:
    """A run by the words behind `dlcourse train`, its config, its folder, and the folders of runs it starts from."""

    words: tuple[str, ...]
    config: RunConfig
    folder: Path
    needs: tuple[Path, ...] = ()


@dataclass(frozen=True)
class PlannedFigure:
    """A figure with the options of its drawing, its runs, and the folder it goes to.

    `given` are runs that the user named, which are done already, in place of the figure's own; `words` are those that were
    typed behind the figure's name.
    """

    lecture: Lecture
    options: Mapping[str, Any]
    runs: tuple[PlannedRun, ...]
    folder: Path
    full: bool = False
    given: tuple[Path, ...] = ()
    words: tuple[str, ...] = ()

    def finished(self) -> list[Finished]:
        """The runs as the drawing reads them, once they have ended."""
        if self.given:
            return [Finished(folder.name, folder) for folder in self.given]
        labels = own_words([run.words for run in self.runs])
        return [
            Finished(
                " ".join(words) or run.config.name, run.folder, dict(word.split("=", 1) for word in words), _files(run)
            )
            for words, run in zip(labels, self.runs, strict=True)
        ]


def _files(run: PlannedRun) -> dict[str, Any]:
    """Where the data of a run are, as its command says now; the run may have been made with other files of the same data."""
    return {name: value for name, value in run.config.data.options.items() if name in _CHANGES_NOTHING}


def own_words(runs: Sequence[Sequence[str]]) -> list[list[str]]:
    """Of the words of each run those that not all of the runs have; none for a single run."""
    shared = set.intersection(*map(set, runs)) if runs else set()
    return [[word for word in words if word not in shared] for words in runs]


def folder_of(config: RunConfig, runs_folder: Path) -> Path:
    """Where a run of this config lies: `mnist-cnn-1a2b3c4d`, the same for every figure that needs it.

    The eight digits are of all that decides the run: its config, and the version of dlcourse.
    """
    content = config.to_mapping()
    for section in ("run", "report", "resume"):
        del content[section]
    for option in _CHANGES_NOTHING:
        content["data"].pop(option, None)
    here = json.dumps(str(runs_folder.absolute()))[1:-1]  # where runs lie that this one starts from is no matter
    text = json.dumps([__version__, content], sort_keys=True).replace(here, "")
    return runs_folder / f"{config.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
