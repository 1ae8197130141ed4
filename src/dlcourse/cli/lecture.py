"""`dlcourse lecture`: the figures of the lectures, listed, and each made with one command."""

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from dlcourse.cli import lecture_plan
from dlcourse.cli.train import load_session
from dlcourse.config.options import suggestion
from dlcourse.config.paths import path_to_read, user_path
from dlcourse.config.run_config import FolderConfig
from dlcourse.console import Console, format_seconds
from dlcourse.error_line import flag_error
from dlcourse.errors import ConfigError
from dlcourse.files import make_folders, write_new
from dlcourse.lectures.entry import Language, Lecture
from dlcourse.lectures.items import LECTURES
from dlcourse.lectures.planned import FIGURE, RUNS, PlannedFigure
from dlcourse.lectures.text import filled, language_of
from dlcourse.lectures.work import Ended, Work
from dlcourse.runs.folder import RunFolder, output_errors
from dlcourse.runs.named_file import write_named
from dlcourse.signals import Stop
from dlcourse.terminal import fitted, print_help, styled
from dlcourse.text_table import aligned, counted

HELP = """\
dlcourse lecture                      the figures, by lecture; how long each takes, and which are made already
dlcourse lecture NAME                 make a figure: its runs, its picture, its numbers beside known ones, what it says
  A19, C                              in place of a name: the figures of an item, or of a whole lecture
  OPTION=VALUE                        options of the drawing, such as side=51; data.root=DIR for the folder of data files
  lecture.runs=[RUN,...]              draw from finished runs of your own
  --full                              the published settings instead of the quick ones
  --draw                              draw again from the runs that are there
  --lang en|ja                        the language of the paragraph; without it that of the system
  --book DIR                          bind the figures that are made into pages for a browser, in English and Japanese
  --book FILE.html --single           the same as one file
  --config-dir DIR                    figures of your own, in DIR/lecture

For example:
  dlcourse lecture learning_rates
  dlcourse lecture A3 --lang ja

The runs are kept in outputs/lectures/runs, each is done once for all figures; the figure goes to outputs/lectures/NAME.
"""

FIGURES_FOLDER = "lectures"


def main(words: list[str]) -> int:
    """List the figures, or make those that the words behind `lecture` ask for; raises UserError."""
    if "--help" in words or "-h" in words:
        print_help(HELP)
        return 0
    options = parse("lecture", words, switches=("full", "draw", "single"), texts=("lang", "book"))
    known = lecture_plan.lectures(options.config_dir)
    if options.book is not None or options.single:
        return _bind(options, known)
    if not options.words:
        print(*_listing(known.values()), sep="\n")
        return 0
    language = language_of(options.lang)
    asked = lecture_plan.asked(options.words, known)
    if not asked.lectures:
        raise ConfigError("name a figure, such as dlcourse lecture learning_rates; dlcourse lecture lists them")
    return _make(asked, language, options)


