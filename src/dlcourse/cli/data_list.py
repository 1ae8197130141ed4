"""`dlcourse data list`: the data sets, their sizes and examples, and whether they are downloaded."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dlcourse.cli.data_words import known, read_words, unknown
from dlcourse.config.registry import Choice
from dlcourse.errors import ConfigError
from dlcourse.terminal import fitted
from dlcourse.text_table import aligned, counted

if TYPE_CHECKING:
    from dlcourse.data.own import OwnData

_HEAD = ("data set", "train", "test", "example", "target", "where")


def main(words: list[str]) -> int:
    """Print the data sets that the words behind `list` name, by default all; raises UserError."""
    request = read_words(words)
    for option in request.options:
        raise ConfigError(f"'{option}': dlcourse data list takes names only; dlcourse data show takes options")
    from dlcourse.cli.train import load_session

    load_session()
    from dlcourse.data.own import added, find_own
    from dlcourse.training.registries import with_plugins

    own, entries = added(), known()
    rows = []
    for name in request.names or (*with_plugins()["data"], *own):
        found = None if name in entries else find_own(name)
        if found is None and name not in entries:
            raise unknown(name, own)
        rows.append(_row(name) if found is None else _own_row(found))
    print("\n".join(piece for line in aligned([_HEAD, *rows], left=(0, 3, 4, 5)) for piece in fitted(line)))
    return 0


def _row(name: str) -> Sequence[str]:
    from dlcourse.data import DATASETS
    from dlcourse.data.own import KINDS
    from dlcourse.spec import described

    if name in KINDS:
        return (name, "", "", f"your own: data.{KINDS[name]}=...", "", "")
    source = DATASETS.build(Choice(name))
    example, _, target = described(source.SPECS[0]).partition("   ")
    if source.SPECS[0].target == "next" and example.endswith(" of 100"):
        example = example.removesuffix(" of 100")  # the vocabulary is known only once the text is read
    return (name, *_sizes(name, source), example, target, _where(name, source))


def _sizes(name: str, source: object) -> tuple[str, str]:
    """The examples for training, validation included, and for testing; empty for a text."""
    from dlcourse.data.published import PUBLISHED

    if name in PUBLISHED:
        known = PUBLISHED[name]
        return (f"{known.train:,}", f"{known.test:,}") if known.train else ("", "")
    train, test = getattr(source, "train_size", None), getattr(source, "test_size", None)
    if train is not None and test is not None:
        return f"{train:,}", f"{test:,}"
    size, share = getattr(source, "size", None), getattr(source, "test_fraction", None)
    if size is None:
        return "", ""
    if share is None:
        return f"{size:,}", ""
    return f"{size - round(share * size):,}", f"{round(share * size):,}"


def _where(name: str, source: object) -> str:
    from dlcourse.data.download import DataFiles
    from dlcourse.data.published import PUBLISHED

    if not isinstance(source, DataFiles):
        return "built in"
    return "downloaded" if source.is_here else f"to download, {PUBLISHED[name].megabytes:,.1f} MB"


def _own_row(own: "OwnData") -> Sequence[str]:
    return own.name, "", "", f"added: {own.kind}, {counted(len(own.files), 'file')}", "", str(own.place)
