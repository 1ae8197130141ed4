"""`dlcourse data show`: what `dlcourse train` would see of a data set or of the user's own files, and all that is odd."""

from pathlib import Path
from typing import TYPE_CHECKING

from dlcourse.cli.data_words import found, read_words
from dlcourse.runs.named_file import new_file, write_named
from dlcourse.terminal import escaped, fitted

if TYPE_CHECKING:
    from dlcourse.cli.data_view import View

_OUT = "--out"


def main(words: list[str]) -> int:
    """Print, and draw if asked for, what the words behind `show` name; raises UserError."""
    request = read_words(words, (_OUT,))
    name = request.only_name("show", "data set, a file or a folder")
    out = new_file(request.flags[_OUT], _OUT, ".png") if _OUT in request.flags else None
    with found(name) as data:
        config = data.config(request.options)
        from dlcourse.cli.train import load_session

        load_session().check_entries(config)
        from dlcourse.cli import data_text
        from dlcourse.cli.data_view import look

        view = look(config, data.skipped)
        say(f"dlcourse data show   {name}")
        for line in (*data_text.lines(view), *data_text.odd_lines(view), *data_text.refusal(view)):
            say(data.visible(line))
        if data.is_file and (view.data is not None or view.needs_target):
            say(f"train  {data_text.command_line([*data.choice, *request.options], view)}")
        if out is not None:
            _draw(view, name, out)
    return 0


def say(line: str) -> None:
    """Print a line without control characters, folded to the terminal."""
    print("\n".join(fitted(escaped(line, one_line=True))))


def _draw(view: "View", name: str, out: Path) -> None:
    from dlcourse.cli.data_picture import picture_of
    from dlcourse.plots import to_image, to_png

    write_named(out, _OUT, to_png(to_image(picture_of(view, name))))
    say(f"saved  {out}")
