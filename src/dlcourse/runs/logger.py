"""Where numbers and reports go: metrics.jsonl, the files of the run folder, and TensorBoard as a view of both."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from dlcourse.files import FilePrefix
from dlcourse.metrics.report import Report
from dlcourse.plots import Captioned, Picture, save_png, to_image
from dlcourse.runs.folder import RunFolder
from dlcourse.runs.histogram import Histogram
from dlcourse.runs.metrics_log import METRICS, MetricsLog, read_metrics
from dlcourse.runs.tensorboard import Board
from dlcourse.terminal import escaped

_MOST_SECONDS = 1.0
"""How long a number may wait before it is written: writing each at once would cost a small network a tenth of its time."""
_SPLITS = {"val": "validation", "test": "test"}


class Logger:
    """One writer of `<split>/<name>` scalars, and of full reports with their tables and pictures.

    metrics.jsonl is the truth, of which `start` is what counts when a run resumes; `lost` says why that is not there any
    more, or nothing. TensorBoard is made again from it. `subject` is what every picture says it is of, such as `mlp on
    digits`; without `draws` there are none, and Matplotlib is not imported.
    """

    def __init__(
        self, folder: RunFolder, start: FilePrefix | None = None, *, subject: str = "", draws: bool = True
    ) -> None:
        self._folder = folder
        self._draws = draws
        self._subject = subject
        self._metrics = MetricsLog(folder / METRICS, start)
        self.lost = self._metrics.lost
        self.board = Board.anew(folder.path, read_metrics(folder / METRICS))
        self._written = time.monotonic()

    @property
    def folder(self) -> Path:
        """The run's."""
        return self._folder.path

    def scalars(self, split: str, step: int, epoch: int, values: Mapping[str, float]) -> None:
        """Log numbers of a split at a step."""
        self._log(step, epoch, {f"{split}/{name}": value for name, value in values.items()})

    def report(self, split: str, step: int, epoch: int, report: Report) -> None:
        """Log a report: its numbers, its tables as CSV, its texts, and its pictures as PNG, the latter in TensorBoard too.

        What is seen of the test set is in the run folder itself, what is seen on the way in `progress/`, by epoch.
        Raises OutputError if the run folder is not there any more.
        """
        self._folder.require_in_place()
        self.scalars(split, step, epoch, report.scalars)
        end = "" if split == "test" else f"_{epoch:04d}"
        if end and (report.texts or (report.pictures and self._draws)):
            (self._folder / "progress").mkdir(exist_ok=True)
        place = "progress/" if end else ""
        for name, rows in report.tables.items():
            self._folder.write_table(f"{place}{name}{end}.csv", rows)
        for name, text in report.texts.items():
            file = f"{place}{name}{end}.txt"
            self._folder.write_text(file, escaped(text))
            self._log(step, epoch, {"text": f"{split}/{name}", "file": file})
        measured = f"{_SPLITS[split]} set" + (f", epoch {epoch}" if end else "")
        for name, picture in report.pictures.items():
            self._save(picture, measured, f"{place}{name}{end}.png", f"{split}/{name}", step, epoch)

    def histograms(self, split: str, step: int, epoch: int, histograms: Mapping[str, Histogram]) -> None:
        """Log histograms at a step."""
        for name, histogram in histograms.items():
            self._log(step, epoch, {"histogram": f"{split}/{name}", **asdict(histogram)})

    def picture(self, name: str, step: int, epoch: int, picture: Picture) -> None:
        """Log a picture of the run as a whole."""
        self._save(picture, "", f"{name}.png", name, step, epoch)

    def _save(self, picture: Picture, measured: str, file: str, tag: str, step: int, epoch: int) -> None:
        if not self._draws:
            (self._folder / file).unlink(missing_ok=True)  # of a shorter training, or one that was killed
            return
        caption = [part for part in (self._subject, measured) if part]
        save_png(to_image(Captioned(picture, ", ".join(caption))), self._folder / file)
        self._log(step, epoch, {"picture": tag, "file": file})

    def sync(self) -> FilePrefix:
        """Make what metrics.jsonl holds durable; returns how far that is.

        Raises OutputError if the run folder is not there any more, or another one has its name.
        """
        self._folder.require_in_place()
        self.flush()
        return self._metrics.sync()

    def require_intact(self) -> None:
        """Raise OutputError if metrics.jsonl is not what was written to it."""
        self._metrics.require_intact()

    def _log(self, step: int, epoch: int, values: Mapping[str, Any]) -> None:
        record = {"step": step, "epoch": epoch, "time": round(time.time(), 3), **values}
        self._metrics.append(record)
        self.board.show(record)
        if time.monotonic() - self._written >= _MOST_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what was logged, for those who look at a run while it trains. Raises OSError."""
        self._metrics.flush()
        self.board.flush()
        self._written = time.monotonic()

    def __enter__(self) -> "Logger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.board.close()
        self._metrics.close()
