"""A plug-in folder: the models, data sets and tasks in its table, and what is checked before any of their code runs.

    mine/plugins.toml               model.bottleneck = "models/bottleneck.py:Bottleneck"
    mine/models/bottleneck.py       the code
    mine/conf/model/bottleneck.yaml the options

The code runs as the user, so only regular files inside the folder are accepted, and none that everyone can change: a link,
or a world-writable folder, would let somebody else decide what runs.
"""

import ast
import hashlib
import os
import re
import shlex
import stat
import tomllib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcourse.config.options import suggestion
from dlcourse.config.paths import conf_dir, path_to_read
from dlcourse.errors import ConfigError
from dlcourse.files import read_regular

TABLE, CONF = "plugins.toml", "conf"
GROUPS = ("model", "data", "task")
"""The groups of the config to which a folder may add entries with code."""
NO_NAME = (
    "is not a valid name; expected a letter, then letters, digits and '_', and not a YAML value such as on or null"
)
_TARGET = re.compile(r"((?:[A-Za-z_]\w*/)*[A-Za-z_]\w*\.py):([A-Za-z_]\w*)", re.ASCII)
_NAME = re.compile(r"[A-Za-z]\w{0,59}", re.ASCII)
_READ_AS_VALUES = {"null", "none", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf"}
"""Words that YAML, Hydra or Python take for a value."""
_MAX_BYTES = 2**20


@dataclass(frozen=True)
class Entry:
    """A line of the table: `model=NAME` is what `symbol` names in `file`, a path inside of `folder`, with this content."""

    folder: Path
    group: str
    name: str
    file: str
    symbol: str
    content: bytes

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self.folder / self.file

    @property
    def sha256(self) -> str:
        """The checksum of the file."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class PluginFolder:
    """A folder that was checked; none of its code has run."""

    path: Path
    entries: tuple[Entry, ...]


def read_folder(text: str) -> PluginFolder:
    """The plug-in folder of this path, checked; raises ConfigError."""
    named = f"plug-in folder '{text}'"
    folder = path_to_read(text, "--plugins")
    if folder.is_symlink():
        raise ConfigError(f"{named} is a symbolic link; name the folder it points to")
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise ConfigError(f"{named} {problem}; dlcourse new model NAME --plugins DIR creates one")
    try:
        require_safe(folder)
        has_table, has_conf = (exists(folder / name) for name in (TABLE, CONF))
        if not (has_table or has_conf):
            raise ConfigError(
                f"{named} has neither {TABLE} nor {CONF}/; dlcourse new model NAME --plugins DIR creates both"
            )
        for path in _config_files(folder):
            require_safe(path)
        return PluginFolder(folder, tuple(_entries(folder)) if has_table else ())
    except OSError as error:
        raise ConfigError(f"{named} cannot be read: {(error.strerror or str(error)).lower()}") from None


def is_entry_name(name: str) -> bool:
    """Whether an entry may have this name: as in Python, and read as text by YAML and the command line."""
    return _NAME.fullmatch(name) is not None and name.lower() not in _READ_AS_VALUES


def exists(path: Path) -> bool:
    """Whether there is anything at this path, even a dangling link; raises OSError if that cannot be determined."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _config_files(folder: Path) -> Iterator[Path]:
    """The folder `conf` and what is in its groups."""
    conf = folder / CONF
    if not exists(conf):
        return
    yield conf
    require_safe(conf)
    for group in sorted(conf.iterdir()):
        yield group
        if group.is_dir() and not group.is_symlink():
            yield from sorted(group.iterdir())


def require_safe(path: Path) -> None:
    """Raise ConfigError for a link, for what is neither a file nor a folder, and for what everyone may change."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        raise ConfigError(f"{path} is a symbolic link; replace it with the file or folder it points to")
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ConfigError(f"{path} is neither a file nor a folder; remove it from the plug-in folder")
    if os.name != "nt" and mode & stat.S_IWOTH:
        raise ConfigError(
            f"{path} can be changed by everyone on this machine, and its code would run as you; type chmod o-w "
            f"{shlex.quote(str(path))}"
        )


def _entries(folder: Path) -> Iterator[Entry]:
    """The entries of the table, in its order; raises ConfigError."""
    table = folder / TABLE
    require_safe(table)
    for group, lines in read_table(table).items():
        if group not in GROUPS:
            raise ConfigError(f"{table}: unknown group '{group}'{suggestion(group, GROUPS)}")
        if not isinstance(lines, dict):
            raise ConfigError(f"{table}: '{group}' must be lines such as {group}.my_{group} = \"FILE.py:CLASS\"")
        for name, target in lines.items():
            yield _entry(folder, group, name, target)


def read_table(table: Path) -> dict[str, Any]:
    """What the table says; raises ConfigError."""
    try:
        return tomllib.loads(_read(table).decode())
    except UnicodeDecodeError as error:
        raise ConfigError(f"{table} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        reason = str(error)
        line = re.search(r" \(at line (\d+), column \d+\)", reason)
        where = f" line {line[1]}" if line else ""
        raise ConfigError(f"{table}{where}: {reason.replace(line[0], '') if line else reason}") from None


def _read(path: Path) -> bytes:
    """The content of a file; raises ConfigError, and DataError for what the system refuses."""
    if path.lstat().st_size > _MAX_BYTES:
        raise ConfigError(f"{path} is too large for a plug-in; the limit is {_MAX_BYTES // 2**20} MiB")
    return read_regular(path, _MAX_BYTES)


def _entry(folder: Path, group: str, name: str, target: Any) -> Entry:
    line = f"{folder / TABLE}: {group}.{name}"
    if not is_entry_name(name):
        raise ConfigError(f"{line} {NO_NAME}, such as my_{group}")
    parts = _TARGET.fullmatch(target) if isinstance(target, str) else None
    if parts is None:
        raise ConfigError(
            f'{line} = {target!r:.80} does not name a class; expected "FILE.py:CLASS", FILE.py in this folder'
        )
    require_new(group, name, line)
    options = folder / CONF / group / f"{name}.yaml"
    if not options.is_file():
        raise ConfigError(f"{line} has no options file; write {options}, with 'name: {name}'")
    return Entry(folder, group, name, parts[1], parts[2], _content(folder, parts[1], line))


def require_new(group: str, name: str, where: str) -> None:
    """Raise ConfigError if dlcourse has an entry of this name."""
    if (conf_dir() / group / f"{name}.yaml").exists():
        raise ConfigError(f"{where} is already an entry of dlcourse; choose another name, such as my_{name}")


def _content(folder: Path, file: str, line: str) -> bytes:
    """The content of a file with code, which parses as Python; raises ConfigError."""
    path = folder
    for part in file.split("/"):
        path = path / part
        if not exists(path):
            raise ConfigError(f"{line} names {path}, which does not exist")
        require_safe(path)
    content = _read(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(content)
    except SyntaxError as error:
        raise ConfigError(f"{path} line {error.lineno or 1}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:  # null bytes, deeply nested brackets
        raise ConfigError(f"{path} cannot be read as Python: {error or type(error).__name__}") from None
    return content
