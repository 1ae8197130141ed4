"""One YAML file read with limits, and with errors of one line that name it and the line in it.

Neither PyYAML nor Hydra has limits on size, depth or anchors, so that nothing of a user's gets to them unread.
"""

from pathlib import Path
from typing import Any

import yaml

from dlcourse.errors import ConfigError

_MAX_BYTES = 64 * 1024
_MAX_DEPTH = 20
_MAX_DIGITS = 1000  # Python refuses to print whole numbers of some thousand digits
_OPENING = (
    yaml.FlowSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.BlockMappingStartToken,
)
_CLOSING = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken, yaml.BlockEndToken)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; raises ConfigError for one that is unreadable, empty, too large or not a mapping."""
    text = read_text(path)
    try:
        _check_shape(path, text)
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}{describe_yaml_error(error)}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    except (LookupError, AttributeError):  # PyYAML's own, for text that is not of the type its tag says
        raise ConfigError(f"{path} has a value that does not fit its tag (!!...); write the value alone") from None
    if not isinstance(content, dict):
        given = "is empty" if content is None else f"holds a {type(content).__name__}"
        raise ConfigError(f"{path} {given}; expected lines of the form 'option: value'")
    return content


def _check_shape(path: Path, text: str) -> None:
    """Refuse what makes a small file slow or huge: anchors, which multiply, deep nesting, and endless numbers."""
    depth = 0
    for token in yaml.scan(text):
        if isinstance(token, yaml.AnchorToken | yaml.AliasToken):
            raise ConfigError(f"{path} line {token.start_mark.line + 1}: anchors (& and *) are not allowed here")
        if isinstance(token, yaml.ScalarToken) and token.plain and len(token.value) > _MAX_DIGITS:
            raise ConfigError(f"{path} line {token.start_mark.line + 1}: a word of {len(token.value):,} characters")
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
