"""The one way to the test set: it is measured or looked at, and the ledger says that it was."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from dlcourse.config.registry import Choice
from dlcourse.config.run_config import FolderConfig, RunConfig
from dlcourse.device import cpu
from dlcourse.errors import OutputError
from dlcourse.metrics.report import Report
from dlcourse.runs.test_looks import Look, record_look
from dlcourse.spec import Data
from dlcourse.tasks.task import Task
from dlcourse.training.build import build_data
from dlcourse.training.debug.one_batch import is_stand_in
from dlcourse.training.evaluate import evaluate


def measure_on_test(
    task: Task, data: Data, batch_size: int, *, by: str, run: str, root: str = FolderConfig.root
) -> tuple[Report, int]:
    """The full report on the test set, and how often that was read by now, as the ledger below `root` says.

    The count is 0 if the ledger cannot be written: nothing that was trained is lost for it. It is 0, too, for what
    stands in for the test set under debug=fast.
    """
    looks = _record(data, by, run, root)
    return evaluate(task, data.test, batch_size, full=True), looks


def test_images(config: RunConfig, examples: Sequence[int], *, by: str) -> Tensor | None:
    """These examples of the test set as `(n, channels, height, width)` in [0, 1]; None for what is no image.

    Nothing is downloaded for it, and no random state is touched. Raises UserError if the data are not there.
    """
    options = {**config.data.options}
    if "download" in options:
        options["download"] = False
    with cpu().forked_random_state():
        data = build_data(replace(config, data=Choice(config.data.name, options)), cpu())
    _record(data, by, "", FolderConfig.root)
    return data.test.pictures(torch.tensor(examples))


def _record(data: Data, by: str, run: str, root: str) -> int:
    if is_stand_in(data.test):
        return 0
    with contextlib.suppress(OutputError):
        return record_look(Look(data.spec.name, data.test.fingerprint(), len(data.test), by, run), root)
    return 0
