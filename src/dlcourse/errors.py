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
    """The loss became NaN or infinite: the run cannot go on. `in_first_step`: before the weights had changed, or almost."""

    exit_code = 1

    def __init__(self, message: str, *, in_first_step: bool = False) -> None:
        super().__init__(message)
        self.in_first_step = in_first_step
