"""`dlcourse data add PATH --as NAME`: check the user's own files, list everything odd, copy them to the data folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlcourse.cli.data_show import say
from dlcourse.cli.data_words import Found, choice_of, config_of, existing, found_files, known, read_words
from dlcourse.errors import ConfigError, DataError, UserError
from dlcourse.text_table import counted

if TYPE_CHECKING:
    from dlcourse.cli.data_view import View

_AS = "--as"


def main(words: list[str]) -> int:
    """Add what the words behind `add` name; raises UserError, and then nothing was added."""
    request = read_words(words, (_AS,))
    given = request.only_name("add", "file or folder")
    if _AS not in request.flags:
        raise ConfigError(f"{_AS} is missing; write dlcourse data add {given} {_AS} NAME, with a name of your choice")
    path = existing(given)
    from dlcourse.cli.train import load_session

    session = load_session()
    from dlcourse.cli import data_text
    from dlcourse.cli.data_view import look
    from dlcourse.data.own import new_name

    folder = new_name(request.flags[_AS], known())
    with found_files(path) as data:
        config = data.config(request.options)
        session.check_entries(config)
        view = look(config, data.skipped)
        say(f"dlcourse data add   {folder.name}")
        for line in (*data_text.lines(view), *data_text.odd_lines(view)):
            say(data.visible(line))
        _add(view, data, given, folder, request.options)
    return 0


def _add(view: "View", data: Found, given: str, folder: Path, options: Sequence[str]) -> None:
    """Copy the readable files, check that they can be trained on, and print the command; raises UserError."""
    from dlcourse.cli import data_text
    from dlcourse.cli.data_view import look
    from dlcourse.data.checks.finding import some
    from dlcourse.data.own import OwnData, copied, read_own, unfinished, write_record

    files = _files(view)
    if not files:
        raise DataError(f"{given} was not added: it has no readable images in class folders")
    kind, words = view.config.data.name, [*data.choice[2:], *options]
    with unfinished(folder) as place:
        sums = copied(files, place)
        copy = OwnData(place, kind, tuple(words), sums)
        try:
            kept = look(config_of(choice_of(copy)))
            problem = kept.problem
            if kept.needs_target:
                problem = next((str(odd) for odd in kept.findings if odd.blocks and not odd.options), "")
        except UserError as error:
            problem = str(error)
        if problem:
            reason = problem.replace(str(copy.place), given)
            raise DataError(f"{given} was not added, because it cannot be trained on: {reason}")
        write_record(place, kind, words, sums)
    if view.scan is not None and view.scan.damaged:
        say(f"skip   not copied, as unreadable: {some([view.scan.name(path) for path in view.scan.damaged])}")
    say(f"added  {counted(len(files), 'file')} to {folder}")
    say(f"train  {data_text.command_line(choice_of(read_own(folder)), kept)}")


def _files(view: "View") -> dict[str, Path]:
    """The files to copy, by their paths inside the new folder: of images those that can be read."""
    if view.scan is not None:
        scan = view.scan
        listed = (path for of in scan.files.values() for paths in of.values() for path in paths)
        return {scan.name(path): path for path in listed if path not in scan.damaged}
    path = Path(view.config.data.options["file"]).expanduser()
    return {path.name: path}
