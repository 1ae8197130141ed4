"""`dlcourse data show`: what `dlcourse train` would see of a data set or of the user's own files, and all that is odd."""

from pathlib import Path
from typing import TYPE_CHECKING

from dlcourse.cli.data_words import Request, composed, found, read_words
from dlcourse.config.paths import path_to_read, user_path
from dlcourse.errors import ConfigError
from dlcourse.runs.named_file import check_new, write_named
from dlcourse.terminal import escaped, fitted

if TYPE_CHECKING:
    from dlcourse.cli.data_view import View

_OUT = "--out"


def main(words: list[str]) -> int:
    """Print, and draw if asked for, what the words behind `show` name; raises UserError."""
    request = read_words(words, (_OUT,))
    name = request.only_name("show", "data set, a file or a folder")
    out = _picture_path(request)
    with found(name) as data:
        config = composed([*data.choice, *request.options])
        from dlcourse.cli.train import load_session

        load_session().check_entries(config)
        from dlcourse.cli import data_text
        from dlcourse.cli.data_view import look

        view = look(config, data.left_out)
        say(f"dlcourse data show   {name}")
        for line in (*data_text.lines(view), *data_text.odd_lines(view), *data_text.refusal(view)):
            say(data.told(line))
        is_file = len(data.choice) > 1 and not data.hidden
        if is_file and (view.data is not None or view.needs_target):
            say(f"train  {data_text.command_line([*data.choice, *request.options], view)}")
        if out is not None:
            _draw(view, name, out)
    return 0


def say(line: str) -> None:
    """Print a line without control characters, folded to the terminal."""
    print("\n".join(fitted(escaped(line, one_line=True))))


def _picture_path(request: Request) -> Path | None:
    """The file for a picture, which must not be there yet; raises ConfigError."""
    if _OUT not in request.flags:
        return None
    text = request.flags[_OUT]
    path_to_read(text, _OUT)
    path = user_path(text, _OUT)
    if path.suffix.lower() != ".png":
        raise ConfigError(f"{_OUT} {text} must end in .png")
    check_new(path, _OUT)
    return path


def _draw(view: "View", name: str, out: Path) -> None:
    from dlcourse.cli.data_picture import picture_of
    from dlcourse.plots import to_image, to_png

    write_named(out, _OUT, to_png(to_image(picture_of(view, name))))
    print(f"saved  {out}")
