"""How an error is told: one line, the traceback only if it was asked for."""

import contextlib
import errno
import os
import re
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from dlcourse.errors import ConfigError, OutputError, ResourceError, UserError, is_out_of_memory
from dlcourse.terminal import styled

TRACEBACK_VARIABLE = "DLCOURSE_TRACEBACK"
PLUGIN_MODULES = "dlcourse_plugins"
"""How the names of modules of plug-in folders begin."""

_REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE)
"""What the system answers when it has no more of something, whatever is asked for: no defect of ours."""


def report(error: Exception) -> int:
    """Print one line for an error on stderr, after the traceback where DLCOURSE_TRACEBACK=1; return the exit code.

    The code stays what it is if stderr takes no line, as on a full disk.
    """
    told = _as_user_error(error)
    kind, colon, text = error_line(error).partition(":")
    with contextlib.suppress(OSError, ValueError):
        if os.environ.get(TRACEBACK_VARIABLE) == "1":
            traceback.print_exception(error)
        print(f"dlcourse: {styled(kind + colon, 'bold', 'red', stream=sys.stderr)}{text}", file=sys.stderr, flush=True)
    return told.exit_code if isinstance(told, UserError) else 1


def error_line(error: Exception) -> str:
    """`error: ...` for what a user can mend, `plug-in error: ...` for a defect of a plug-in, else `internal error: ...`."""
    told = _as_user_error(error)
    text = " ".join(str(told).split("\n"))
    plugin = plugin_line(error) or (plugin_line(error.__cause__) if error.__cause__ else "")
    if isinstance(told, UserError):
        return f"error: {text}" + (f" ({plugin})" if error.__cause__ and plugin and plugin not in text else "")
    if plugin:
        return f"plug-in error: {plugin}: {type(error).__name__}: {text}; run again with --traceback to see all calls"
    where = [*getattr(error, "__notes__", []), "run again with --traceback to see where it comes from"][0]
    return f"internal error: {type(error).__name__}: {text}; {where}"


def plugin_line(error: BaseException) -> str:
    """`mine/models/bottleneck.py line 22`: the last line of a plug-in on the way to an error; empty if there is none."""
    found, trace = "", error.__traceback__
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__")).startswith(f"{PLUGIN_MODULES}."):
            found = f"{trace.tb_frame.f_code.co_filename} line {trace.tb_lineno}"
        trace = trace.tb_next
    return found


def flag_error(verb: str) -> Callable[[str], NoReturn]:
    """What takes the place of an argparse parser's `error`: its complaint about the flags of a verb as ConfigError."""

    def refuse(message: str) -> NoReturn:
        complaint = re.sub(r"argument ([\w-]+)\S*: expected one argument", r"\1 needs a value", message)
        raise ConfigError(f"{complaint}; write dlcourse {verb} --help to see all flags")

    return refuse


def _as_user_error(error: Exception) -> Exception:
    """A system error that came through as it was, as one of ours with its exit code; others as they are."""
    if is_out_of_memory(error):
        reason = f" ({str(error).splitlines()[0]})" if str(error) else ""
        return ResourceError(f"out of memory{reason}; close other programs, or raise the limit that ulimit -v shows")
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        place = f" {error.filename}" if error.filename else ""
        return OutputError(f"the system refuses to read or write{place}: {(error.strerror or str(error)).lower()}")
    return error
