"""What `dlcourse data show` and `dlcourse data add` know of data: its splits, if it can be built, and all that is odd."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlcourse.config.registry import Choice
from dlcourse.config.run_config import RunConfig
from dlcourse.data import DATASETS
from dlcourse.data.checks.classes import check_classes
from dlcourse.data.checks.columns import Profile
from dlcourse.data.checks.finding import Finding, fixes, some
from dlcourse.data.checks.image_files import Scan, check_images, scan_images
from dlcourse.data.checks.rows import check_rows
from dlcourse.data.checks.splits import check_splits, class_counts
from dlcourse.data.checks.table import check_columns
from dlcourse.data.checks.text import check_text
from dlcourse.data.csv_file import CsvFile, drop_word
from dlcourse.data.image_folder import ImageFolder
from dlcourse.data.text import TextSource
from dlcourse.device import cpu
from dlcourse.errors import DataError, UserError
from dlcourse.spec import Data
from dlcourse.training.build import build_data


@dataclass
class View:
    """Data as they were found. `data` is None if they cannot be trained on before they are corrected."""

    config: RunConfig
    data: Data | None = None
    findings: list[Finding] = field(default_factory=list)
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """The examples of each class in each split."""
    profiles: Sequence[Profile] = ()
    """The columns of a table in a file."""
    scan: Scan | None = None
    """The files of a folder of images."""
    problem: str = ""
    """Why there are no splits."""

    @property
    def needs_target(self) -> bool:
        """Whether nobody has said yet which column of a table is to be predicted."""
        return bool(self.profiles) and self.config.data.options.get("target") is None

    @property
    def fixes(self) -> dict[str, Any]:
        """The options that make training accept the data, by name."""
        return fixes(self.findings)

    @property
    def fix_words(self) -> list[str]:
        """The same as words for a shell."""
        dropped = [drop_word(*self._all_dropped)] if "drop" in self.fixes else []
        return [*dropped, *(f"data.{name}={value}" for name, value in self.fixes.items() if name != "drop")]

    @property
    def _all_dropped(self) -> list[str]:
        return [*self.config.data.options.get("drop", ()), *self.fixes.get("drop", ())]

    def fixed_config(self) -> RunConfig:
        """The config with the options that make training accept the data."""
        options = {**self.config.data.options, **self.fixes}
        if "drop" in self.fixes:
            options["drop"] = self._all_dropped
        return dataclasses.replace(self.config, data=Choice(self.config.data.name, options))


def look(config: RunConfig, skipped: Sequence[str] = ()) -> View:
    """Everything about the data of a config; raises UserError if they cannot even be looked at.

    `skipped` are files of an archive that were not unpacked.
    """
    source = DATASETS.build(config.data)
    if isinstance(source, CsvFile):
        return _table(View(config), source)
    if isinstance(source, ImageFolder) and source.folder is not None:
        return _images(View(config), Path(source.folder).expanduser(), skipped)
    view = View(config, build_data(config, cpu()))
    assert view.data is not None
    view.counts = class_counts(view.data)
    view.findings = check_splits(view.data)
    if isinstance(source, TextSource):
        training, *held_out = source.parts(source.read())
        view.findings += check_text(training, "".join(held_out), source.tokens)
    return view


def _table(view: View, source: CsvFile) -> View:
    columns = source.read()
    for name in source.drop:
        columns.pop(name, None)
    view.profiles = [Profile(column) for column in columns.values()]
    view.findings = check_columns(view.profiles, source.target)
    if source.target is None:
        view.problem = "no target yet: write data.target=COLUMN to see the splits"
        view.findings += check_rows(view.profiles, None, None)
        return view
    _build(view)
    view.findings += check_rows(view.profiles, source.target, _test_rows(view))
    if view.data is not None:
        view.counts = class_counts(view.data)
        view.findings += check_classes(view.counts, view.data.spec.class_names) if view.counts else []
    return view


def _test_rows(view: View) -> list[int] | None:
    """The rows set aside for testing, None if the target is too odd to say."""
    source = DATASETS.build(view.fixed_config().data)
    assert isinstance(source, CsvFile)
    try:
        return source.test_rows()
    except UserError:
        return None


def _images(view: View, folder: Path, skipped: Sequence[str]) -> View:
    view.scan = scan = scan_images(folder)
    if skipped:
        what = "ignored: dlcourse does not read such files as images"
        view.findings.append(Finding(some(skipped), what, "convert those that are images to PNG or JPEG"))
    view.findings += check_images(scan)
    _build(view)
    view.counts = class_counts(view.data) if view.data is not None else scan.counts
    read = [name for name, files in scan.files["train"].items() if files]
    names = view.data.spec.class_names if view.data is not None else read
    view.findings += check_classes(view.counts, names)
    return view


def _build(view: View) -> None:
    """Build the data, with the options that make them acceptable if these are needed; if it still fails, say why."""
    try:
        view.data = build_data(view.fixed_config(), cpu())
    except DataError as error:
        if not any(finding.blocks for finding in view.findings):
            raise  # nothing that was said explains it
        view.problem = str(error)
