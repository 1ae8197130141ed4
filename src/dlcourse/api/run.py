"""`dlcourse.load` and what it gives: a run with its model, its numbers, its data and its figures."""

import io
import os
import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from dlcourse.api.guest import as_in_a_command
from dlcourse.api.inputs import as_names, as_tensor
from dlcourse.config.options import suggestion
from dlcourse.config.paths import StrPath
from dlcourse.errors import ConfigError, DataError
from dlcourse.files import read_regular
from dlcourse.html_table import html_table
from dlcourse.plugins.named import as_folders, naming
from dlcourse.runs.find import find_run
from dlcourse.runs.listing import told
from dlcourse.runs.metrics_log import METRICS
from dlcourse.runs.metrics_table import MetricsTable, read_table
from dlcourse.runs.record import RunRecord, read_record
from dlcourse.runs.reopen import read_config, read_spec
from dlcourse.runs.result import REPORT, read_report
from dlcourse.terminal import escaped

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image
    from torch import Tensor, nn

    from dlcourse.spec import Data
    from dlcourse.tasks.answers import Answer
    from dlcourse.tasks.task import Task
    from dlcourse.training.opened import OpenedRun
    from dlcourse.training.predicting import Prediction

_HEADLINE = ("run", "state", "data", "model", "validation", "test", "folder")
_PICTURES = ("", "progress/", "samples/")
"""The folders of a run with pictures."""
_MAX_PICTURE_BYTES = 64 * 2**20


def load(folder: StrPath, *, plugins: StrPath | Sequence[StrPath] | None = None) -> "Run":
    """The run in a folder, or the newest finished one below it: `load("outputs/mnist-cnn")`.

    It needs no data set. `plugins` names the folder, or the folders, of a model or a task of your own, whose code is run.
    Raises ConfigError if there is no such run, and DataError if its files are damaged.
    """
    return Run(find_run(os.fspath(folder)), as_folders(plugins))


