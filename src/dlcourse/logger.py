"""Where numbers and reports go: metrics.jsonl, TensorBoard and the files of the run folder."""

import contextlib
import json
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from torch import nn
from torch.jit._trace import TracerWarning
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from dlcourse.plots import save_png, to_image
from dlcourse.run import RunFolder
from dlcourse.spec import Report


class Logger:
    """One writer of `<split>/<name>` scalars, and of full reports with their tables and pictures.

    metrics.jsonl is the truth. TensorBoard is a view of it: where its file cannot be written, one warning is printed and
    the run goes on.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._metrics: IO[str] = (folder / "metrics.jsonl").open("a", encoding="utf-8")
        self._board = _Board(folder)

    def scalars(self, split: str, step: int, epoch: int, values: Mapping[str, float]) -> None:
        """Log numbers of a split at a step."""
        named = {f"{split}/{name}": value for name, value in values.items()}
        record = {"step": step, "epoch": epoch, "time": round(time.time(), 3), **named}
        self._metrics.write(json.dumps(record) + "\n")
        self._metrics.flush()

        def write(writer: SummaryWriter) -> None:
            for tag, value in named.items():
                writer.add_scalar(tag, value, step)

        self._board.write(write)

    def report(self, split: str, step: int, epoch: int, report: Report) -> None:
        """Log a report: its numbers, its tables as CSV, its texts, and its pictures as PNG, the latter in TensorBoard too.

        What is seen of the test set lies in the run folder itself, what is seen on the way in `progress/`, by epoch.
        """
        self.scalars(split, step, epoch, report.scalars)
        end = "" if split == "test" else f"_{epoch:04d}"
        if end and (report.texts or report.pictures):
            (self._folder / "progress").mkdir(exist_ok=True)
        place = "progress/" if end else ""
        for name, rows in report.tables.items():
            self._folder.write_table(f"{place}{name}{end}.csv", rows)
        for name, text in report.texts.items():
            self._folder.write_text(f"{place}{name}{end}.txt", text)
            self.text(f"{split}/{name}", "    " + text.replace("\n", "\n    "), step)
        for name, picture in report.pictures.items():
            image = to_image(picture)
            save_png(image, self._folder / f"{place}{name}{end}.png")
            self._image(f"{split}/{name}", image, step)

    def _image(self, tag: str, image: NDArray[np.uint8], step: int) -> None:
        self._board.write(lambda writer: writer.add_image(tag, image, step, dataformats="HWC"))

    def text(self, tag: str, markdown: str, step: int = 0) -> None:
        """Show a text in TensorBoard."""
        self._board.write(lambda writer: writer.add_text(tag, markdown, step))

    def graph(self, model: nn.Module, inputs: torch.Tensor) -> None:
        """Show the model's graph in TensorBoard, traced in evaluation mode."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`torch\.jit\.trace.*` is (deprecated|not supported)", FutureWarning)
            warnings.simplefilter("ignore", TracerWarning)  # a shape taken as fixed is right for a drawing
            self._board.write(lambda writer: writer.add_graph(model, inputs))

    def hyperparameters(self, options: Mapping[str, str | float], results: Mapping[str, float]) -> None:
        """Give the run its row in TensorBoard's HParams; `results` are tags and values logged before.

        The summaries go into the run's own file: SummaryWriter.add_hparams would make another run of them.
        """

        def write(writer: SummaryWriter) -> None:
            for summary in hparams(dict(options), dict(results)):  # type: ignore[no-untyped-call]
                writer._get_file_writer().add_summary(summary)  # type: ignore[no-untyped-call]

        self._board.write(write)

    def __enter__(self) -> "Logger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._board.close()
        self._metrics.close()


class _Board:
    """A SummaryWriter that gives up with one warning instead of ending the run."""

    def __init__(self, folder: RunFolder) -> None:
        self._writer: SummaryWriter | None = None
        self._other_excepthook = threading.excepthook
        threading.excepthook = self._excepthook
        with self._giving_up():
            self._writer = SummaryWriter(str(folder.path))

    def write(self, action: Callable[[SummaryWriter], object]) -> None:
        if self._writer is not None:
            with self._giving_up():
                action(self._writer)

    def close(self) -> None:
        self.write(lambda writer: writer.close())
        self._writer = None
        threading.excepthook = self._other_excepthook

    @contextlib.contextmanager
    def _giving_up(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            print(f"dlcourse: warning: TensorBoard's file cannot be written: {error.strerror}", file=sys.stderr)
            self._writer = None

    def _excepthook(self, failure: threading.ExceptHookArgs) -> None:
        """No traceback for an OSError of the writer's thread, which the next `write` raises again."""
        ours = failure.thread is not None and type(failure.thread).__module__ == EventFileWriter.__module__
        if not (ours and isinstance(failure.exc_value, OSError)):
            self._other_excepthook(failure)
