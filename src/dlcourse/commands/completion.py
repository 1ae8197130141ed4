"""Tab completion: Hydra completes what stands behind `train`; the verbs and the words of `list` are completed here.

A shell's completion script calls `dlcourse -sc query=SHELL` with the line so far in the environment variable COMP_LINE.
"""

import contextlib
import io
import os
from itertools import pairwise

from dlcourse.commands import config_files


def main(words: list[str], verbs: list[str]) -> int:
    """Answer a query, or print the script that installs or uninstalls completion."""
    if not any(word.startswith("query=") for word in words):
        return _hydra(words)
    line = os.environ.get("COMP_LINE", "")
    before = line.split()[1:] if line.endswith(" ") else line.split()[1:-1]
    if not before:
        print("\n".join(verb for verb in verbs if _continues(verb, line)))
    elif before[0] == "train":
        # Hydra knows no verbs: it is shown the line without ours.
        os.environ["COMP_LINE"] = "dlcourse " + " ".join([*before[1:], "" if line.endswith(" ") else line.split()[-1]])
        _query_hydra(words, before)
    elif before[0] == "list":
        names = [name for group in config_files.GROUPS for name in (group, *_entries(group))]
        print("\n".join(dict.fromkeys(name for name in names if _continues(name, line))))
    return 0


def _continues(name: str, line: str) -> bool:
    return line.endswith(" ") or name.startswith(line.split()[-1])


def _entries(group: str) -> list[str]:
    return list(config_files.entries(group, config_files.folders(None)))


def _query_hydra(words: list[str], before: list[str]) -> None:
    """Half-typed lines are not errors: where Hydra cannot read one, there is nothing to propose."""
    own_folder = [word for flag, word in pairwise(before) if flag in ("--config-dir", "-cd")][:1]
    with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(Exception, SystemExit):
        _hydra([*words, *(f"--config-dir={folder}" for folder in own_folder)])


def _hydra(words: list[str]) -> int:
    from dlcourse.commands import hydra_app

    hydra_app.main(["-sc", *words])
    return 0
