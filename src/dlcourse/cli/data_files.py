"""`dlcourse data get` and `dlcourse data verify`: downloads, and whether files are still what they should be."""

from typing import TYPE_CHECKING

from dlcourse.cli import config_files
from dlcourse.cli.data_words import Request, config_of, known, read_words, unknown
from dlcourse.config.run_config import RunConfig
from dlcourse.errors import ConfigError, DataError
from dlcourse.text_table import counted

if TYPE_CHECKING:
    from dlcourse.data.download import DataFiles
    from dlcourse.data.own import OwnData

_SHOWN = 3
"""Files that are named of those that have changed."""


def get(words: list[str]) -> int:
    """Download the data set that the words behind `get` name, unless it is here, and check it; raises UserError."""
    request = read_words(words)
    name = request.only_name("get", "data set such as mnist")
    config, source = _downloaded(name, request, "get")
    if not source.download:
        raise ConfigError("dlcourse data get downloads; leave data.download=false out")
    did = "already downloaded" if source.is_here else "downloaded"
    sizes = _built(config, source)
    print(f"{name}: {did}, {_checked(source)}: {sizes}")
    print(f"in {source.root_folder}")
    return 0


def verify(words: list[str]) -> int:
    """Check the files of the data set that the words behind `verify` name; raises DataError if they are others."""
    request = read_words(words)
    name = request.only_name("verify", "data set such as mnist")
    if name not in known():
        from dlcourse.data.own import added, find_own

        own = find_own(name)
        if own is None:
            raise unknown(name, added())
        return _verify_own(own, request)
    config, source = _downloaded(name, request, "verify", "data.download=false")
    if not source.is_here:
        raise DataError(f"{name} is not in {source.root_folder}; write dlcourse data get {name}, or data.root=FOLDER")
    print(f"{name}: {_checked(source)}: {_built(config, source)}")
    print(f"in {source.root_folder}")
    return 0


def _verify_own(own: "OwnData", request: Request) -> int:
    from dlcourse.data.own import differences

    for option in request.options:
        raise ConfigError(f"'{option}': {own.name} was added with its options; leave this one out")
    found = {what: names for what, names in differences(own).items() if names}
    if found:
        told = "; ".join(
            f"{counted(len(names), 'file')} {what} ({', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''})"
            for what, names in found.items()
        )
        raise DataError(
            f"{own.folder} has changed since it was added: {told}; restore it, or remove it and add it again"
        )
    print(f"{own.name}: {counted(len(own.files), 'file')} unchanged since added (sha256)")
    print(f"in {own.folder}")
    return 0


def _downloaded(name: str, request: Request, action: str, *words: str) -> tuple[RunConfig, "DataFiles"]:
    """The config and the data set of a name, which must be one that is downloaded; raises ConfigError."""
    if name not in known():
        from dlcourse.data.own import added

        raise unknown(name, added())
    given = [option for option in request.options if option.partition("=")[0] in {w.partition("=")[0] for w in words}]
    if given:
        raise ConfigError(f"'{given[0]}': dlcourse data {action} implies {words[0]}; leave it out")
    config = config_of([f"data={name}", *request.options, *(words if _has_files(name) else ())])
    from dlcourse.cli.train import load_session

    load_session().check_entries(config)
    from dlcourse.data import DATASETS
    from dlcourse.data.download import DataFiles

    source = DATASETS.build(config.data)
    if not isinstance(source, DataFiles):
        raise ConfigError(
            f"data '{name}' has no files to {'download' if action == 'get' else action}; to look at it write dlcourse data "
            f"show {name}"
        )
    return config, source


def _has_files(name: str) -> bool:
    return "download" in config_files.all_options(config_files.entries("data", config_files.folders(None))[name])


def _built(config: RunConfig, source: "DataFiles") -> str:
    """The sizes of the splits, after all files were read and compared with what was published; raises DataError."""
    from dlcourse.data.dataset import DataSet
    from dlcourse.training.run_report import describe_data

    assert isinstance(source, DataSet)
    return describe_data(source.build(name=config.data.name, seed=config.seed))


def _checked(source: "DataFiles") -> str:
    return "checksums match" if source.verify else "checksums not compared (data.verify=false)"
