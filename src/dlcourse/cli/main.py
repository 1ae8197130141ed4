"""The `dlcourse` command: its verbs, and errors turned into one line and an exit code.

Nothing heavy is imported before the verb is known, so that help, listings and completion answer at once.
"""

import contextlib
import importlib
import os
import sys
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import NoReturn

from dlcourse import terminal
from dlcourse.config.options import suggestion
from dlcourse.error_line import TRACEBACK_VARIABLE, report
from dlcourse.errors import ConfigError
from dlcourse.plugins import named
from dlcourse.signals import end_quietly


@dataclass(frozen=True)
class Verb:
    """What a verb takes and does, in the words of the help page, and the module in this package whose `main` runs it."""

    module: str
    takes: tuple[str, ...]
    does: tuple[str, ...]
    is_listed: bool = True
    """Whether the help page has it; one that another verb has taken in works as before."""


VERBS: dict[str, Verb] = {
    "train": Verb(
        module="train",
        takes=("[GROUP=NAME ...]", "[OPTION=VALUE ...]"),
        does=("train a model, measure it on held-out data;", "the options are in dlcourse list"),
    ),
    "resume": Verb("resume", ("RUN",), ("continue a run that was stopped or cut short",)),
    "lr_find": Verb("lr_find", ("[GROUP=NAME ...]",), ("a learning rate, from a range test",)),
    "evaluate": Verb("evaluate", ("RUN ...",), ("measure finished runs again",)),
    "predict": Verb("predict", ("RUN FILE ...",), ("what a finished run says to new data",)),
    "sample": Verb("sample", ("RUN",), ("images or text from a generative model",)),
    "export": Verb("export", ("RUN --to FORMAT",), ("a model for use without dlcourse",)),
    "rerun": Verb("rerun", ("RUN",), ("train a run's config again, in a new folder",)),
    "verify": Verb("verify", ("RUN [OTHER]",), ("is a run bit-equal when trained again?",)),
    "runs": Verb("runs", ("[FOLDER]",), ("all runs below a folder, as a table",)),
    "compare": Verb("compare", ("RUN RUN ...",), ("is one run better, or is it chance?",)),
    "report": Verb("report", ("RUN",), ("a run or a sweep as one HTML file",)),
    "tensorboard": Verb("tensorboard", ("[RUN ...]",), ("show runs in the browser",)),
    "lecture": Verb("lecture", ("[NAME | ITEM]",), ("the figures of the lectures",)),
    "check": Verb("check", ("[NAME ...]",), ("the numbers of the lectures and known ones",)),
    "summary": Verb(
        module="summary",
        takes=("[GROUP=NAME ...]", "[OPTION=VALUE ...]"),
        does=("layers, parameters, FLOPs and memory", "of a model, before it is trained"),
    ),
    "list": Verb("list_entries", ("[GROUP | NAME]",), ("the models, data sets, ... and their options",)),
    "data": Verb("data", ("list | show ...",), ("look at data sets, check and add your own",)),
    "new": Verb("new", ("KIND NAME",), ("start a model, data set or task of your own",)),
    "doctor": Verb("doctor", ("",), ("what is wrong with this installation",)),
    "count": Verb("count", ("[NAME]",), ("count the parameters of GPT-1, GPT-2, ...",), is_listed=False),
}
"""The verbs, in the order of the help page."""


def _listed(name: str, verb: Verb) -> str:
    left = [f"dlcourse {name} {verb.takes[0]}", *(" " * len(f"dlcourse {name} ") + more for more in verb.takes[1:])]
    return "".join(f"  {taken:<33} {does}\n" for taken, does in zip_longest(left, verb.does, fillvalue=""))


HELP = f"""\
dlcourse: a command-line lab bench for learning deep learning

{"".join(_listed(name, verb) for name, verb in VERBS.items() if verb.is_listed)}
Examples:
  dlcourse train                    a small network on digits
  dlcourse train model=cnn data=mnist trainer.epochs=3
  dlcourse train -m model=mlp,cnn optimizer.lr=0.1,0.01
  dlcourse summary model=cnn data=mnist
  dlcourse list optimizers

Flags:
  --help        also behind a verb
  --version
  --traceback   the whole traceback with an error
  --plugins DIR your own models, data sets and tasks; see dlcourse new --help

Tab completion: eval "$(dlcourse train -sc install=bash)"
Exit codes:
  0    done
  1    a run failed
  2    bad input, nothing was done
  3    disk, permission or memory
  4    some runs of a sweep failed
  130  Ctrl-C, 143 SIGTERM: saved; dlcourse resume continues
"""

_COMPLETION_FLAGS = ("-sc", "--shell-completion")


def command() -> NoReturn:
    """The program: run its command line and end at once.

    All files are closed by now, and Python would take a second more to take torch's modules apart.
    """
    end_quietly()
    _open_standard_streams()
    _leave_removed_folder()
    code = main()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # closed by whoever read it
            stream.flush()
    os._exit(code)


def _open_standard_streams() -> None:
    """Streams that whoever started this has closed, so that no file of ours takes their place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - open to the end


def _leave_removed_folder() -> None:
    """Where the working folder was removed, which Hydra and MKL fail over, go where nothing is written by mistake."""
    try:
        Path.cwd()
    except FileNotFoundError:
        os.chdir("/proc" if Path("/proc").is_dir() else "/")


def main(arguments: list[str] | None = None) -> int:
    """Run one command line, by default the program's own, and return its exit code."""
    with terminal.guarded():
        return _run(list(sys.argv[1:] if arguments is None else arguments))


def _run(words: list[str]) -> int:
    if "--traceback" in words:
        os.environ[TRACEBACK_VARIABLE] = "1"
    try:
        plugins, words = named.taken_out([word for word in words if word != "--traceback"])
        with named.naming(plugins):
            code = _dispatch(words)
        sys.stdout.flush()
    except SystemExit as stop:  # argparse and Hydra end their help and listings this way
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough; Python must not flush to it again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return report(error)
    return code


def _dispatch(words: list[str]) -> int:
    if not words:
        terminal.print_help(HELP, sys.stderr)
        return 2
    first, *rest = words
    if first in ("--help", "-h", "help"):
        terminal.print_help(HELP)
        return 0
    if first == "--version":
        from dlcourse import __version__

        print(f"dlcourse {__version__}")
        return 0
    if first in _COMPLETION_FLAGS:
        from dlcourse.cli import completion

        return completion.main(rest, [name for name, verb in VERBS.items() if verb.is_listed])
    name = first.replace("-", "_")  # lr-find
    if name not in VERBS:
        raise ConfigError(f"unknown command '{first}'{_meant(first)}")
    if name != "new":  # it creates them
        named.named_folders()  # also for a verb that needs none: a folder that cannot be used is an error at once
    module = importlib.import_module(f"dlcourse.cli.{VERBS[name].module}")
    return int(module.main(rest))


def _meant(word: str) -> str:
    """The verb that was meant, or that `train` was left out before a choice or the name of an entry."""
    from dlcourse.cli.config_files import as_choice

    choice = word if "=" in word else as_choice(word)
    return f"; write dlcourse train {choice} ..." if choice else suggestion(word, VERBS, kind="command")
