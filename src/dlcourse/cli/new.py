"""`dlcourse new KIND NAME`: files to begin a model, a data set, a task or an experiment in a folder of the user's."""

import shlex
from pathlib import Path

from dlcourse.config.options import suggestion
from dlcourse.errors import ConfigError
from dlcourse.plugins.beginnings import KINDS, beginning, write
from dlcourse.plugins.folder import TABLE
from dlcourse.plugins.named import FLAG, VARIABLE, named_paths, shown
from dlcourse.terminal import escaped, print_help

HELP = f"""\
dlcourse new KIND NAME --plugins DIR   files to begin an entry of your own in DIR, which is made if it does not exist
  KIND is model, data or task          a module, its options (YAML), a line in {TABLE}, and a test
       or experiment                   a YAML file

--plugins DIR behind any command lets it use the entries in DIR, whose code
then runs; the environment variable {VARIABLE} does the same. Nothing
else names a folder: no config, no run and no sweep.

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
    """Write the files that the words behind `new` ask for; raises UserError."""
    if "--help" in words or "-h" in words:
        print_help(HELP)
        return 0
    kind, name = _kind_and_name(words)
    if not named_paths():
        raise ConfigError(f"the folder is missing; write dlcourse new {kind} {name} {FLAG} DIR")
    folder = shown(Path(named_paths()[0]))
    files, line = beginning(folder, kind, name)
    write(folder, files, line)
    rows = [(str(file.path), file.meaning) for file in files] + [(str(folder / TABLE), "its line")] * bool(line)
    width = max(len(path) for path, _ in rows)
    for number, (path, meaning) in enumerate(rows):
        label = "wrote" if number == 0 else ""
        print(f"{label:<6} {escaped(f'{path:<{width}}', one_line=True)}  {meaning}")
    commands = [f"dlcourse {_NEXT[kind].format(name=name)} {FLAG} {shlex.quote(str(folder))}"]
    commands += [f"pytest {shlex.quote(str(folder / 'tests'))}"] * bool(line)
    for number, command in enumerate(commands):
        print(f"{'next' if number == 0 else '':<6} {escaped(command, one_line=True)}")
    return 0


def _kind_and_name(words: list[str]) -> tuple[str, str]:
    """What is to be begun; raises ConfigError."""
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
