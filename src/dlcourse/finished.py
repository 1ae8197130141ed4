"""A run that is there already: found, and read back far enough to build its model and task again."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from dlcourse.errors import ConfigError, DataError
from dlcourse.options import check_options, user_path
from dlcourse.run import SPEC, WEIGHTS, RunFolder
from dlcourse.spec import DataSpec

_MAX_SPEC_BYTES = 64 * 2**20  # byte-pair encodings take a few MiB


def find_run(text: str, option: str) -> Path:
    """The run folder that `text` names: itself, or the newest run with weights below it. Raises ConfigError."""
    path = user_path(text, option)
    if not path.is_dir():
        problem = "is not a folder" if path.exists() else "does not exist"
        raise ConfigError(f"{option}={text} {problem}; expected the folder of a run, such as outputs/mnist-cnn")
    if (path / WEIGHTS).is_file():
        return path
    runs = sorted(path.glob(f"*/{WEIGHTS}")) + sorted(path.glob(f"*/*/{WEIGHTS}"))
    if not runs:
        raise ConfigError(f"{option}={text}: no {WEIGHTS} there; expected the folder of a finished run")
    return max(runs, key=lambda weights: weights.stat().st_mtime_ns).parent


def write_spec(folder: RunFolder, spec: DataSpec) -> None:
    """Keep what the data set announced, so that the model can be built again without the data."""
    folder.write_json(SPEC, dataclasses.asdict(spec))


def read_spec(folder: Path) -> DataSpec:
    """What the data set of a run announced; raises DataError."""
    path = folder / SPEC
    try:
        if path.stat().st_size > _MAX_SPEC_BYTES:
            raise DataError(f"{path} is too large")
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        options = check_options(DataSpec, {"centers": [], **content} | {"centers": []}, where="")
        centers = tuple(tuple(float(value) for value in center) for center in content["centers"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError, ConfigError) as error:
        raise DataError(f"cannot read {path}: {error}; the run cannot be opened") from None
    return DataSpec(**options | {"centers": centers})
