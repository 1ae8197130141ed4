"""A file that a user names for a result: made once, never over one that is there."""

from pathlib import Path

from dlcourse.config.paths import path_to_read, user_path
from dlcourse.errors import ConfigError
from dlcourse.files import write_new
from dlcourse.runs.folder import output_errors


def new_file(text: str, option: str, *suffixes: str) -> Path:
    """The file that an option names, which can be made and ends in one of the suffixes; raises ConfigError."""
    path_to_read(text, option)
    path = user_path(text, option)
    if path.suffix.lower() not in suffixes:
        raise ConfigError(f"{option} {text} must end in {suffixes[0]}")
    check_new(path, option)
    return path


def check_new(path: Path, option: str) -> None:
    """Raise ConfigError if the file that an option names cannot be made, as far as that shows before there is anything."""
    if not path.parent.is_dir():
        raise ConfigError(f"{option} {path}: the folder {path.parent} does not exist; make it first, or name another")
    if path.exists():
        raise _taken(path, option)


def write_named(path: Path, option: str, content: bytes) -> None:
    """Write the file; raises ConfigError if it is there by now, OutputError if the system refuses."""
    with output_errors(path):
        try:
            write_new(path, content)
        except FileExistsError:
            raise _taken(path, option) from None


def _taken(path: Path, option: str) -> ConfigError:
    return ConfigError(f"{option} {path} exists already; name a file that does not")
