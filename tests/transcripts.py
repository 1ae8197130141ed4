"""The commands that README.md and docs/ show with their output: run again, to be compared or written anew.

A block fenced as `console` has one command behind `$`, then what it prints. A comment on the line before the fence,
`<!-- lines 1-8, 12, 20- -->`, keeps these lines of it (`-2`: the last two), and `...` stands for each gap. The commands
of a page run in order in one new folder; a block fenced as `python title="FILE"` is a file there.

    scripts/docs refresh        write what the commands print now
"""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dlcourse.cli.main import main as dlcourse

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
ENVIRONMENT = {"NO_COLOR": "1", "COLUMNS": "80", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
_BLOCK = re.compile(
    r'(?:^<!-- lines (?P<lines>[-\d, ]+) -->\n)?^(?P<indent> *)```(?P<kind>console|python title="(?P<file>[^"\n]*)")\n'
    r"(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
_VARIABLE = (
    (re.compile(r"\d{4}-\d\d-\d\d_\d{6}-[0-9a-f]{4}"), "TIME"),
    (re.compile(r"most confused:.*"), "most confused"),
    (re.compile(r"\b(threads?|best)\b"), ""),
    (re.compile(r"\d[\d.,]*(e-?\d+)?"), "#"),
    (re.compile(r"-#"), "#"),
    (re.compile(r"##+"), "#"),
    (re.compile(r"(# (ms|s|min)\b ?)+"), "# s "),
    (re.compile(r"[ \t]+"), " "),
    (re.compile(r"-+"), "-"),
)
"""What differs from run to run, from machine to machine, and what takes its place in a comparison."""


@dataclass
class Transcript:
    """A command of a page, with what the page shows of its output and what it prints now."""

    command: str
    shown: str
    printed: str


def transcripts(page: Path, folder: Path) -> list[Transcript]:
    """The page's commands, each run now in the folder."""
    found = []
    for block in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        text = textwrap.dedent(block["text"])
        if block["file"]:
            (folder / block["file"]).write_text(text, encoding="utf-8")
            continue
        command, _, shown = text.partition("\n")
        assert command.startswith("$ "), f"{page.name}: a console block begins with '$ COMMAND', not '{command}'"
        printed = selected(output(command.removeprefix("$ "), folder), block["lines"])
        found.append(Transcript(command, shown, printed))
    return found


def written_anew(page: Path, folder: Path) -> str:
    """The page's text with what its commands print now, where that differs by more than numbers and times."""
    results = iter(transcripts(page, folder))

    def with_output(block: re.Match[str]) -> str:
        if block["file"]:
            return block[0]
        result, indent = next(results), block["indent"]
        if comparable(result.shown) == comparable(result.printed):
            return block[0]
        comment = f"<!-- lines {block['lines']} -->\n" if block["lines"] else ""
        inside = textwrap.indent(f"{result.command}\n{result.printed}", indent)
        return f"{comment}{indent}```console\n{inside}{indent}```"

    return _BLOCK.sub(with_output, page.read_text(encoding="utf-8"))


def write_anew(page: Path, folder: Path) -> bool:
    """Write the page anew where it is wrong; returns whether it was."""
    before, after = page.read_text(encoding="utf-8"), written_anew(page, folder)
    if after != before:
        page.write_text(after, encoding="utf-8")
    return after != before


def output(command: str, folder: Path) -> str:
    """What a command prints in the folder, on standard output and error; dlcourse runs in this process."""
    words = shlex.split(command)
    if words[0] != "dlcourse" or {"|", "&&"} & set(words):
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env={**os.environ, **ENVIRONMENT, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.stdout
    printed = io.StringIO()
    with _inside(folder), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        dlcourse(words[1:])
    return printed.getvalue()


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before, environment = Path.cwd(), dict(os.environ)
    os.chdir(folder)
    os.environ.update(ENVIRONMENT)
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(environment)


def selected(text: str, which: str | None) -> str:
    """The lines that `which` names, such as `1-8, -2`, and `...` for what is left out."""
    lines = [line.rstrip() for line in text.strip("\n").splitlines()]
    if which is None:
        return "".join(f"{line}\n" for line in lines)
    kept: set[int] = set()
    for words in which.split(", "):
        if words.startswith("-"):
            kept |= set(range(len(lines) - int(words[1:]), len(lines)))
        else:
            first, dash, last = words.partition("-")
            kept |= set(range(int(first) - 1, int(last or len(lines)) if dash else int(first)))
    shown, before = [], -1
    for number in sorted(kept & set(range(len(lines)))):
        shown += ["..."] * (number > before + 1)
        shown.append(lines[number])
        before = number
    shown += ["..."] * (before < len(lines) - 1)
    return "".join(f"{line}\n" for line in shown)


def comparable(text: str) -> str:
    """The text without what differs from run to run and from machine to machine: times, numbers, widths of columns."""
    for pattern, instead in _VARIABLE:
        text = pattern.sub(instead, text)
    return "\n".join(line.strip() for line in text.splitlines())


def main() -> None:
    """Write the named pages, by default all, with what their commands print now."""
    import notebooks

    os.environ.update(ENVIRONMENT)
    wanted = [Path(name).resolve() for name in sys.argv[1:]] or [*PAGES, *notebooks.NOTEBOOKS]
    for page in wanted:
        write = notebooks.write_anew if page.suffix == ".ipynb" else write_anew
        with tempfile.TemporaryDirectory() as folder:
            if write(page, Path(folder)):
                print(f"written: {page.relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()