def parse(verb: str, words: Sequence[str], *, switches: Sequence[str], texts: Sequence[str] = ()) -> argparse.Namespace:
    """The words of a verb of figures, with flags of these names and `--config-dir`; raises ConfigError."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.error = flag_error(verb)  # type: ignore[assignment, method-assign]
    parser.add_argument("words", nargs="*")
    for name in switches:
        parser.add_argument(f"--{name}", action="store_true")
    for name in (*texts, "config-dir"):
        parser.add_argument(f"--{name}")
    flags = [f"--{name}" for name in (*switches, *texts, "config-dir", "help")]
    for word in words:
        if word.startswith("-") and word.partition("=")[0] not in flags:
            raise ConfigError(f"unknown flag '{word}'{suggestion(word, flags)}")
    return parser.parse_intermixed_args(list(words))


def figures_folder() -> Path:
    """Where figures and their runs go."""
    return user_path(FolderConfig.root, "run.root") / FIGURES_FOLDER


def _listing(lectures: Iterable[Lecture]) -> Iterator[str]:
    """The figures of each lecture: item, name, title, and how long it takes or that it is made."""
    shown = list(lectures)
    wide = max(len(" ".join(lecture.items)) for lecture in shown), max(len(lecture.name) for lecture in shown)
    for letter, course in LECTURES.items():
        yield styled(f"{letter}  {course.title.en}", "bold")
        for lecture in shown:
            if lecture.items[0][0] == letter:
                is_made = (figures_folder() / lecture.name / FIGURE).is_file()
                time = "made" if is_made else format_seconds(lecture.seconds)
                items = " ".join(lecture.items).ljust(wide[0])
                line = f"   {items}  {lecture.name:<{wide[1]}}  {time:>8}  {lecture.title.en}"
                yield from fitted(line, 0, wide[0] + wide[1] + 17)
        yield ""
    yield "dlcourse lecture NAME makes one; dlcourse check compares all their numbers with known ones"


def _bind(options: argparse.Namespace, known: Mapping[str, Lecture]) -> int:
    """Write the book of the figures that are made; raises ConfigError for a place that is taken."""
    if options.book is None:
        raise ConfigError("--single needs a file: dlcourse lecture --book FILE.html --single")
    asked = lecture_plan.asked(options.words, known) if options.words else None
    path_to_read(options.book, "--book")
    path = user_path(options.book, "--book")
    if options.single and path.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--book {options.book} must end in .html with --single")
    if path.exists() and (options.single or not path.is_dir() or any(path.iterdir())):
        raise ConfigError(f"--book {options.book} exists already; name a new {'file' if options.single else 'folder'}")

    from dlcourse.lectures.book import book_of
    from dlcourse.pages import book as pages

    book = book_of(known.values() if asked is None else asked.lectures, figures_folder())
    if not book.pages:
        raise ConfigError(
            f"no figure is made in {figures_folder()}; write dlcourse lecture NAME first, or dlcourse check"
        )
    if options.single:
        write_named(path, "--book", pages.single(book, language_of(options.lang)))
    else:
        with output_errors(path):
            make_folders(path)
            for name, content in pages.site(book):
                write_new(path / name, content)
    Console().show("saved", f"{path if options.single else path / 'index.html'}: {counted(len(book.pages), 'figure')}")
    return 0


def plan(asked: lecture_plan.Asked, options: argparse.Namespace) -> list[PlannedFigure]:
    """The figures with everything they need, all of it checked; raises ConfigError."""
    load_session()  # before anything else imports torch, so that Ctrl-C ends the command even then
    return lecture_plan.planned(asked, figures_folder(), full=options.full, config_dir=options.config_dir)


def work(
    figures: Sequence[PlannedFigure],
    language: Language,
    told: Callable[[str, str], None],
    ended: Callable[[Ended], None],
) -> None:
    """Do the runs of these figures and draw them; `ended` is called with each. Raises StoppedError."""
    from dlcourse.lectures.drawing import draw

    runs = figures_folder() / RUNS
    with output_errors(runs):
        make_folders(runs)
    with Stop() as stop, stop.deferred(), RunFolder(runs).locked() as locked:
        for each in Work(figures, language, load_session(), draw, told).do(locked, stop):
            ended(each)
        stop.check()


def _make(asked: lecture_plan.Asked, language: Language, options: argparse.Namespace) -> int:
    """Make the figures, and say what each shows; the exit code is that of the first that could not be made."""
    from dlcourse.lectures.drawing import draw

    console = Console()
    figures = plan(asked, options)
    code = 0
    if options.draw:
        for figure in figures:
            draw(figure, language)
            _show(console, figure, language)
        return 0

    def ended(each: Ended) -> None:
        nonlocal code
        code = code or each.code
        if each.problem:
            console.say("failed", f"{each.figure.lecture.name}  {each.problem}")
        else:
            _show(console, each.figure, language)

    work(figures, language, console.say, ended)
    return code


def _show(console: Console, figure: PlannedFigure, language: Language) -> None:
    """Say what a figure that is drawn shows: its paragraph, its numbers beside their bands, and where it is."""
    from dlcourse.lectures.drawing import read_drawn

    drawn = read_drawn(figure.folder)
    lecture = figure.lecture
    print()
    console.rows([styled(f"{' '.join(lecture.items)}  {lecture.title[language]}", "bold")])
    console.rows([filled(lecture.text[language], drawn.numbers)])
    console.rows(drawn.content["lines"])
    print()
    rows = [
        [
            each.band.number,
            each.band.shown(each.value),
            each.band.known,
            each.band.source,
            "ok" if each.holds else "OUT",
        ]
        for each in drawn.checked
    ]
    print(*aligned([["number", "measured", "known", "source", ""], *rows], left=(0, 3, 4)), sep="\n")
    console.show("saved", f"{figure.folder}: {'  '.join(drawn.files)}")
