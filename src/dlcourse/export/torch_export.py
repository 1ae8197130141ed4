"""`--to torch-export`: the graph of a model with its weights, which needs nothing but torch to run."""

import warnings
from pathlib import Path

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from dlcourse.export.checking import Examples, Raw
from dlcourse.export.formats import LABELS
from dlcourse.export.labels import Outcome, labels
from dlcourse.training.opened import OpenedRun


def write(run: OpenedRun, path: Path) -> Outcome:
    """Write the file, read it again and compare; raises UserError."""
    examples = Examples.of(run)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch's own, about its insides
        torch.export.save(program(examples), path)
        loaded = torch.export.load(path).module()

        def answer(raw: Raw) -> Tensor:
            return loaded(*raw)

        checked = examples.check(answer)
    return Outcome(checked, {LABELS: labels(run, *examples.model.describe(examples.raw, examples.expected))})


def program(examples: Examples) -> ExportedProgram:
    """The graph of the model for batches of any size."""
    any_batch = tuple({0: Dim.DYNAMIC} for _ in examples.raw)
    return torch.export.export(examples.model, examples.batches()[-1], dynamic_shapes=any_batch)
