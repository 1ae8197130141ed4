"""Where numbers and reports go: metrics.jsonl, TensorBoard and the files of the run folder."""

import json
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import IO

import torch
from torch import nn
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
        self._board.write(lambda writer: [writer.add_scalar(tag, value, step) for tag, value in named.items()])

    def report(self, split: str, step: int, epoch: int, report: Report) -> None:
        """Log a full report: its numbers, its tables as CSV and its pictures as PNG, the latter in TensorBoard too."""
        self.scalars(split, step, epoch, report.scalars)
        for name, rows in report.tables.items():
            self._folder.write_table(f"{name}.csv", rows)
        for name, picture in report.pictures.items():
            save_png(picture, self._folder / f"{name}.png")
            image = to_image(picture)
            tag = f"{split}/{name}"
            self._board.write(
                lambda writer, tag=tag, image=image: writer.add_image(tag, image, step, dataformats="HWC")
            )

    def text(self, tag: str, markdown: str) -> None:
        """Show a text in TensorBoard."""
        self._board.write(lambda writer: writer.add_text(tag, markdown, 0))

    def graph(self, model: nn.Module, inputs: torch.Tensor) -> None:
        """Show the model's graph in TensorBoard."""
        self._board.write(lambda writer: writer.add_graph(model, inputs))

    def hyperparameters(self, options: Mapping[str, str | float], results: Mapping[str, float]) -> None:
        """Give the run its row in TensorBoard's HParams; `results` are tags and values logged before.

        The summaries go into the run's own file: SummaryWriter.add_hparams would make another run of them.
        """

        def write(writer: SummaryWriter) -> None:
            for summary in hparams(dict(options), dict(results)):
                writer._get_file_writer().add_summary(summary)

        self._board.write(write)

    def __enter__(self) -> "Logger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._metrics.close()
        self._board.close()


class _Board:
    """A SummaryWriter that gives up with one warning instead of ending the run."""

    def __init__(self, folder: RunFolder) -> None:
        self._writer: SummaryWriter | None = SummaryWriter(str(folder.path))

    def write(self, action: Callable[[SummaryWriter], object]) -> None:
        if self._writer is None:
            return
        try:
            action(self._writer)
        except OSError as error:
            print(f"dlcourse: warning: TensorBoard's file cannot be written: {error.strerror}", file=sys.stderr)
            self._writer = None

    def close(self) -> None:
        self.write(lambda writer: writer.close())
        self._writer = None
