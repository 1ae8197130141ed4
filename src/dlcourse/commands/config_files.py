"""The YAML files a config is made of: which entries there are, and one file read with errors that name it and the line.

No file of a user reaches Hydra before it was read here, because Hydra has no limits and no one-line messages of its own.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from dlcourse.config import conf_dir
from dlcourse.errors import ConfigError
from dlcourse.options import user_path

GROUPS = ("model", "data", "features", "task", "optimizer", "scheduler", "device", "trainer", "experiment")

_MAX_BYTES = 64 * 1024
_MAX_DEPTH = 20
_OPENING = (
    yaml.FlowSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.BlockMappingStartToken,
)
_CLOSING = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken, yaml.BlockEndToken)


def folders(config_dir: str | None) -> list[Path]:
    """Where entries are looked for: our own folder, then the user's, which is checked. Raises ConfigError."""
    if config_dir is None:
        return [conf_dir()]
    folder = user_path(config_dir, "--config-dir")
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise ConfigError(
            f"--config-dir '{config_dir}' {problem}; expected a folder with model/, data/, experiment/, ..."
        )
    _check_folder(folder)
    return [conf_dir(), folder]


def entries(group: str, places: Iterable[Path]) -> dict[str, Path]:
    """The files of a group by entry name, in alphabetical order; of two with one name the first place wins."""
    found: dict[str, Path] = {}
    for place in places:
        try:
            files = list((place / group).iterdir()) if (place / group).is_dir() else []
        except OSError as error:
            raise ConfigError(f"cannot read config folder '{place / group}': {error.strerror}") from None
        for path in files:
            if path.suffix == ".yaml":
                found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def _check_folder(folder: Path) -> None:
    """Every entry in a user's folder must be readable and have a name of its own: Hydra would silently take ours."""
    if (folder / "config.yaml").exists():
        raise ConfigError(
            f"{folder / 'config.yaml'} would be ignored, dlcourse has its own; write an experiment instead"
        )
    for group in GROUPS:
        ours = entries(group, [conf_dir()])
        for name, path in entries(group, [folder]).items():
            if name in ours:
                raise ConfigError(f"{path} has the name of an entry of dlcourse; rename it, such as my_{path.name}")
            read(path)


def read(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; raises ConfigError for one that is unreadable, empty, too large or not a mapping."""
    text = read_text(path)
    try:
        _check_shape(path, text)
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}{describe_yaml_error(error)}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    if not isinstance(content, dict):
        given = "is empty" if content is None else f"holds a {type(content).__name__}"
        raise ConfigError(f"{path} {given}; expected lines of the form 'option: value'")
    return content


def _check_shape(path: Path, text: str) -> None:
    """Refuse what makes a small file slow or huge: anchors, which multiply, and deep nesting."""
    depth = 0
    for token in yaml.scan(text):
        if isinstance(token, yaml.AnchorToken | yaml.AliasToken):
            raise ConfigError(f"{path} line {token.start_mark.line + 1}: anchors (& and *) are not allowed here")
        depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        if depth > _MAX_DEPTH:
            raise ConfigError(f"{path} line {token.start_mark.line + 1}: too deeply nested")


def read_text(path: Path) -> str:
    """The text of a config file; raises ConfigError."""
    try:
        if not path.is_file():
            raise ConfigError(f"{path} is not a regular file")
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError(f"{path} is too large for a config file; the limit is {_MAX_BYTES // 1024} KiB")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None


def describe_yaml_error(error: yaml.YAMLError) -> str:
    """` line 3: what is wrong there`, to follow the name of a file."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f" line {error.problem_mark.line + 1}: {error.problem or error.context}"
    return f": {error}".splitlines()[0]
