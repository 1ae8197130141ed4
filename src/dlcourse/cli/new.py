"""`dlcourse new KIND NAME`: files to start a model, a data set, a task or an experiment in the user's own folder."""

import shlex
from pathlib import Path

from dlcourse.config.options import suggestion
from dlcourse.console import Console
from dlcourse.errors import ConfigError
from dlcourse.plugins.beginnings import KINDS, beginning, write
from dlcourse.plugins.folder import TABLE
from dlcourse.plugins.named import FLAG, VARIABLE, named_paths, shown
from dlcourse.terminal import print_help

HELP = f"""\
dlcourse new KIND NAME --plugins DIR  start an entry of your own in folder DIR
  KIND is model, data or task         a module, its options (YAML), a test, and
                                      a line in {TABLE}
       or experiment                  a YAML file

With --plugins DIR, any command can use the entries in DIR and runs their code;
the environment variable {VARIABLE} does the same. No config, run or
sweep can name a folder.

For example:
  dlcourse new model bottleneck --plugins mine
  dlcourse train model=bottleneck data=digits --plugins mine
  pytest mine/tests
"""

_NEXT = {
    "model": "train model={name} data=digits",
    "data": "train data={name} model=mlp",
    "task": "train task={name} data=curve model=mlp",
    "experiment": "train experiment={name}",
}


def main(words: list[str]) -> int:
    """Run `dlcourse new` with these words; raises UserError."""
    if "--help" in words or "-h" in words:
        print_help(HELP)
        return 0
    kind, name = _kind_and_name(words)
    if not named_paths():
        raise ConfigError(f"no plug-in folder is given; write dlcourse new {kind} {name} {FLAG} DIR")
    folder = shown(Path(named_paths()[0]))
    files, line = beginning(folder, kind, name)
    write(folder, files, line)
    rows = [(str(file.path), file.meaning) for file in files] + [(str(folder / TABLE), "registers it")] * bool(line)
    width = max(len(path) for path, _ in rows)
    console = Console()
    for number, (path, meaning) in enumerate(rows):
        console.show("" if number else "wrote", f"{path:<{width}}  {meaning}")
    commands = [f"dlcourse {_NEXT[kind].format(name=name)} {FLAG} {shlex.quote(str(folder))}"]
    commands += [f"pytest {shlex.quote(str(folder / 'tests'))}"] * bool(line)
    for number, command in enumerate(commands):
        console.show("" if number else "next", command)
    return 0


def _kind_and_name(words: list[str]) -> tuple[str, str]:
    """The kind and the name of the new entry; raises ConfigError."""
    for word in words:
        if word.startswith("-"):
            raise ConfigError(f"unknown flag '{word}'{suggestion(word.partition('=')[0], (FLAG, '--help'))}")
    kind = words[0] if words else ""
    if kind not in KINDS:
        if kind:
            raise ConfigError(f"unknown kind '{kind}'{suggestion(kind, KINDS)}")
        raise ConfigError(f"KIND and NAME are missing; write dlcourse new model NAME {FLAG} DIR")
    if len(words) != 2:
        problem = f"'{words[2]}': expected one NAME" if len(words) > 2 else "NAME is missing"
        raise ConfigError(f"{problem}; write dlcourse new {kind} NAME {FLAG} DIR")
    return kind, words[1]
