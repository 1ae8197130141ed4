"""The words behind an action of `dlcourse data`: a name or a path, options of the data set, and flags with a value."""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import open_dict

from dlcourse.cli import config_files, hydra_guard
from dlcourse.cli.hydra_overrides import parse
from dlcourse.cli.train import clear_resolvers
from dlcourse.config.options import hint, suggestion
from dlcourse.config.paths import conf_dir, path_to_read
from dlcourse.config.run_config import RunConfig
from dlcourse.errors import ConfigError, UserError

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
        if not self.names:
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
        elif _OPTION.match(word) and not Path(word).exists():
            if not word.lstrip("+~").startswith(("data.", "seed=")):
                raise ConfigError(f"'{word}': dlcourse data takes options of data only, such as data.subset=1000")
            options.append(word)
        else:
            names.append(word)
    return Request(tuple(names), tuple(options), given)


@dataclass(frozen=True)
class Found:
    """What a name or a path stands for: the words that choose it, and names left out of an archive.

    `hidden` is the folder that an archive was unpacked into, which no message should show.
    """

    choice: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    hidden: str = ""
    shown: str = ""

    def told(self, text: str) -> str:
        """The text with the archive in place of the folder that it was unpacked into."""
        return text.replace(self.hidden, self.shown) if self.hidden else text


@contextlib.contextmanager
def found(name: str) -> Iterator[Found]:
    """What the name of a data set, of data that were added, or a path stands for; raises ConfigError and DataError.

    An archive is unpacked for as long as the block lasts.
    """
    if name in config_files.entries("data", [conf_dir()]):
        yield Found((f"data={name}",))
        return
    from dlcourse.data.own import added

    own = added()
    if name in own:
        yield Found(tuple(own[name].choice))
        return
    with found_files(existing(name, own)) as files:
        yield files


@contextlib.contextmanager
def found_files(path: Path) -> Iterator[Found]:
    """The same for the user's own files."""
    from dlcourse.data.archives import is_archive, unpack_images

    if not (path.is_file() and is_archive(path)):
        yield Found(tuple(words_for(path)))
        return
    with tempfile.TemporaryDirectory(prefix="dlcourse-") as temporary:
        folder, left_out = unpack_images(path, Path(temporary))
        files = Found(tuple(words_for(folder)), tuple(left_out), str(folder), str(path))
        try:
            yield files
        except UserError as error:
            error.args = (files.told(str(error)),)
            raise


def words_for(path: Path) -> list[str]:
    """The words that choose a data set for the user's own file or folder; raises ConfigError."""
    if path.is_dir():
        return ["data=images", f"data.folder={path}"]
    kind = _FILES.get(path.suffix.lower())
    if kind is None:
        from dlcourse.data.archives import ENDINGS

        raise ConfigError(
            f"{path}: cannot tell what this is; expected a folder of images or a file that ends in "
            f"{', '.join([*_FILES, *ENDINGS])}"
        )
    separator = ["data.separator=tab"] if path.suffix.lower() == ".tsv" else []
    return [f"data={kind}", f"data.file={path}", *separator]


def existing(name: str, own: Iterable[str] = ()) -> Path:
    """The path that was given; raises ConfigError if there is none, with the name of a data set that was meant."""
    path = path_to_read(name, "")
    if path.exists():
        return path
    if os.sep in name or Path(name).suffix:
        raise ConfigError(f"{name} does not exist; expected a file, a folder, or the name of a data set")
    raise unknown(name, own, "data set, file or folder")


def unknown(name: str, own: Iterable[str], what: str = "data set") -> ConfigError:
    """That nothing has this name, with the data set that was meant; `own` are the names of those that were added."""
    known = [*config_files.entries("data", [conf_dir()]), *own]
    meant = hint(name, known, kind="data") or "; dlcourse data list shows all names"
    return ConfigError(f"no {what} is called '{name}'{meant}")


def composed(words: Sequence[str]) -> RunConfig:
    """The config that `dlcourse train` would run with these words; raises ConfigError."""
    clear_resolvers()
    overrides = parse(list(words))
    for override in overrides:
        if override.is_sweep_override():
            raise ConfigError(f"'{override.input_line}' has several values; give one")
    places = config_files.folders(None)
    config = hydra_guard.compose(parse(hydra_guard.check(overrides, places, sweep=False)), places)
    with open_dict(config):
        del config["hydra"]
    return hydra_guard.run_config(config)