class Run:
    """A run, opened to be read and used; nothing is ever written into its folder.

    `folder` is where it is, `config` what it was trained with (dlcourse.config.run_config.RunConfig), `spec` what its
    data look like (dlcourse.spec.DataSpec). The model is built, and its weights are read and checked, when it is first asked
    for. Your own random states and torch's settings stay as they are, whatever is called here.
    """

    def __init__(self, folder: Path, plugins: Sequence[StrPath] = ()) -> None:
        self.folder = folder
        self._plugins = tuple(plugins)
        self.config = read_config(folder)
        self.spec = read_spec(folder)

    @property
    def model(self) -> "nn.Module":
        """The model with the weights that the run kept, on the run's device, in evaluation mode; raises UserError.

        It takes inputs `(B, *spec.input_shape)` as `data()` gives them.
        """
        return self._opened.task.model

    @property
    def task(self) -> "Task":
        """The task that trained the model, which knows what its outputs mean; raises UserError."""
        return self._opened.task

    @cached_property
    def _opened(self) -> "OpenedRun":
        from dlcourse.training.opened import open_run

        with naming(self._plugins), as_in_a_command(self.config.device):
            return open_run(self.folder)

    @property
    def record(self) -> RunRecord:
        """How the run stands: its name, state and headline numbers, as `dlcourse.runs` lists them."""
        return read_record(self.folder)

    @property
    def report(self) -> dict[str, Any]:
        """What the run reached, the content of report.json; raises DataError if the run has not ended yet."""
        if not (self.folder / REPORT).exists():
            raise DataError(
                f"{self.folder} has no {REPORT}, the run has not ended; write dlcourse resume {self.folder}"
            )
        return read_report(self.folder)

    @property
    def metrics(self) -> MetricsTable:
        """Every number logged: columns `step`, `epoch`, `train/loss`, ...; NaN where one was not logged at a step.

        `run.metrics.series("val/loss")` is what to plot; `pandas.DataFrame(run.metrics)` works. Raises DataError.
        """
        return read_table(self.folder / METRICS)

    def data(self) -> "Data":
        """The data as the run saw them, on its device: `train`, `val` and `test` with the same examples in the same order.

        Raises UserError if they are not there any more.
        """
        from dlcourse.rng import seed_everything
        from dlcourse.training.build import build_data, check_entries

        with naming(self._plugins), as_in_a_command(self.config.device) as device:
            check_entries(self.config)
            seed_everything(self.config.seed)
            return build_data(self.config, device)

    @overload
    def predict(
        self,
        inputs: "StrPath | Sequence[StrPath]",
        *,
        as_is: bool = False,
        separator: str | None = None,
        encoding: str | None = None,
    ) -> "list[Prediction]": ...

    @overload
    def predict(self, inputs: "Tensor | NDArray[Any]") -> "list[Answer]": ...

    def predict(
        self, inputs: Any, *, as_is: bool = False, separator: str | None = None, encoding: str | None = None
    ) -> Any:
        """What the model says to new inputs, an answer for each; raises UserError.

        Inputs are an array or a tensor `(B, *spec.input_shape)`, with numbers as `data()` gives them; or the name of a
        file, or several, as `dlcourse predict` takes them: pictures, folders of pictures, CSV files. Of a run that reads
        text, a `str` is a text. `as_is` only resizes pictures; `separator` and `encoding` say how tables are written.
        """
        names = as_names(inputs)
        tensor = as_tensor(inputs, self.spec) if names is None else None
        model = self.model
        was_training = model.training
        with as_in_a_command(self.config.device):
            model.eval()
            try:
                if names is not None:
                    return self._predict_named(names, as_is=as_is, separator=separator, encoding=encoding)
                from dlcourse.training.predicting import predict_inputs

                assert tensor is not None
                return predict_inputs(self._opened, tensor)
            finally:
                model.train(was_training)

    def _predict_named(
        self, names: Sequence[str | Path], *, as_is: bool, separator: str | None, encoding: str | None
    ) -> "list[Prediction]":
        """Predictions for files, or for texts if the run reads those."""
        from dlcourse.cli.predict import existing, kind_of
        from dlcourse.training import predicting

        kind = kind_of(self.spec)
        if kind == "text":
            for name in names:
                if not isinstance(name, str):
                    raise ConfigError(f"'{name}' is a path, and this run reads text; give the text itself")
            return predicting.predict_texts(self._opened, [str(name) for name in names], "text")
        paths = [existing(str(name), kind) for name in names]
        if kind == "pictures":
            return predicting.predict_pictures(self._opened, paths, as_is=as_is)
        found, notes = predicting.predict_rows(self._opened, paths, separator=separator, encoding=encoding)
        for note in notes:
            warnings.warn(note, stacklevel=3)
        return found

    def evaluate(self, *changes: str) -> dict[str, Any]:
        """Measure the kept weights again on the test set, or on other data: `evaluate("data.root=/other/mnist")`.

        It is what `dlcourse evaluate RUN` does, and returns what that prints with `--json`: `["test"]["accuracy"]`. The run
        itself stays as it is, the evaluation is kept in `outputs/evaluations`. Raises UserError.
        """
        from dlcourse.cli.evaluate import prepared

        with naming(self._plugins):
            config, measure = prepared(self.folder, changes)
            with as_in_a_command(config.device):
                return measure()

    @property
    def figures(self) -> list[str]:
        """The names of the run's pictures: `confusion_matrix`, `learning_curve`, `progress/samples_0003`, ..."""
        found = [
            f"{place}{path.stem}"
            for place in _PICTURES
            for path in sorted((self.folder / place).glob("*.png"))
            if path.is_file() and not path.is_symlink()
        ]
        return [name for name in found if not name.rpartition("/")[2].startswith(".")]

    def figure(self, name: str) -> "Image":
        """One of the run's pictures, which a notebook shows; raises ConfigError for a name that is not in `figures`."""
        known, wanted = self.figures, name.removesuffix(".png")
        if wanted not in known:
            none = f"; dlcourse resume {self.folder} report=full draws those of a run with report=light"
            raise ConfigError(f"{self.folder} has no figure '{name}'{suggestion(wanted, known) if known else none}")
        return _read_picture(self.folder / f"{wanted}.png")

    def __repr__(self) -> str:
        line = self._told()
        numbers = [f"{split} {line[split]}" for split in ("validation", "test") if line[split]]
        words = [f"{line['model']} on {line['data']}", line["state"], *numbers]
        return escaped(f"<Run {line['run']}: {', '.join(words)}; {self.folder}>", one_line=True)

    def _repr_html_(self) -> str:
        line = self._told()
        return html_table([name, line[name]] for name in _HEADLINE)

    def _told(self) -> dict[str, str]:
        """What a listing says of the run, but its names by its config: a report of an older version may lack them."""
        config = self.config
        return told(self.record) | {"run": config.name, "data": config.data.name, "model": config.model.name}


def _read_picture(path: Path) -> "Image":
    """A picture of a folder that may be a stranger's; raises DataError."""
    from PIL import Image

    content = io.BytesIO(read_regular(path, _MAX_PICTURE_BYTES))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(content, formats=["PNG"])
            image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"cannot read {path} as a picture: {error}") from None
    return image
