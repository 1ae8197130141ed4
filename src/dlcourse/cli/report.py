"""`dlcourse report RUN`: a finished run, or a sweep, as one HTML file to read, to print and to hand in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dlcourse.cli import config_files
from dlcourse.cli.run_words import read_words, require_done
from dlcourse.config.paths import conf_dir, path_to_read, user_path
from dlcourse.config.run_config import FolderConfig, RunConfig
from dlcourse.config.yaml_file import read_yaml
from dlcourse.errors import ConfigError, DataError
from dlcourse.files import make_folders, read_regular, write_new
from dlcourse.pages.folder import refuse_links
from dlcourse.pages.parts import About
from dlcourse.runs.find import find_finished, is_sweep
from dlcourse.runs.folder import WEIGHTS, is_in_use, output_errors
from dlcourse.runs.named_file import new_file, write_named
from dlcourse.runs.record import RunRecord, read_record
from dlcourse.runs.reopen import read_config, read_spec, stated_checksum
from dlcourse.runs.result import read_report
from dlcourse.terminal import escaped, print_help

HELP = """\
dlcourse report RUN         a run or a sweep as one HTML file; RUN is its folder, or one above (the newest in it)
  --title TEXT              a title in place of the run's name
  --author TEXT             who hands it in
  --notes FILE.md           your own text in Markdown, at the top
  --out FILE.html           this file in place of outputs/reports/NAME-TIME.html; never over one that is there

For example:
  dlcourse report outputs/mnist-cnn
  dlcourse report outputs/mnist-cnn --author "Ada L." --notes my_notes.md

