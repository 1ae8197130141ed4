"""What stands beside an exported file: what goes in, what comes out, and the names of classes, features and tokens."""

import json
from dataclasses import dataclass
from typing import Any

from dlcourse import __version__
from dlcourse.export.exported import Signature
from dlcourse.training.opened import OpenedRun


@dataclass(frozen=True)
class Outcome:
    """How an exported file was checked, in a line, and the files beside it by their endings."""

    checked: str
    beside: dict[str, bytes]


def labels(run: OpenedRun, inputs: tuple[Signature, ...] = (), output: Signature | None = None) -> bytes:
    """The content of the labels file, JSON; without inputs and output for a file of weights alone."""
    spec = run.spec
    content: dict[str, Any] = {
        "run": run.config.name,
        "model": run.config.model.name,
        "data": run.config.data.name,
        "task": run.config.task.name,
        "dlcourse": __version__,
    }
    if output is not None:
        content |= {"inputs": [_described(each) for each in inputs], "output": _described(output)}
    named = {"labels": spec.class_names, "features": spec.feature_names, "vocabulary": spec.vocabulary}
    content |= {key: list(names) for key, names in named.items() if names}
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def _described(signature: Signature) -> dict[str, Any]:
    return {
        "name": signature.name,
        "shape": ["batch", *signature.shape],
        "dtype": signature.dtype,
        "meaning": signature.meaning,
    }
