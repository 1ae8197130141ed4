"""TensorBoard's event file: a view of what the run folder holds, which can be made again from it."""

import contextlib
import os
import platform
import struct
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from tensorboard.compat.proto.event_pb2 import Event, TaggedRunMetadata
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter
from torch import nn
from torch.jit._trace import TracerWarning
from torch.utils.tensorboard._pytorch_graph import graph as traced_graph
from torch.utils.tensorboard.summary import histogram_raw, hparams
from torch.utils.tensorboard.summary import text as text_summary

from dlcourse.errors import DataError
from dlcourse.files import read_regular
from dlcourse.runs.histogram import Histogram

Option = str | float | bool

_RGB = 3
_HEADER = 24  # bytes of a PNG up to and with its size
_MOST_BYTES = 64 * 2**20


class Board:
    """Writes what a run logs into its folder; if that fails, says so once and lets the run continue."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._records: RecordWriter | None = None
        name = f"events.out.tfevents.{int(time.time())}.{platform.node()}.{os.getpid()}"
        with self._giving_up():
            self._records = RecordWriter((folder / name).open("wb"))
            self._write(Event(file_version="brain.Event:2"))

    @classmethod
    def anew(cls, folder: Path, records: Iterable[Mapping[str, Any]]) -> "Board":
        """A board in place of the one that is there, with all that `records` say: each tag once at each step."""
        for stale in folder.glob("events.out.tfevents.*"):
            with contextlib.suppress(OSError):
                stale.unlink()
        board = cls(folder)
        for record in records:
            board.show(record)
        return board

    def show(self, record: Mapping[str, Any]) -> None:
        """One line of metrics.jsonl: numbers, a histogram, or the file of a picture or text.

        A file is left out if it is gone or not ours.
        """
        step, when = int(record["step"]), float(record["time"])
        if "picture" in record:
            self._show_picture(str(record["picture"]), self._read(record["file"]), step, when)
        elif "text" in record:
            lines = self._read(record["file"]).decode("utf-8", "replace")
            self.text(str(record["text"]), "    " + lines.replace("\n", "\n    "), step, when)
        elif "histogram" in record:
            self._show_histogram(record, step, when)
        else:
            values = [Summary.Value(tag=tag, simple_value=value) for tag, value in record.items() if "/" in tag]
            self._write(Event(summary=Summary(value=values), step=step, wall_time=when))

    def text(self, tag: str, markdown: str, step: int = 0, when: float | None = None) -> None:
        """Show a text."""
        self._write(Event(summary=text_summary(tag, markdown), step=step, wall_time=when))

    def graph(self, model: nn.Module, inputs: torch.Tensor) -> None:
        """Show the model's graph, traced in evaluation mode."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`torch\.jit\.trace.*` is (deprecated|not supported)", FutureWarning)
            warnings.simplefilter("ignore", TracerWarning)  # a shape taken as fixed is right for a drawing
            nodes, steps = traced_graph(model, inputs)
        self._write(Event(graph_def=nodes.SerializeToString()))
        self._write(Event(tagged_run_metadata=TaggedRunMetadata(tag="step1", run_metadata=steps.SerializeToString())))

    def hyperparameters(self, options: Mapping[str, Option]) -> None:
        """Give the run its row in HParams, with all its options.

        The summaries go into the run's own file: SummaryWriter.add_hparams would make another run of them.
        """
        for summary in hparams(dict(options), {})[1:]:
            self._write(Event(summary=summary))

    def columns(self, options: Mapping[str, Option], results: Sequence[str]) -> None:
        """Say which options HParams gives a column, by one run's values, and which numbers logged before stand beside.

        TensorBoard takes the columns of whoever says it, and of several anyone's.
        """
        self._write(Event(summary=hparams(dict(options), dict.fromkeys(results))[0]))

    def flush(self) -> None:
        """Let readers see all that was shown so far."""
        with self._giving_up():
            if self._records is not None:
                self._records.flush()

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        with self._giving_up():
            if self._records is not None:
                self._records.close()
        self._records = None

    def _write(self, event: Event) -> None:
        """Append an event, of now unless it says when."""
        event.wall_time = event.wall_time or time.time()
        with self._giving_up():
            if self._records is not None:
                self._records.write(event.SerializeToString())

    def _read(self, name: str) -> bytes:
        """A file of the run folder, empty if there is none: the log may be a stranger's and name others' files."""
        path = self._folder / name
        if path.parent not in (self._folder, self._folder / "progress") or path.is_symlink():
            return b""
        try:
            return read_regular(path, _MOST_BYTES)
        except DataError:
            return b""

    def _show_picture(self, tag: str, content: bytes, step: int, when: float) -> None:
        """The PNG as it is in the file; TensorBoard wants to be told its size, which stands behind the signature."""
        if len(content) < _HEADER:
            return
        width, height = struct.unpack(">II", content[16:_HEADER])
        image = Summary.Image(height=height, width=width, colorspace=_RGB, encoded_image_string=content)
        self._write(Event(summary=Summary(value=[Summary.Value(tag=tag, image=image)]), step=step, wall_time=when))

    def _show_histogram(self, record: Mapping[str, Any], step: int, when: float) -> None:
        found = Histogram(**{field.name: record[field.name] for field in fields(Histogram)})
        total, sums = sum(found.counts), (found.sum, found.sum_squares)
        summary = histogram_raw(
            str(record["histogram"]), found.min, found.max, total, *sums, found.limits, [float(n) for n in found.counts]
        )
        self._write(Event(summary=summary, step=step, wall_time=when))

    @contextlib.contextmanager
    def _giving_up(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            print(f"dlcourse: warning: TensorBoard's file cannot be written: {error.strerror}", file=sys.stderr)
            if self._records is not None:
                with contextlib.suppress(OSError):
                    self._records.close()
                self._records = None
