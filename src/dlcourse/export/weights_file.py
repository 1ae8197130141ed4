"""`--to safetensors`: the weights of a run by name, with its config and what its data announced, for code of your own."""

import dataclasses
import json
from pathlib import Path

import safetensors.torch
import torch
from safetensors import safe_open

from dlcourse.errors import DataError
from dlcourse.export.formats import LABELS, README
from dlcourse.export.labels import Outcome, labels
from dlcourse.training.opened import OpenedRun

_README = """\
# {file}

The weights of a model `{model}`, trained on `{data}` with dlcourse. Read them with

```python
from safetensors import safe_open

with safe_open("{file}", "pt") as file:
    weights = {{name: file.get_tensor(name) for name in file.keys()}}
    config, spec = (json.loads(file.metadata()[key]) for key in ("config", "spec"))
```

and `import json` above. `config` says how the run was made, `spec` what its examples look like. The names are those of the
`state_dict()` of the model: `model.load_state_dict(weights)` with a module of your own that has the same.
{normalization}"""
_PIXELS = """
Images are pixels from 0 to 1, less `spec["pixel_mean"]`, divided by `spec["pixel_std"]`, for each channel.
"""


def write(run: OpenedRun, path: Path) -> Outcome:
    """Write the file, read it again and compare bit for bit; raises DataError."""
    weights = {name: tensor.detach().contiguous() for name, tensor in run.task.model.state_dict().items()}
    about = {"config": run.config.to_mapping(), "spec": dataclasses.asdict(run.spec)}
    metadata = {key: json.dumps(value, ensure_ascii=False) for key, value in about.items()}
    safetensors.torch.save_file(weights, path, {"format": "pt", **metadata})
    with safe_open(path, "pt") as file:
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
        same = file.metadata() == {"format": "pt", **metadata}
    if not same or found.keys() != weights.keys() or not all(_same(found[name], weights[name]) for name in weights):
        raise DataError(f"{path.name} does not hold what was written to it: nothing was kept; try again")
    checked = f"all {len(weights)} tensors, bit for bit"
    return Outcome(checked, {LABELS: labels(run), README: readme(run, path.name)})


def _same(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Whether two tensors have the same type, shape and bytes, NaN included."""
    if (first.dtype, first.shape) != (second.dtype, second.shape):
        return False
    return torch.equal(*(each.contiguous().reshape(-1).view(torch.uint8) for each in (first, second)))


def readme(run: OpenedRun, file: str) -> bytes:
    """How to read the file, in Markdown."""
    normalization = _PIXELS if run.spec.is_image else ""
    names = {"model": run.config.model.name, "data": run.config.data.name}
    return _README.format(file=file, **names, normalization=normalization).encode()
