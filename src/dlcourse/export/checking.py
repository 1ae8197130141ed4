"""Whether an exported file gives the answers of its run, on validation examples in batches of 1 and 7.

B is a batch size.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dlcourse.errors import DataError
from dlcourse.export.exported import Exported, exported
from dlcourse.rng import seed_everything
from dlcourse.spec import Batch, Data
from dlcourse.training.build import build_data
from dlcourse.training.opened import OpenedRun

BATCHES = (1, 7)
"""The sizes of the batches that are compared."""
LIMIT = 1e-5
"""The largest difference, as a share of the largest answer if that is above 1."""

Raw = tuple[Tensor, ...]


@dataclass(frozen=True)
class Examples:
    """The exported module, raw validation examples for it `(8, ...)`, and the run's answers to them."""

    model: Exported
    raw: Raw
    expected: Tensor

    @classmethod
    def of(cls, run: OpenedRun, data: Data | None = None, count: int = sum(BATCHES)) -> "Examples":
        """The first validation examples of a run, over again if there are fewer; raises UserError."""
        model = exported(run)
        data = data or run_data(run)
        first = next(data.val.batches(count))
        chosen = torch.arange(count) % len(first.inputs)
        batch = Batch(first.inputs[chosen], first.targets[chosen])
        with torch.no_grad():
            return cls(model, model.raw(batch), model.expected(batch))

    def batches(self) -> list[Raw]:
        """The examples in batches of the sizes that are compared."""
        parts = [torch.split(each, list(BATCHES)) for each in self.raw]
        return list(zip(*parts, strict=True))

    def check(self, answer: Callable[[Raw], Tensor]) -> str:
        """A line on how far the answers of a file are from the run's; raises DataError if that is too far."""
        found = torch.cat([answer(batch) for batch in self.batches()])
        difference = largest_difference(found, self.expected)
        if not difference <= LIMIT:  # NaN, too
            raise DataError(
                f"the exported file and the run differ by {difference:.1e} on validation examples (at most {LIMIT:.0e} is "
                "allowed): nothing was written; try another format"
            )
        sizes = " and ".join(map(str, BATCHES))
        return f"validation examples in batches of {sizes}: largest difference {difference:.1e}"


def run_data(run: OpenedRun) -> Data:
    """The data of the run; raises UserError if they have been moved or removed."""
    seed_everything(run.config.seed)
    return build_data(run.config, run.device)


def largest_difference(found: Tensor, expected: Tensor) -> float:
    """Between answers of one shape, as a share of the largest expected one if that is above 1; NaN if any number is."""
    if found.shape != expected.shape:
        return float("inf")
    scale = max(1.0, float(expected.abs().max()))
    return float((found.double() - expected.double()).abs().max()) / scale
