"""Which plug-in folders are named: by `--plugins`, by DLCOURSE_PLUGINS, or by a caller from Python, and by nothing else.

The names are kept in the environment of the process, and so reach the processes that it starts. No config, run folder or
list of a sweep can name one.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from dlcourse.config.paths import StrPath, path_to_read
from dlcourse.errors import ConfigError
from dlcourse.plugins.folder import CONF, Entry, PluginFolder, read_folder

FLAG, VARIABLE = "--plugins", "DLCOURSE_PLUGINS"


def taken_out(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The folders that `--plugins DIR` names in a command line, and its other words; raises ConfigError."""
    folders, others, rest = [], [], iter(words)
    for word in rest:
        flag, equals, value = word.partition("=")
        if flag == FLAG.removesuffix("s"):
            raise ConfigError(f"unknown flag '{word}'; did you mean '{FLAG}'?")
        if flag != FLAG:
            others.append(word)
            continue
        value = value if equals else next(rest, "")
        if not value or value.startswith("--"):
            raise ConfigError(f"{FLAG} needs a folder: {FLAG} DIR")
        folders.append(value)
    return folders, others


@contextlib.contextmanager
def naming(folders: Sequence[StrPath]) -> Iterator[None]:
    """Within this, these folders are named besides those of the environment, here and in the processes that are started.

    Raises ConfigError for one whose path cannot be passed on.
    """
    before = os.environ.get(VARIABLE)
    given = [_whole(path_to_read(os.fspath(folder), FLAG)) for folder in folders]
    for path in given:
        if os.pathsep in path:
            raise ConfigError(f"{FLAG} '{path}': a path with '{os.pathsep}' cannot be used; rename the folder")
    if given:
        os.environ[VARIABLE] = os.pathsep.join(dict.fromkeys([*given, *named_paths()]))
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before


def as_folders(plugins: "StrPath | Sequence[StrPath] | None") -> tuple[StrPath, ...]:
    """The folders that a caller from Python names: one, several or none."""
    if plugins is None:
        return ()
    return (plugins,) if isinstance(plugins, str | os.PathLike) else tuple(plugins)


def named_paths() -> list[str]:
    """The whole paths of the folders that are named, each once."""
    return list(dict.fromkeys(_whole(path) for path in os.environ.get(VARIABLE, "").split(os.pathsep) if path))


def _whole(path: StrPath) -> str:
    """The whole path, in which links stay, to be refused."""
    return os.path.abspath(path)  # noqa: PTH100


def shown(folder: Path) -> Path:
    """The folder relative to the working folder, if it is inside."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def flags() -> list[str]:
    """The words that name the same folders in another command."""
    return [f"{FLAG}={path}" for path in named_paths()]


def named_folders() -> list[PluginFolder]:
    """The folders that are named, checked; raises ConfigError for one that cannot be used, and for a name that two have."""
    folders = [read_folder(str(shown(Path(path)))) for path in named_paths()]
    seen: dict[tuple[str, str], Path] = {}
    for entry in (entry for folder in folders for entry in folder.entries):
        other = seen.setdefault((entry.group, entry.name), entry.folder)
        if other != entry.folder:
            raise ConfigError(
                f"{entry.group} '{entry.name}' is in two plug-in folders, {other} and {entry.folder}; rename one"
            )
    return folders


def config_folders() -> list[Path]:
    """The folders of config files in those that are named; raises ConfigError."""
    return [folder.path / CONF for folder in named_folders() if (folder.path / CONF).is_dir()]


def named_entries() -> list[Entry]:
    """The entries of all folders that are named; raises ConfigError."""
    return [entry for folder in named_folders() for entry in folder.entries]
