"""A forked child whose every dangerous act is written down: foreign code, programs, sockets, writes outside its folder.

What Python does not report stays unseen: the `dir_fd` of `os.open`, whose path is judged as if it were of the working
folder, `os.mkfifo`, `os.mknod`, and what compiled code does by itself.
"""

import json
import os
import resource
import signal
import site
import sys
import sysconfig
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dlcourse

REPOSITORY = Path(__file__).resolve().parents[2]

_HOMES = tuple(
    f"{spelled}{os.sep}"
    for path in {
        *(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        *site.getsitepackages(),
        *(path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")),
        str(Path(dlcourse.__file__).parent),
        str(REPOSITORY / "src"),
    }
    for spelled in {os.path.abspath(path), os.path.realpath(path)}  # noqa: PTH100 - the links stay
)
"""Where code comes from that may run, as the folders are called and as what their links lead to."""

_PROGRAMS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "pty.spawn", "os.startfile")
_CHANGES: dict[str, tuple[tuple[int, int | None], ...]] = {
    "os.rename": ((0, 2), (1, 3)),  # os.replace too
    "os.link": ((0, 2), (1, 3)),
    "os.symlink": ((1, 2),),
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.mkdir": ((0, 2),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.utime": ((0, 3),),
    "os.truncate": ((0, None),),
    "os.setxattr": ((0, None),),
    "os.chdir": ((0, None),),
}
"""Which arguments of an event are paths that change, and which is the folder that each is relative to."""
_LOADED = ("LD_", "DYLD_", "PYTHON")
"""How variables of the environment begin that make programs load what they name."""
_WAITING = 6
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CIFAR_NAMES = ("_reconstruct", "ndarray", "dtype", "encode")


@dataclass(frozen=True)
class Seen:
    """How a child ended, what it printed, and the acts that it must not do; `code` is None where it hung or was killed."""

    code: int | None
    out: str
    err: str
    acts: tuple[str, ...]


class Watch:
    """An audit hook. `folder` is where the child may write."""

    def __init__(self, folder: Path) -> None:
        self.acts: list[str] = []
        self._is_on = self._is_hooked = False
        self.folder = folder
        self._busy: set[int] = set()

    def start(self) -> None:
        if not self._is_hooked:
            sys.addaudithook(self._hook)  # which Python keeps for good
        self._is_hooked = self._is_on = True

    @property
    def folder(self) -> Path:
        """Where may be written."""
        return Path(self._folder)

    @folder.setter
    def folder(self, folder: Path) -> None:
        self._folder = str(folder.resolve())

    @contextmanager
    def on(self) -> Iterator[list[str]]:
        """Watch within this; gives the list to which the acts are added."""
        self.acts = acts = []
        self.start()
        try:
            yield acts
        finally:
            self._is_on = False

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        thread = threading.get_ident()
        if not self._is_on or thread in self._busy:  # what judging does itself
            return
        self._busy.add(thread)
        try:
            act = self._judge(event, arguments)
        except Exception as error:
            act = f"{event} {arguments!r} cannot be judged: {error!r}"
        finally:  # also where a limit of time ends the case in here
            self._busy.discard(thread)
        if act:
            self.acts.append(act)

    def _judge(self, event: str, arguments: tuple[Any, ...]) -> str | None:
        if event == "exec":
            return _foreign_code(arguments[0])
        if event in _PROGRAMS:
            return f"{event} {arguments[:2]!r}"
        if event == "os.putenv":
            return f"sets {os.fsdecode(arguments[0])}" if os.fsdecode(arguments[0]).startswith(_LOADED) else None
        if event in ("socket.connect", "socket.getaddrinfo", "socket.bind"):
            return f"{event} {arguments[1:]!r}"
        if event == "pickle.find_class":
            return None if arguments[1] in _CIFAR_NAMES else f"unpickles {arguments[0]}.{arguments[1]}"
        if event == "ctypes.dlopen" and arguments[0]:
            return None if _is_at_home(str(arguments[0])) or "/" not in str(arguments[0]) else f"loads {arguments[0]}"
        if event == "open":
            path, mode, flags = arguments
            writes = bool((flags or 0) & _WRITING) or any(letter in str(mode or "") for letter in "wax+")
            return self._outside("open", path) if writes else None
        for path, folder in _CHANGES.get(event, ()):
            if act := self._outside(event, arguments[path], -1 if folder is None else arguments[folder]):
                return act
        return None

    def _outside(self, event: str, path: Any, folder: int = -1) -> str | None:
        """Where a path that changes is outside; `folder` is the descriptor that it is relative to, if any."""
        if isinstance(path, int) and event != "open":
            path = Path(f"/proc/self/fd/{path}").readlink()
        if not isinstance(path, str | bytes | os.PathLike):
            return None
        path = os.fsdecode(path)
        if folder >= 0:
            path = os.path.join(Path(f"/proc/self/fd/{folder}").readlink(), path)  # noqa: PTH118 - a/.. stays
        parent, name = os.path.split(path)
        follows = event in ("open", "os.chdir") or name in ("", ".", "..")
        place = os.path.realpath(path) if follows else f"{os.path.realpath(parent)}{os.sep}{name}"
        inside = place == os.devnull or place == self._folder or place.startswith(self._folder + os.sep)
        return None if inside else f"{event} outside: {place}"


def _foreign_code(code: Any) -> str | None:
    """Code from a file of nobody we know; text made into code is judged by who made it, as `dataclasses` does."""
    name = str(getattr(code, "co_filename", "?"))
    if name.startswith("<frozen") or _is_at_home(name):
        return None
    if name.startswith("<"):
        frame = sys._getframe(3)
        while frame is not None and frame.f_code.co_filename.startswith("<"):
            frame = frame.f_back  # type: ignore[assignment]
        if frame is not None and _is_at_home(frame.f_code.co_filename):
            return None
    return f"runs {name}"


def _is_at_home(path: str) -> bool:
    """Whether a file lies in a home, or a link in one leads to it: nobody but the owner can put links there."""
    return os.path.abspath(path).startswith(_HOMES) or os.path.realpath(path).startswith(_HOMES)  # noqa: PTH100


def watched(act: Callable[[], int], folder: Path, seconds: int = 20) -> Seen:
    """Run `act` in a forked child that works in `folder`, and see what it does; its value is the exit code.

    It is killed after so many `seconds` of the processor, and where it waits, after six times as many on the clock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    note = folder.parent / f"{folder.name}.seen"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # forking beside threads, which here only sleep
        pid = os.fork()
    if pid == 0:
        _child(act, folder, note, seconds)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    out, err = (Path(f"{note}.{name}").read_text(errors="replace") for name in ("out", "err"))
    acts = tuple(json.loads(note.read_text())) if note.exists() else ("ended without a word",)
    return Seen(code if code >= 0 else None, out, err, acts)


def _child(act: Callable[[], int], folder: Path, note: Path, seconds: int) -> None:
    code = 70
    watch = Watch(folder)
    try:
        os.chdir(folder)
        warnings.resetwarnings()  # as in a process of its own, not as in a test
        for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", kind)
        for descriptor, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{note}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
        sys.stdin = Path(os.devnull).open()  # noqa: SIM115 - for as long as the process
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        sys.dont_write_bytecode = True
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        signal.alarm(_WAITING * seconds)
        watch.start()
        code = act()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException as error:
        watch.acts.append(f"raises {type(error).__name__}: {str(error)[:200]}")
    finally:
        acts, watch.acts = watch.acts, []
        sys.stdout.flush()
        sys.stderr.flush()
        note.write_text(json.dumps(acts))
        os._exit(code)
