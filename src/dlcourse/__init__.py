"""dlcourse: a command-line lab bench for learning deep learning; from Python, `train`, `load` and `runs`.

Nothing is imported before it is used, so that the command and `import dlcourse` answer at once.
"""

TYPE_CHECKING = False  # type checkers take it for true; typing itself stays unimported, whoever starts the command
if TYPE_CHECKING:
    from dlcourse.api.run import Run, load
    from dlcourse.api.train import train
    from dlcourse.errors import UserError
    from dlcourse.runs.listing import list_runs as runs

__version__ = "0.1.0"
__all__ = ["Run", "UserError", "__version__", "load", "runs", "train"]

_HOMES = {
    "Run": "dlcourse.api.run",
    "UserError": "dlcourse.errors",
    "load": "dlcourse.api.run",
    "runs": "dlcourse.runs",  # the package itself, which can be called
    "train": "dlcourse.api.train",
}
"""The module of each name that is imported when it is first used."""


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if not TYPE_CHECKING:  # for which every other name is a mistake

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'dlcourse' has no attribute '{name}'")
        import importlib

        module = importlib.import_module(_HOMES[name])
        return module if name == "runs" else getattr(module, name)
