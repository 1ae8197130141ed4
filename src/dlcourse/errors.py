"""The errors a user can cause, each one line long, and the exit code each ends the command with."""

from typing import Literal


class UserError(Exception):
    """What went wrong, where, what is expected and what to type; shown without a traceback."""

    exit_code = 2


class ConfigError(UserError):
    """An option, name or combination of choices that cannot be used."""


Need = Literal["images", "images or points", "pixels", "classes", "values", "games", "matches"]
"""What a model or a task may miss in the data."""


class MisfitError(ConfigError):
    """Data that a model or a task cannot take, of which whoever knows the data set can say what to do about it.

    `needs` is what the data lack, `otherwise` what else to use in place of the model or the task, and `side` how many
    pixels wide and high images have to be.
    """

    def __init__(self, problem: str, *, needs: Need, otherwise: str = "", side: int = 0) -> None:
        super().__init__(f"{problem}; write {otherwise}" if otherwise else problem)
        self.problem = problem
        self.needs = needs
        self.otherwise = otherwise
        self.side = side


class DataError(UserError):
    """Data files that are missing or damaged, or data that cannot be used as asked."""


class MissingDataError(DataError):
    """Data files that are not there, and cannot be downloaded."""


class OutputError(UserError):
    """The run folder cannot be made or written."""

    exit_code = 3


class ResourceError(UserError):
    """A system error: out of memory, a worker process killed."""

    exit_code = 3


class DivergedError(UserError):
    """The loss became NaN or infinite: the training cannot continue.

    `in_first_step`: before the weights had changed, or almost.
    """

    exit_code = 1

    def __init__(self, message: str, *, in_first_step: bool = False) -> None:
        super().__init__(message)
        self.in_first_step = in_first_step


class FaultError(UserError):
    """A fault of the training that `debug` has found, by its name."""

    exit_code = 1


_OUT_OF_MEMORY = (
    "out of memory",  # CUDA
    "can't allocate memory",  # torch
    "not enough memory",
    "bad_alloc",  # C++
    "can't start new thread",  # Python
    "failed to map segment",  # the dynamic linker: a library of an import found no room
    "cannot allocate memory",  # the C library, for ENOMEM
)


def first_line(error: BaseException) -> str:
    """What an error of a library says in its first line that is not blank; its type if it says nothing."""
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)


WORKER_LOST = "a process that reads images was killed, probably out of memory; write data.workers=0 to read without it"


def is_worker_lost(error: BaseException) -> bool:
    """Whether a process of a DataLoader has died, of which torch tells by RuntimeError wherever the program is."""
    return isinstance(error, RuntimeError) and "DataLoader worker" in str(error)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the system had no memory left, whoever noticed and however it says so: torch raises RuntimeError."""
    if isinstance(error, UserError) or not isinstance(error, MemoryError | RuntimeError | ImportError | OSError):
        return False
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in _OUT_OF_MEMORY)
