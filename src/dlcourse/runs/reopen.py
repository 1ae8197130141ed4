"""What of a run is read back to build its model again: spec.json, and files checked against run.json."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from dlcourse.config.options import check_options
from dlcourse.config.run_config import RunConfig
from dlcourse.config.yaml_file import read_yaml
from dlcourse.errors import ConfigError, DataError
from dlcourse.files import read_regular
from dlcourse.runs.folder import CONFIG, SPEC, STATUS, RunFolder
from dlcourse.spec import DataSpec

_MAX_STATUS_BYTES = 2**20
_MAX_BYTES = 64 * 2**20  # the byte-pair encodings of a spec take a few MiB


def write_spec(folder: RunFolder, spec: DataSpec) -> None:
    """Keep what the data set announced, so that the model can be built again without the data."""
    folder.write_json(SPEC, dataclasses.asdict(spec))


def read_config(folder: Path) -> RunConfig:
    """The config of a run; raises DataError, and ConfigError for one that this version does not know."""
    read_checked(folder, CONFIG)
    return RunConfig.from_mapping(read_yaml(folder / CONFIG))


def read_spec(folder: Path) -> DataSpec:
    """What the data set of a run announced; raises DataError."""
    path = folder / SPEC
    try:
        content: Any = json.loads(read_checked(folder, SPEC))
        options = check_options(DataSpec, {"centers": [], **content} | {"centers": []}, where="")
        centers = tuple(tuple(float(value) for value in center) for center in content["centers"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, ConfigError) as error:
        raise DataError(f"cannot read {path}: {error}; the run cannot be opened") from None
    return DataSpec(**options | {"centers": centers})


def read_checked(folder: Path, name: str) -> bytes:
    """A file of a run, which must be as run.json says it was written; raises DataError."""
    content = read_regular(folder / name, _MAX_BYTES)
    stated = stated_sums(folder).get(name)
    if stated is None:
        raise DataError(
            f"{folder / STATUS} does not say what {name} must be: resume the run with dlcourse resume {folder}"
        )
    if stated != hashlib.sha256(content).hexdigest():
        raise DataError(f"{folder / name} is damaged or was changed: its sha256 is not that in {STATUS}")
    return content


def stated_checksum(folder: Path) -> str | None:
    """The checksum of the weights with which a run ended, as run.json says; raises DataError.

    None before its end, and in a folder without run.json: the weights alone, as they were copied somewhere.
    """
    return run_facts(folder).get("weights") if (folder / STATUS).exists() else None


def stated_sums(folder: Path) -> dict[str, Any]:
    """The sha256 of files by name, as run.json says; raises DataError."""
    files = run_facts(folder).get("files")
    if not isinstance(files, dict):
        raise DataError(f"{folder / STATUS} is damaged, it cannot be read")
    return files


def run_facts(folder: Path) -> dict[str, Any]:
    """What run.json says; raises DataError."""
    try:
        return dict(json.loads(read_regular(folder / STATUS, _MAX_STATUS_BYTES)))
    except (ValueError, TypeError, RecursionError):
        raise DataError(f"{folder / STATUS} is damaged, it cannot be read") from None
