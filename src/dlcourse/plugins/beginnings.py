"""What `dlcourse new` writes: the files of a new entry, made from templates; no file is overwritten."""

import contextlib
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dlcourse.errors import ConfigError, OutputError
from dlcourse.files import make_folders, write_durably, write_new
from dlcourse.plugins.folder import (
    CONF,
    GROUPS,
    NO_NAME,
    TABLE,
    is_entry_name,
    read_folder,
    read_table,
    require_new,
    require_safe,
)

KINDS = (*GROUPS, "experiment")
_TEMPLATES = Path(__file__).parent / "templates"
_MODULES = {"model": "models", "data": "data", "task": "tasks"}
"""The folders of modules, as in dlcourse itself."""


@dataclass(frozen=True)
class NewFile:
    """A file that is to be written, and what it is."""

    path: Path
    content: str
    meaning: str


def beginning(folder: Path, kind: str, name: str) -> tuple[list[NewFile], str]:
    """The files of a new entry in a plug-in folder, and its line for the table, if it needs one; raises ConfigError.

    The folder may be missing. Nothing has been written yet.
    """
    if not is_entry_name(name):
        raise ConfigError(f"'{name}' {NO_NAME}, such as my_{kind}")
    require_new(kind, name, f"'{name}'")
    _require_place(folder)
    files = list(_files(folder, kind, name))
    for file in files:
        for path in (file.path, *file.path.parents):
            if path == folder:
                break
            if path == file.path and os.path.lexists(path):
                raise ConfigError(f"{path} exists already; choose another name")
            if os.path.lexists(path):
                require_safe(path)
    line = "" if kind == "experiment" else f'{kind}.{name} = "{_MODULES[kind]}/{name}.py:{class_name(name)}"\n'
    if line and (folder / TABLE).exists():
        _require_place_in(folder / TABLE, kind, name, line)
    return files, line


def write(folder: Path, files: list[NewFile], line: str) -> None:
    """Write what `beginning` gave: all of it, or if the system refuses, nothing; raises ConfigError and OutputError."""
    written: list[Path] = []
    new_folders: list[Path] = []  # the innermost first
    try:
        for file in files:
            new_folders[:0] = [parent for parent in file.path.parents if not parent.exists()]
            make_folders(file.path.parent)
            write_new(file.path, file.content.encode())
            written.append(file.path)
        if line:
            _add(folder / TABLE, line)
    except OSError as error:
        for path in written:
            with contextlib.suppress(OSError):
                path.unlink()
        for path in new_folders:
            with contextlib.suppress(OSError):  # not empty: others have put something there
                path.rmdir()
        if isinstance(error, FileExistsError):
            raise ConfigError(f"{error.filename2 or error.filename} exists already; choose another name") from None
        reason = (error.strerror or str(error)).lower()
        raise OutputError(f"cannot write in {folder}: {reason}; name another folder with --plugins DIR") from error


def class_name(name: str) -> str:
    """`WideNet` for `wide_net`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _require_place(folder: Path) -> None:
    """Raise ConfigError if the folder is there and is no place for plug-ins."""
    if not os.path.lexists(folder):
        return
    if not folder.is_symlink() and folder.is_dir():
        require_safe(folder)
        if not any(os.path.lexists(folder / name) for name in (TABLE, CONF)):
            return
    read_folder(str(folder))


def _require_place_in(table: Path, kind: str, name: str, line: str) -> None:
    """Raise ConfigError if a table already has the entry, or if a line at its end would not add it."""
    if name in read_table(table).get(kind, {}):
        raise ConfigError(f"{table} already has {kind}.{name}; choose another name")
    try:
        is_read = name in tomllib.loads(f"{table.read_text(encoding='utf-8')}\n{line}").get(kind, {})
    except tomllib.TOMLDecodeError:
        is_read = False
    if not is_read:
        raise ConfigError(
            f"{table} has a section that a line {kind}.{name} = ... at its end would change or break; write its entries "
            'without sections, as GROUP.NAME = "FILE:CLASS"'
        )


def _files(folder: Path, kind: str, name: str) -> Iterator[NewFile]:
    options = folder / CONF / kind / f"{name}.yaml"
    if kind == "experiment":
        yield NewFile(options, _filled("experiment.yaml", name), "its options: edit them")
        return
    what = {"data": "data set"}.get(kind, kind)
    yield NewFile(folder / _MODULES[kind] / f"{name}.py", _filled(f"{kind}.py", name), f"the {what}: edit it")
    yield NewFile(options, _filled(f"{kind}.yaml", name), "its options, each with type and meaning")
    yield NewFile(folder / "tests" / f"test_{name}.py", _filled(f"{kind}.test", name), "its test")


def _filled(template: str, name: str) -> str:
    text = (_TEMPLATES / f"{template}.txt").read_text(encoding="utf-8")
    return re.sub("CLASS|NAME", lambda word: class_name(name) if word[0] == "CLASS" else name, text)


def _add(table: Path, line: str) -> None:
    """Add a line at the end of the table, which is replaced as a whole or not at all."""
    before = table.read_bytes() if os.path.lexists(table) else (_TEMPLATES / "table.txt").read_bytes()
    newline = b"\n" * (before != b"" and not before.endswith(b"\n"))
    write_durably(table, before + newline + line.encode())
