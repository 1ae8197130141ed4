"""TensorBoard's event file: a view of what the run folder holds, which can be made again from it."""

import contextlib
import struct
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from torch import nn
from torch.jit._trace import TracerWarning
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from dlcourse.errors import DataError
from dlcourse.files import read_regular

_RGB = 3
_HEADER = 24  # bytes of a PNG up to and with its size
_MOST_BYTES = 64 * 2**20


class Board:
    """Writes what a run logs into its folder; where that fails, says so once and lets the run go on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: SummaryWriter | None = None
        self._has_given_up = False
        self._other_excepthook = threading.excepthook
        threading.excepthook = self._excepthook
        with self._giving_up():
            self._writer = SummaryWriter(str(folder))

    @classmethod
    def anew(cls, folder: Path, records: Iterator[Mapping[str, Any]]) -> "Board":
        """A board in place of the one that is there, with all that `records` say: each tag once at each step."""
        for stale in folder.glob("events.out.tfevents.*"):
            with contextlib.suppress(OSError):
                stale.unlink()
        board = cls(folder)
        for record in records:
            board.show(record)
        return board

    def show(self, record: Mapping[str, Any]) -> None:
        """One line of metrics.jsonl: numbers, or the file of a picture or text, left out where it is gone or not ours."""
        step, time = int(record["step"]), float(record["time"])
        with self._giving_up():
            if "picture" in record:
                self._show_picture(str(record["picture"]), self._read(record["file"]), step, time)
            elif "text" in record:
                lines = self._read(record["file"]).decode("utf-8", "replace")
                self.text(str(record["text"]), "    " + lines.replace("\n", "\n    "), step, time)
            elif self._writer is not None:
                for tag, value in record.items():
                    if "/" in tag:
                        self._writer.add_scalar(tag, value, step, walltime=time)

    def text(self, tag: str, markdown: str, step: int = 0, time: float | None = None) -> None:
        """Show a text."""
        with self._giving_up():
            if self._writer is not None:
                self._writer.add_text(tag, markdown, step, walltime=time)

    def graph(self, model: nn.Module, inputs: torch.Tensor) -> None:
        """Show the model's graph, traced in evaluation mode."""
        with warnings.catch_warnings(), self._giving_up():
            warnings.filterwarnings("ignore", r"`torch\.jit\.trace.*` is (deprecated|not supported)", FutureWarning)
            warnings.simplefilter("ignore", TracerWarning)  # a shape taken as fixed is right for a drawing
            if self._writer is not None:
                self._writer.add_graph(model, inputs)

    def hyperparameters(self, options: Mapping[str, str | float], results: Sequence[str]) -> None:
        """Give the run its row in HParams; `results` are tags of numbers logged before, which it shows beside.

        The summaries go into the run's own file: SummaryWriter.add_hparams would make another run of them.
        """
        with self._giving_up():
            if self._writer is not None:
                for summary in hparams(dict(options), dict.fromkeys(results)):  # type: ignore[no-untyped-call]
                    self._writer._get_file_writer().add_summary(summary)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Write what is still in memory; a second time does nothing."""
        with self._giving_up():
            if self._writer is not None:
                self._writer.close()
        self._writer = None
        threading.excepthook = self._other_excepthook

    def _read(self, name: str) -> bytes:
        """A file of the run folder, empty where there is none: the log may be a stranger's and name others' files."""
        path = self._folder / name
        if path.parent not in (self._folder, self._folder / "progress") or path.is_symlink():
            return b""
        try:
            return read_regular(path, _MOST_BYTES)
        except DataError:
            return b""

    def _show_picture(self, tag: str, content: bytes, step: int, time: float) -> None:
        """The PNG as it is in the file; TensorBoard wants to be told its size, which stands behind the signature."""
        if len(content) < _HEADER:
            return
        width, height = struct.unpack(">II", content[16:_HEADER])
        image = Summary.Image(height=height, width=width, colorspace=_RGB, encoded_image_string=content)
        if self._writer is not None:
            summary = Summary(value=[Summary.Value(tag=tag, image=image)])
            self._writer._get_file_writer().add_summary(summary, step, time)  # type: ignore[no-untyped-call]

    @contextlib.contextmanager
    def _giving_up(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self._has_given_up:
                print(f"dlcourse: warning: TensorBoard's file cannot be written: {error.strerror}", file=sys.stderr)
            self._writer, self._has_given_up = None, True

    def _excepthook(self, failure: threading.ExceptHookArgs) -> None:
        """No traceback for an OSError of the writer's thread, which the next write raises again."""
        ours = failure.thread is not None and type(failure.thread).__module__ == EventFileWriter.__module__
        if not (ours and isinstance(failure.exc_value, OSError)):
            self._other_excepthook(failure)
