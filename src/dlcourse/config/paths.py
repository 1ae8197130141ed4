"""Paths that users give, and where the config files are."""

import errno
import os
from pathlib import Path

from dlcourse.errors import ConfigError

StrPath = str | os.PathLike[str]
"""A path as a caller from Python may give it."""


def named(text: str, option: str) -> str:
    """What a user has typed: `init_from=there`, or `'there'` for the RUN of a command."""
    return f"{option}={text}" if option else f"'{text}'"


def user_path(text: str, option: str) -> Path:
    """The path that a user gives, a leading `~` replaced; raises ConfigError if that home is unknown."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ConfigError(f"{named(text, option)}: no such home folder; write the whole path") from None


def path_to_read(text: str, option: str) -> Path:
    """The same for what is to be read, so that asking whether it is there fails for no name; raises ConfigError."""
    path = user_path(text, option)
    try:
        path.lstat()
    except ValueError:
        raise ConfigError(f"{named(text, option)} holds a character that no path can have") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise ConfigError(
                f"{named(f'{text[:40]}...', option)}: file name too long, {len(text)} characters"
            ) from None
    return path


def default_root() -> Path:
    """The folder for data files: `$DLCOURSE_DATA`, or else `~/.cache/dlcourse`."""
    return path_to_read(os.environ.get("DLCOURSE_DATA") or "~/.cache/dlcourse", "DLCOURSE_DATA")


def conf_dir() -> Path:
    """The folder of config files: inside the installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"
