"""`--to playground`: one HTML file in which a small classifier runs in the browser: of drawn digits, or of points."""

import base64
import hashlib
import json
import re
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from markupsafe import Markup
from torch import Tensor

from dlcourse import __version__
from dlcourse.data.drawings import THINNEST, DrawingReader, is_drawing
from dlcourse.errors import ConfigError
from dlcourse.export.checking import Examples, Raw, run_data
from dlcourse.export.labels import Outcome
from dlcourse.export.layers import Op, apply, operations
from dlcourse.pages.render import environment
from dlcourse.plots.picture import class_colors
from dlcourse.spec import Data, Split
from dlcourse.tasks.classification import Classification
from dlcourse.training.opened import OpenedRun

_MOST_NUMBERS = 4_000_000
_SHOWN = 20
_POINTS = 300
_MARGIN = 0.1
_DATA = re.compile(r'<script type="application/json" id="model">(.*?)</script>', re.DOTALL)


def write(run: OpenedRun, path: Path) -> Outcome:
    """Write the page, read its network again and compare; raises UserError. The page compares once more when it opens."""
    _require_fit(run)
    assert isinstance(run.task, Classification)
    ops = operations(run.task)
    size = sum(tensor.numel() for op in ops for tensor in op.tensors.values())
    if size > _MOST_NUMBERS:
        raise ConfigError(
            f"the playground takes models of up to {_MOST_NUMBERS:,} parameters; this one has {size:,}; write --to onnx"
        )
    data = run_data(run)
    path.write_bytes(_page(run, ops, data))
    read = read_operations(path.read_text(encoding="utf-8"))

    def answer(raw: Raw) -> Tensor:
        return apply(read, *raw)

    with torch.no_grad():
        return Outcome(Examples.of(run, data).check(answer), {})


def _require_fit(run: OpenedRun) -> None:
    """Raise ConfigError unless the run classifies drawings or points."""
    spec, task = run.spec, run.config.task.name
    if not isinstance(run.task, Classification):
        raise ConfigError(f"the playground takes classifiers only; this run has task '{task}'; write --to onnx")
    if not spec.is_points and not is_drawing(spec):
        shape = " x ".join(map(str, spec.input_shape))
        raise ConfigError(
            "the playground takes points in the plane and small gray images, light on dark; data "
            f"'{spec.name}' has examples of {shape} {'tokens' if spec.is_tokens else 'numbers'}; write --to onnx"
        )


def _page(run: OpenedRun, ops: list[Op], data: Data) -> bytes:
    is_drawn = is_drawing(run.spec)
    style, script = _style(), _script("digits" if is_drawn else "plane")
    html = (
        environment("dlcourse.export")
        .get_template("playground.html.j2")
        .render(
            title=_title(run) if is_drawn else "Move the point",
            name=run.config.name,
            subject=f"{run.config.model.name} trained on {run.config.data.name}, running in this page",
            about=f"Run {run.config.name}, exported by dlcourse {__version__}. Nothing leaves this page.",
            is_drawn=is_drawn,
            names=" and ".join(run.spec.feature_labels) if not is_drawn else "",
            model=_embedded(_content(run, ops, data)),
            style=Markup(style),  # noqa: S704 - our own
            script=Markup(script),  # noqa: S704 - our own
            style_hash=Markup(_sha256(style)),  # noqa: S704 - base64
            script_hash=Markup(_sha256(script)),  # noqa: S704 - base64
            version=__version__,
        )
    )
    return html.encode()


def _title(run: OpenedRun) -> str:
    names = run.spec.class_names
    return "Draw a digit" if all(name.isdigit() for name in names) else "Draw a picture"


def _content(run: OpenedRun, ops: list[Op], data: Data) -> dict[str, Any]:
    """All that the page's script reads."""
    spec = run.spec
    described, weights = pack(ops)
    content = {
        "labels": list(spec.class_names),
        "colors": class_colors(len(spec.class_names)),
        "shape": list(spec.input_shape),
        "operations": described,
        "weights": weights,
        "examples": _examples(run, data),
    }
    if not spec.is_image:
        return content | {"plane": _plane(data.train, spec.feature_labels)}
    reader = DrawingReader.of(spec)
    box = max(1, round(reader.box * reader.side))
    return content | {"drawing": {"side": reader.side, "box": box, "thinnest": THINNEST}}


def _examples(run: OpenedRun, data: Data) -> dict[str, Any]:
    """Validation examples with the run's own answers, with which the page compares its own."""
    count = min(_SHOWN, len(data.val))
    examples = Examples.of(run, data, count)
    targets = next(data.val.batches(count)).targets
    return {
        "count": count,
        "inputs": _base64(examples.raw[0]),
        "answers": _base64(examples.expected),
        "labels": [run.spec.class_names[target] for target in targets.tolist()],
    }


def _plane(train: Split, names: tuple[str, ...]) -> dict[str, Any]:
    """Training points, evenly chosen, and the part of the plane that they cover."""
    whole = next(train.batches(len(train)))
    points, classes = whole.inputs.double(), whole.targets
    margin = _MARGIN * (points.amax(0) - points.amin(0)).clamp(min=1e-6)
    chosen = torch.linspace(0, len(points) - 1, min(_POINTS, len(points))).round().long()
    return {
        "low": (points.amin(0) - margin).tolist(),
        "high": (points.amax(0) + margin).tolist(),
        "points": points[chosen].tolist(),
        "classes": classes[chosen].tolist(),
        "names": list(names),
    }


def pack(ops: list[Op]) -> tuple[list[dict[str, Any]], str]:
    """The operations, each tensor as its place in one array, and that array as base64 of float32."""
    described, numbers, start = [], [], 0
    for op in ops:
        tensors = {}
        for key, tensor in op.tensors.items():
            tensors[key] = {"start": start, "shape": list(tensor.shape)}
            numbers.append(tensor.detach().float().flatten())
            start += tensor.numel()
        described.append(asdict(Op(op.name, op.settings)) | {"tensors": tensors})
    return described, _base64(torch.cat(numbers))


def read_operations(html: str) -> list[Op]:
    """The operations in a page."""
    found = _DATA.search(html)
    assert found is not None
    content = json.loads(found[1])
    weights = torch.from_numpy(np.frombuffer(base64.b64decode(content["weights"]), "<f4").copy())
    return [Op(each["name"], each["settings"], _cut(each["tensors"], weights)) for each in content["operations"]]


def _cut(tensors: dict[str, Any], weights: Tensor) -> dict[str, Tensor]:
    sizes = {key: torch.Size(each["shape"]) for key, each in tensors.items()}
    return {
        key: weights[each["start"] : each["start"] + sizes[key].numel()].view(sizes[key])
        for key, each in tensors.items()
    }


def _base64(tensor: Tensor) -> str:
    """Float32, little-endian, as browsers read it."""
    return base64.b64encode(tensor.detach().float().contiguous().numpy().astype("<f4").tobytes()).decode()


def _embedded(content: dict[str, Any]) -> Markup:
    """JSON in which no name of a class or feature can end the script around it."""
    return Markup(json.dumps(content, separators=(",", ":")).replace("<", "\\u003c"))  # noqa: S704 - no < in it


def _style() -> str:
    return _static("style.css")


def _script(page: str) -> str:
    """The script of a page, in a function of its own to keep its names apart from the browser's."""
    names = ("network", "drawing", "page", page) if page == "digits" else ("network", "page", page)
    return "(() => {\n" + "\n".join(_static(f"{name}.js") for name in names) + "})();\n"


def _static(name: str) -> str:
    return (files("dlcourse.export") / "static" / name).read_text(encoding="utf-8")


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