Any browser shows and prints the file, without a network. The run stays as it
is, and the test set is not used again.
"""

REPORTS = "reports"
_FLAGS = ("--title", "--author", "--notes", "--out")
_LONGEST = 200
_MAX_NOTES_BYTES = 64 * 1024
_TIME = re.compile(r"\d{4}-\d\d-\d\d_\d{6}-[0-9a-f]{4}")
_LONGEST_NAME = 100


@dataclass(frozen=True)
class Request:
    """The run or sweep that is asked for, what the user adds, and the file to write, if one is named."""

    run: str
    about: About
    out: Path | None


def main(words: list[str]) -> int:
    """Write the page that the words behind `report` ask for; raises UserError."""
    if "--help" in words or "-h" in words:
        print_help(HELP)
        return 0
    request = _request(words)
    folder = find_finished(request.run)
    refuse_links(folder)
    if is_sweep(folder):
        name, content = _of_sweep(folder, request.about)
    else:
        name, content = _of_run(folder, request.about)
    path = _write(content, name, request.out)
    print(f"saved  {escaped(str(path), one_line=True)}")
    return 0


def _request(words: list[str]) -> Request:
    """What the words ask for; raises ConfigError and DataError."""
    given = read_words("report", words, _FLAGS)
    about = About(_line(given.title, "--title"), _line(given.author, "--author"), _notes(given.notes))
    return Request(given.run, about, None if given.out is None else new_file(given.out, "--out", ".html", ".htm"))


def _line(text: str | None, flag: str) -> str:
    """The text of a flag, which has to say something; raises ConfigError."""
    if text is None:
        return ""
    if not text.strip() or len(text) > _LONGEST:
        given = "nothing" if not text.strip() else f"{len(text)} characters"
        raise ConfigError(f"{flag} must be a text of 1 to {_LONGEST} characters, got {given}")
    return text.strip()


def _notes(text: str | None) -> str:
    """The content of the file that `--notes` names; raises ConfigError and DataError."""
    if text is None:
        return ""
    path = path_to_read(text, "--notes")
    if not path.is_file():
        problem = "is not a file" if path.exists() else "does not exist"
        raise ConfigError(f"--notes {text} {problem}; expected a text in Markdown, such as notes.md")
    if path.stat().st_size > _MAX_NOTES_BYTES:
        raise ConfigError(f"--notes {text} is too large for a page; the limit is {_MAX_NOTES_BYTES // 1024} KiB")
    try:
        return read_regular(path, _MAX_NOTES_BYTES).decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise DataError(f"--notes {text} is not UTF-8 (byte {error.start}); save it as UTF-8") from None


def _of_run(folder: Path, about: About) -> tuple[str, bytes]:
    """A name for the page of a run, and its content; raises UserError."""
    record = read_record(folder)
    require_done(record, "report")
    config, spec = read_config(folder), read_spec(folder)
    differs = differing(config)

    from dlcourse.cli.train import load_session

    load_session()
    from dlcourse.pages.examples import read_examples
    from dlcourse.pages.render import render_run
    from dlcourse.pages.run_page import run_page, training_size
    from dlcourse.runs.weights import read_tensors

    # A page of a run whose weights cannot be opened would promise too much.
    read_tensors(folder / WEIGHTS, stated_checksum(folder))
    examples = read_examples(config, spec, training_size(read_report(folder)))
    page = run_page(record, config, spec, differs, examples)
    return f"{record.name}-{_time_of(folder, record)}", render_run(page, about)


def _of_sweep(folder: Path, about: About) -> tuple[str, bytes]:
    """The same for a sweep."""
    from dlcourse.pages.render import render_sweep
    from dlcourse.pages.sweep_page import sweep_page
    from dlcourse.sweeps.plan import read_plan

    if is_in_use(folder):
        raise ConfigError(f"{folder} is still running; wait for it, or stop it and continue it with dlcourse resume")
    for run in read_plan(folder).runs:
        if (folder / run.folder).is_dir():
            refuse_links(folder / run.folder)
    return f"{folder.parent.name}-{folder.name}", render_sweep(sweep_page(folder), about)


def differing(config: RunConfig) -> list[tuple[str, str, str]]:
    """What of the config differs from that of the same model and data when nothing else is said: option, value, default."""
    from dlcourse.pages.differences import differences

    return differences(config.to_mapping(), _defaults(config), _usual(), _entry)


def _defaults(config: RunConfig) -> Mapping[str, Any]:
    """The config that `dlcourse train` composes for this model and these data, or at least for one of them or none."""
    from dlcourse.cli import hydra_guard
    from dlcourse.cli.hydra_overrides import parse

    known = {group: config_files.entries(group, [conf_dir()]) for group in ("data", "model")}
    words = [f"{group}={name}" for group, entries in known.items() if (name := getattr(config, group).name) in entries]
    composed = hydra_guard.compose(parse(words), [conf_dir()])
    return hydra_guard.run_config(composed).to_mapping()


def _usual() -> dict[str, str]:
    """The entry of each group when nothing is chosen."""
    choices = read_yaml(conf_dir() / "config.yaml")["defaults"]
    return {group: str(name) for choice in choices if isinstance(choice, dict) for group, name in choice.items()}


def _entry(group: str, name: str) -> Mapping[str, Any]:
    """All options of an entry; none for one of the user's own, whose file may be anywhere."""
    known = config_files.entries(group, [conf_dir()])
    return config_files.all_options(known[name]) if name in known else {}


def _time_of(folder: Path, record: RunRecord) -> str:
    """What tells the pages of runs of one name apart: the time in the name of the folder, or else when it began."""
    if _TIME.fullmatch(folder.name):
        return folder.name
    if _TIME.fullmatch(folder.parent.name):  # a run of a sweep
        return f"{folder.parent.name}-{folder.name}"
    return f"{datetime.fromtimestamp(record.started):%Y-%m-%d_%H%M%S}"


def _write(content: bytes, name: str, out: Path | None) -> Path:
    """Write the page under a name that nobody had, and return it."""
    if out is not None:
        write_named(out, "--out", content)
        return out
    folder = user_path(FolderConfig.root, "run.root") / REPORTS
    plain = re.sub(r"[^\w.,=+-]+", "_", name)[:_LONGEST_NAME].lstrip(".") or "report"
    with output_errors(folder):
        make_folders(folder)
        number = 1
        while True:
            path = folder / (f"{plain}.html" if number == 1 else f"{plain}-{number}.html")
            try:
                write_new(path, content)
            except FileExistsError:
                number += 1
            else:
                return path
