"""The words behind an action of `dlcourse data`: a name or a path, options of the data set, and flags with a value."""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlcourse.cli import config_files
from dlcourse.cli.composed import composed
from dlcourse.cli.hydra_overrides import text_word
from dlcourse.config.options import hint, suggestion
from dlcourse.config.paths import path_to_read
from dlcourse.config.run_config import RunConfig
from dlcourse.errors import ConfigError, UserError

if TYPE_CHECKING:
    from dlcourse.data.own import OwnData

_OPTION = re.compile(r"[+~]{0,2}[A-Za-z_][\w.@/-]*=", re.ASCII)
_FILES = {".csv": "csv", ".tsv": "csv", ".npz": "npz", ".txt": "text"}
"""What the ending of a file says about its kind."""


@dataclass(frozen=True)
class Request:
    """Names or paths, options as they were typed, and the values of flags."""

    names: tuple[str, ...]
    options: tuple[str, ...]
    flags: dict[str, str]

    def only_name(self, action: str, example: str) -> str:
        """The one name or path that an action needs; raises ConfigError."""
        if not any(self.names):
            raise ConfigError(f"dlcourse data {action} needs a {example}; dlcourse data list shows all names")
        if len(self.names) > 1:
            raise ConfigError(f"'{self.names[1]}' after '{self.names[0]}': dlcourse data {action} takes one at a time")
        return self.names[0]


def read_words(words: Sequence[str], flags: Sequence[str] = ()) -> Request:
    """Take the words apart; raises ConfigError for unknown flags and for options that are not of data."""
    names, options, given, rest = [], [], {}, iter(words)
    for word in rest:
        flag, equals, value = word.partition("=")
        if flag in flags:
            value = value if equals else next(rest, "")
            if not value or flag in given:
                raise ConfigError(f"{flag} needs a value" if not value else f"{flag} is given twice; give it once")
            given[flag] = value
        elif word.startswith("-"):
            raise ConfigError(f"unknown flag '{word}'{suggestion(flag, [*flags, '--help'])}")
        elif word.startswith("data="):
            names.append(value)
        elif _OPTION.match(word) and not os.path.exists(word):  # noqa: PTH110 - no error for a name that is too long
            if not word.lstrip("+~").startswith(("data.", "seed=")):
                raise ConfigError(f"'{word}': dlcourse data takes options of data only, such as data.subset=1000")
            options.append(word)
        else:
            names.append(word)
    return Request(tuple(names), tuple(options), given)


@dataclass(frozen=True)
class Found:
    """What a name or a path stands for: the words that choose it, and the names of an archive's files that were skipped.

    `hidden` is the folder that an archive was unpacked into, which no message should show.
    """

    choice: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    hidden: str = ""
    shown: str = ""

    @property
    def is_file(self) -> bool:
        """Whether it is a file or a folder of the user's that training can read where it is."""
        return len(self.choice) > 1 and not self.hidden

    def config(self, options: Sequence[str] = ()) -> RunConfig:
        """The config with these options besides; raises ConfigError, also for an option that names other files."""
        for option in options:
            for word in self.choice[1:2]:
                if _key(option) == _key(word):
                    raise ConfigError(f"'{option}': the files are already named; leave it out")
        return config_of([*self.choice, *options])

    def visible(self, text: str) -> str:
        """The text with the archive in place of the folder that it was unpacked into."""
        return text.replace(self.hidden, self.shown) if self.hidden else text


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")


@contextlib.contextmanager
def found(name: str) -> Iterator[Found]:
    """What the name of a data set, of data that were added, or a path stands for; raises ConfigError and DataError.

    An archive is unpacked for as long as the block lasts.
    """
    if name in known():
        yield Found((f"data={name}",))
        return
    from dlcourse.data.own import added, find_own

    own = find_own(name)
    if own is not None:
        yield Found(tuple(choice_of(own)))
        return
    with found_files(existing(name, added())) as files:
        yield files


@contextlib.contextmanager
def found_files(path: Path) -> Iterator[Found]:
    """The same for the user's own files."""
    from dlcourse.data.archives import is_archive, unpack_images

    if not (path.is_file() and is_archive(path)):
        yield Found(tuple(words_for(path)))
        return
    with tempfile.TemporaryDirectory(prefix="dlcourse-") as temporary:
        folder, skipped = unpack_images(path, Path(temporary))
        files = Found(tuple(words_for(folder)), tuple(skipped), str(folder), str(path))
        try:
            yield files
        except UserError as error:
            error.args = (files.visible(str(error)),)
            raise


def words_for(path: Path) -> list[str]:
    """The words that choose a data set for the user's own file or folder; raises ConfigError."""
    if path.is_dir():
        return ["data=images", text_word("data.folder", str(path))]
    kind = _FILES.get(path.suffix.lower())
    if kind is None:
        from dlcourse.data.archives import ENDINGS

        raise ConfigError(
            f"{path}: cannot tell what this is; expected a folder of images or a file that ends in "
            f"{', '.join([*_FILES, *ENDINGS])}"
        )
    separator = ["data.separator=tab"] if path.suffix.lower() == ".tsv" else []
    return [f"data={kind}", text_word("data.file", str(path)), *separator]


def choice_of(own: "OwnData") -> list[str]:
    """The words that choose data that were added."""
    from dlcourse.data.own import KINDS

    return [f"data={own.kind}", text_word(f"data.{KINDS[own.kind]}", str(own.place)), *own.words]


def existing(name: str, own: Iterable[str] = ()) -> Path:
    """The path that was given; raises ConfigError if there is none, with the name of a data set that was meant."""
    path = path_to_read(name, "")
    if path.exists():
        return path
    if os.sep in name or Path(name).suffix:
        raise ConfigError(f"{name} does not exist; expected a file, a folder, or the name of a data set")
    raise unknown(name, own, "data set, file or folder")


def known() -> list[str]:
    """The names of the data sets: ours, and those of plug-ins."""
    return list(config_files.entries("data", config_files.folders(None)))


def unknown(name: str, own: Iterable[str], what: str = "data set") -> ConfigError:
    """That nothing has this name, with the data set that was meant; `own` are the names of those that were added."""
    meant = hint(name, [*known(), *own], kind="data") or "; dlcourse data list shows all names"
    return ConfigError(f"no {what} is called '{name}'{meant}")


def config_of(words: Sequence[str]) -> RunConfig:
    """The config that `dlcourse train` would run with these words; raises ConfigError."""
    return composed(words, config_files.folders(None), "data")
