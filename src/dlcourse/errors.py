"""The errors a user can cause, each one line long, and the exit code each ends the command with."""


class UserError(Exception):
    """What went wrong, where, what is expected and what to type; shown without a traceback."""

    exit_code = 2


class ConfigError(UserError):
    """An option, name or combination of choices that cannot be used."""


class DataError(UserError):
    """Data files that are missing or damaged, or data that cannot be used as asked."""


class OutputError(UserError):
    """The run folder cannot be made or written."""

    exit_code = 3


class ResourceError(UserError):
    """The machine gave out: no memory left, a worker process killed."""

    exit_code = 3


class DivergedError(UserError):
    """The loss became NaN or infinite: the run cannot go on."""

    exit_code = 1
