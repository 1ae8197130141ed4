"""`--to onnx`: a model in the Open Neural Network Exchange format, for ONNX Runtime and others."""

import warnings
from pathlib import Path

import torch
from torch import Tensor

from dlcourse.export.checking import Examples, Raw
from dlcourse.export.formats import LABELS
from dlcourse.export.labels import Outcome, labels
from dlcourse.export.torch_export import program
from dlcourse.training.opened import OpenedRun

_ERRORS_ONLY = 3


def write(run: OpenedRun, path: Path) -> Outcome:
    """Write the file, read it again with ONNX Runtime and compare; raises UserError."""
    import onnxruntime

    examples = Examples.of(run)
    inputs, output = examples.model.describe(examples.raw, examples.expected)
    names = [each.name for each in inputs]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's own, about its insides
        converted = torch.onnx.export(
            program(examples), input_names=names, output_names=[output.name], dynamo=True, verbose=False
        )
    assert converted is not None
    converted.save(path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def answer(raw: Raw) -> Tensor:
        given = {name: each.numpy() for name, each in zip(names, raw, strict=True)}
        return torch.from_numpy(session.run([output.name], given)[0])

    return Outcome(examples.check(answer), {LABELS: labels(run, inputs, output)})
