"""How an error is told: one line, the traceback only where it was asked for."""

import os
import sys
import traceback

from dlcourse.errors import UserError

TRACEBACK_VARIABLE = "DLCOURSE_TRACEBACK"


def report(error: Exception) -> int:
    """Print one line for an error on stderr, after the traceback where DLCOURSE_TRACEBACK=1; return the exit code."""
    if os.environ.get(TRACEBACK_VARIABLE) == "1":
        traceback.print_exception(error)
    print(f"dlcourse: {error_line(error)}", file=sys.stderr, flush=True)
    return error.exit_code if isinstance(error, UserError) else 1


def error_line(error: Exception) -> str:
    """`error: ...` for what a user can mend, `internal error: ...` for a defect of dlcourse."""
    text = " ".join(str(error).splitlines())
    if isinstance(error, UserError):
        return f"error: {text}"
    where = [*getattr(error, "__notes__", []), "run again with --traceback to see where it comes from"][0]
    return f"internal error: {type(error).__name__}: {text}; {where}"
