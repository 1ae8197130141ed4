"""Goal S2: command lines and config files of any shape are accepted or refused in one line, quickly, and nothing else.

Everything runs in process up to where training would start; a stand-in takes the place of `dlcourse.training.session`.
"""

import contextlib
import functools
import io
import os
import platform
import random
import re
import shutil
import signal
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import yaml

from dlcourse.cli.main import main
from dlcourse.config.paths import conf_dir
from dlcourse.config.run_config import RunConfig
from dlcourse.errors import ConfigError
from dlcourse.sweeps.grid import SOME_FAILED
from torture.outcome import Outcome
from torture.watching import Watch

Main = Callable[[list[str]], int]

_SECONDS, _WAITING = 5, 12
_MOST_LINES = 3
_ENOUGH = 100
"""Of so many cases, some must have been accepted."""

_KEYS = (
    "seed", "run.root", "run.dir", "init_from", "init_skip", "freeze", "resume", "trainer.epochs", "trainer.batch_size",
    "trainer.patience", "trainer.checkpoint.steps", "trainer.checkpoint", "trainer", "model", "model.hidden", "data",
    "data.subset", "data.root", "optimizer", "optimizer.lr", "scheduler", "features", "task", "device",
    "device.threads", "report",
    "experiment", "hydra.run.dir", "hydra/launcher", "hydra.verbose", "hydra.job.name", "hydra.callbacks.x", "hydra",
    "hydra.launcher.n_jobs", "hydra.sweeper.x", "hydra/sweeper", "hydra.sweeper.trials", "hydra.sweeper.method",
    "hydra.sweeper.metric", "hydra.launcher.time", "hydra.launcher.setup", "run.tags",
    "model@model", "optimizer@hydra", "defaults", "_target_",
    "model._target_",
)  # fmt: skip
_VALUES = (
    "", "1", "0", "-1", "1e-3", "1e400", "nan", ".inf", "-inf", "0x1F", "0o17", "017", "1_000", "on", "yes", "null",
    "~", "true",
    "2026-11-21", "12:30:45", "mlp", "cnn", "digits", "moons", "adam", "cpu", "auto", "default", "linreg_line", "none",
    "[1,2]", "[1,[2,[3]]]", "{a:1}", "{a:{b:[1]}}", "[]", "{}", "'a b'", '"a"', "a b", "'it''s'", r"'it\'s'", "a=b",
    "a,b", "search", "slurm", "tpe", "tag(log,interval(1e-3,1))", "interval(1,0)",
    "1,2,3", "choice(1,2)", "range(1,5)", "range(5,1)", "range(0,1e9)", "range(1,5,0)", "interval(0,1)", "glob(*)",
    "glob([*,a*],exclude=b*)", "sort(1,2,reverse=true)", "shuffle(1,2,3)", "tag(a,b,choice(1,2))", "int(3.5)", "str(1)",
    "bool(x)", "json_str(1)", "extend_list(1,2)", "${seed}", "${nope}", "${model.name}", "${run.root}", "${.x}",
    "${..seed}",
    "${oc.env:HOME}", "${oc.env:NOPE,x}", "${oc.decode:1}", "${oc.create:{a:1}}", "${oc.select:seed}",
    "${oc.dict.keys:model}",
    "${hydra:runtime.cwd}", "${now:%Y}", "${${seed}}", "${", "$", "${a", "${seed}${seed}", "???",
    "!!python/name:os.system",
    "é", "学生", "😀", "\u202e", "\ufeff", "\u2028", "a\tb", "a\nb", "\0", "\x1b[31m", "\x7f", "\ud800", "%s%n", "{0}",
    "\\", "\\'",
    "#", "a#b", "?", "*", "&a", "*a", "@", "`", "|", ">",
    "9" * 30, "9" * 400, "9" * 5000, "a" * 5000, "[" * 60, "[" * 1500,
    "(" * 1500, "{" * 900, "'" * 301, "[a" * 400 + "]" * 400, ",".join(["1"] * 10), "${" * 300, "choice(" * 200, "\\" * 500,
)  # fmt: skip
_FLAGS = (
    "-m", "--multirun", "--cfg", "--cfg=job", "--cfg=hydra", "--resolve", "--info", "--info=config",
    "--package=trainer",
    "--run", "--help", "--hydra-help", "--version", "-sc", "--config-dir", "--config-name=x", "-cp=.", "--epochs",
    "-x", "--", "-",
    "--experimental-rerun=x", "--traceback=", "-c", "job", "all", "-p",
)  # fmt: skip
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_CHARACTERS = "abxyz_019 .,:;=+-~!@#$%^&*()[]{}<>?/\\|'\"`\t\n\0\x1b\x7fé学😀\u202e\ufeff\u2028\ud800"


class Generator:
    """Nasty words and files from a seeded source."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def words(self) -> list[str]:
        """The words behind `dlcourse`."""
        verb = self.random.choices(
            ("train", "resume", "sample", "count", "list", "?"), weights=(90, 3, 3, 2, 2, 1)
        )[0]  # fmt: skip
        if verb == "train":
            words = [
                self._override() for _ in range(self.random.choices((0, 1, 2, 3, 6), weights=(2, 50, 30, 12, 6))[0])
            ]
            if self.random.random() < 0.1:
                words.insert(0, "-m")
            if self.random.random() < 0.1:
                words.insert(self.random.randint(0, len(words)), self.random.choice(_FLAGS))
            return ["train", *words]
        if verb == "?":
            return [self._mutated(self.random.choice(("train", "seed=1", "--help", "list", "-sc")))]
        options = (
            "--count",
            "--seed",
            "--prompt",
            "--out",
            "--label",
            "--steps",
            "--help",
            "--temperature",
            "nowhere",
            ".",
        )
        words = [
            self.random.choice((self._value(), self.random.choice(options), "gpt2", "models", self._override()))
            for _ in range(3)
        ]
        return [verb, *words[: self.random.randint(0, 3)]]

    def _override(self) -> str:
        text = f"{self._key()}={self._value()}"
        return self._mutated(text) if self.random.random() < 0.3 else text

    def _key(self) -> str:
        key = self.random.choice(_KEYS)
        prefix = self.random.choices(("", "+", "++", "~", "+++", "~~"), weights=(80, 8, 4, 6, 1, 1))[0]
        if self.random.random() < 0.1:
            key = self._mutated(key)
        return prefix + key

    def _value(self) -> str:
        value = self.random.choice(_VALUES)
        for _ in range(self.random.choices((0, 1, 2), weights=(70, 20, 10))[0]):
            other = self.random.choice(_VALUES)
            form = self.random.choice(
                ("{0}{1}", "{0},{1}", "[{0},{1}]", "{{{0}:{1}}}", "choice({0},{1})", "'{0}'", "${{{0}}}", "f({0})")
            )
            value = form.format(value, other)
        return value

    def _mutated(self, text: str) -> str:
        for _ in range(self.random.randint(1, 3)):
            place = self.random.randint(0, len(text))
            what = self.random.randrange(5)
            if what == 0:
                text = text[:place] + self.random.choice(_CHARACTERS) + text[place:]
            elif what == 1:
                text = text[:place] + text[place + 1 :]
            elif what == 2:
                text = text[:place] + text[place:][::-1]
            elif what == 3:
                text = text[:place] * 2 + text[place:]
            else:
                text = text[:place] + self.random.choice(_VALUES) + text[place:]
        return text

    def file(self) -> bytes:
        """A config file: a real one or a made up one, then damaged more or less."""
        text = self._real() if self.random.random() < 0.5 else self._made_up()
        if self.random.random() < 0.5:
            text = self._mutated(text)
        content = text.encode("utf-8", "surrogatepass")
        damage = self.random.random()
        if damage < 0.05:
            content = b"\xef\xbb\xbf" + content
        elif damage < 0.08:
            content = text.encode("utf-16", "surrogatepass")
        elif damage < 0.12:
            place = self.random.randint(0, len(content))
            content = content[:place] + self.random.randbytes(3) + content[place:]
        elif damage < 0.14:
            content = content.replace(b"\n", b"\r\n")
        return content

    def _real(self) -> str:
        text = self.random.choice(_REAL)
        lines = text.splitlines()
        for _ in range(self.random.randint(0, 3)):
            number = self.random.randrange(len(lines))
            what = self.random.randrange(4)
            if what == 0:
                lines[number] = lines[number].partition(":")[0] + ": " + self._yaml_value()
            elif what == 1:
                lines.insert(number, self._yaml_line(0))
            elif what == 2:
                lines.insert(number, lines[number])
            else:
                lines[number] = self.random.choice(("\t", " ", "  ", "- ")) + lines[number]
        return "\n".join(lines) + "\n"

    def _made_up(self) -> str:
        head = self.random.choice(
            ("", "", "# @package _global_\n", "# @package hydra\n", "# @package x.y\n", "%YAML 1.1\n---\n", "---\n")
        )
        return head + "".join(self._yaml_line(0) + "\n" for _ in range(self.random.randint(0, 6)))

    def _yaml_line(self, depth: int) -> str:
        key = self.random.choice((*_YAML_KEYS, *_KEYS[:12]))
        if depth < 3 and self.random.random() < 0.3:
            inside = "\n".join(
                "  " * (depth + 1) + self._yaml_line(depth + 1) for _ in range(self.random.randint(1, 3))
            )
            return f"{key}:\n{inside}"
        return f"{key}: {self._yaml_value()}"

    def _yaml_value(self) -> str:
        return self.random.choice((*_YAML_VALUES, self._value()))


_YAML_KEYS = (
    "name", "defaults", "hidden", "_target_", "_partial_", "hydra", "model", "data", "trainer", "<<", "?", "on", "1",
    "1.5",
    "null", "true", "~", "2026-11-21", "[a, b]", "{a: b}", "'a'", "? a\n: b", "- a", "é", ".nan", "0o7", "!!str a",
    "${seed}",
    "a.b", "a/b", "@x", "*a", "&a b", "''",
)  # fmt: skip
_YAML_VALUES = (
    "|\n  text\n  more", ">-\n  folded", "&a 1", "*a", "&a [*a]", "!!binary aGk=", "!!set {a, b}", "!!omap [a: 1]",
    "!!pairs [a: 1]",
    "!!timestamp 2026-11-21", "!!int 3", "!!float 3", "!!null x", "!!python/object/apply:os.system [x]", "!x 1",
    "!<tag:x> 1",
    "1_000", "on", "off", "yes", "No", "0o17", "017", "0b11", "1:30", "190:20:30", ".inf", "-.INF", ".nan", "+1",
    "1.", ".5", "1e3", "1e",
    "2026-11-21", "2026-11-21 10:00:00Z", "2026-13-45", "0000-00-00", "=", "<<", "? x", "- x", "[a, b", "{a: b",
    "[a]]", "'open", '"\\x41"', '"\\ud800"',
    '"\\q"', "%x", "@x", "`x", "a: b", "a #b", "#b", "\tx", "[override /model: mlp]", "[override /model: nope]",
    "[/model: mlp]",
    "[override /data: moons, _self_]", "[evil]", "[_self_]", "[../x]", "{a: 1}", "[{a: 1, b: 2}]", "[[x]]", "5",
    "[override /hydra/launcher: basic]",
    "[override /model@_global_.model: mlp]", "[override /model: [mlp, cnn]]", "[override /model: null]",
    "[optional /model: nope]", "[override /${seed}: mlp]",
    "[" * 25 + "]" * 25, "9" * 4301, "x" * 20_000, "${name}", "${.name}", "${evil}", "${model}", "${oc.env:HOME}",
    "${now:%Y}",
)  # fmt: skip
_REAL = [path.read_text() for path in sorted(conf_dir().glob("*/*.yaml"))]


def check_entries(config: RunConfig) -> None:
    """A stand-in that refuses what the real one refuses first."""
    if config.optimizer.name == "nope":
        raise ConfigError("unknown optimizer 'nope'")


class _Result:
    folder, best, kept_epoch, seconds, monitor, mode = Path(), 1.0, 1, 1.0, "val/loss", "min"
    scalars: dict[str, float] = {}  # noqa: RUF012


@contextlib.contextmanager
def _stand_in() -> Iterator[None]:
    module = types.ModuleType("dlcourse.training.session")
    module.check_entries = check_entries  # type: ignore[attr-defined]
    module.require_one_length = lambda config, overrides: None  # type: ignore[attr-defined]
    module.run = lambda config, overrides: _Result()  # type: ignore[attr-defined]
    module.resume = lambda folder, start, config, overrides: _Result()  # type: ignore[attr-defined]
    name, environment = module.__name__, dict(os.environ)
    original, sys.modules[name] = sys.modules.get(name), module
    os.environ.update(DLCOURSE_TRACEBACK="0", COLUMNS="100")
    try:
        yield
    finally:
        del sys.modules[name]
        if original is not None:
            sys.modules[name] = original
        os.environ.clear()
        os.environ.update(environment)


class Hang(BaseException):
    """A case that took too long; no handler of the product's catches it."""


def _alarm(*_: object) -> None:
    raise Hang


def try_words(words: list[str], main: Main = main) -> tuple[str, int | None]:
    """What is wrong with how a command line was answered, or nothing, and the exit code."""
    out, err = io.StringIO(), io.StringIO()
    problem, code, watch = "", None, _watch()
    acts: list[str] = []
    signal.setitimer(signal.ITIMER_PROF, _SECONDS)  # of the processor: a busy machine is no hang
    signal.setitimer(signal.ITIMER_REAL, _WAITING * _SECONDS)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), watch.on() as acts:
            code = main(words)
    except Hang:
        problem = f"hangs for more than {_SECONDS} s"
    except BaseException as error:
        problem = f"raises {type(error).__name__}: {str(error)[:200]}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.environ["DLCOURSE_TRACEBACK"] = "0"
    text = err.getvalue()
    lines = [line for line in text.splitlines() if line.strip()]
    is_sweep = any(
        word.startswith(("-m", "--m")) for word in words
    )  # whose stand-ins leave nothing that says they are done
    if code is not None and code not in ((0, 2, SOME_FAILED) if is_sweep else (0, 2)):
        problem = f"exit code {code}"
    if acts:
        problem = f"act: {acts[0]}"
    if "Traceback" in text or "internal error" in text:
        problem = problem or "a traceback or an internal error"
    if _OBEYED.search(out.getvalue() + text):
        problem = problem or "a character that a terminal obeys"
    if code == 2 and len(lines) > _MOST_LINES and len(words) > 0:
        problem = problem or f"{len(lines)} lines on stderr"
    if code == 2 and not any(line.startswith("dlcourse: error: ") for line in lines) and words[1:]:
        problem = problem or "no line of ours"
    return f"{problem}: {_shown(words)}: {text.strip()[-300:]}" if problem else "", code


@functools.cache
def _watch() -> Watch:
    """The one of this process: no hook is ever taken out."""
    import torch._dynamo  # noqa: F401 - makes a folder of torch's own in /tmp

    platform.processor()  # asks the program `uname`, once
    return Watch(Path.cwd())


def _shown(words: list[str]) -> str:
    text = " ".join(repr(word if len(word) < 120 else f"{word[:50]}... {len(word)}") for word in words)
    return text.encode("ascii", "backslashreplace").decode()


@contextlib.contextmanager
def prepared(folder: Path) -> Iterator[None]:
    """Within this, `try_words` works in `folder`, and training is the stand-in."""
    folder.mkdir(parents=True, exist_ok=True)
    here = Path.cwd()
    handlers = {number: signal.signal(number, _alarm) for number in (signal.SIGALRM, signal.SIGPROF)}
    os.chdir(folder)
    _watch().folder = folder
    try:
        with _stand_in(), mock.patch.object(sys, "dont_write_bytecode", True):
            yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.chdir(here)


def run(count: int, seed: int, folder: Path) -> Outcome:
    """Try `count` random command lines and a fifth as many random files.

    The controls may pass where a random word happens to be sound: what counts is that many are not.
    """
    started = time.monotonic()
    outcome = Outcome("S2", "", may_pass=True)
    generator = Generator(seed)
    accepted = 0
    with prepared(folder):
        for number in range(count + count // 5):
            problem, code = try_words(generator.words()) if number < count else try_file(generator, folder)
            accepted += code == 0
            outcome.count(not problem, problem)
        outcome.controls += [_control(name, main, seed) for name, main in CONTROLS.items()]
    if not accepted and outcome.total >= _ENOUGH:
        outcome.failures.append("nothing was accepted")
        outcome.passed = 0
    outcome.what = f"random words and files, {accepted} accepted"
    outcome.seconds = time.monotonic() - started
    return outcome


def try_file(generator: Generator, folder: Path, main: Main = main) -> tuple[str, int | None]:
    """Offer a random file as an entry of a group; what is wrong with the answer, or nothing, and the exit code."""
    own = folder / "own"
    shutil.rmtree(own, ignore_errors=True)
    group = generator.random.choice(("model", "data", "experiment", "trainer", "optimizer"))
    content = generator.file()
    (own / group).mkdir(parents=True)
    (own / group / "evil.yaml").write_bytes(content)
    words = [
        "train",
        "--config-dir",
        str(own),
        f"{group}=evil",
        *generator.random.choice(([], ["--cfg", "job"], ["-m", "seed=1,2"])),
    ]
    problem, code = try_words(words, main)
    return f"{problem}\n{content[:600]!r}" if problem else "", code


def _plain(words: list[str]) -> int:
    """Hydra alone, its errors raised as they are."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        compose("config", [word for word in words[1:] if not word.startswith("-")])
    return 0


def _plain_yaml(words: list[str]) -> int:
    for path in Path(words[2]).glob("*/evil.yaml"):
        yaml.safe_load(path.read_text())
    return 0


def _echoes(words: list[str]) -> int:
    print("\x1b[2J", words[0])
    return 0


def _writes_outside(words: list[str]) -> int:
    (Path.cwd().parent / "outside").write_text("")
    return 0


def _runs_foreign_code(words: list[str]) -> int:
    exec(compile("pass", str(Path.cwd() / "foreign.py"), "exec"))
    return 0


CONTROLS: dict[str, Main] = {
    "plain Hydra": _plain,
    "plain YAML": _plain_yaml,
    "echoes as it is": _echoes,
    "writes outside": _writes_outside,
    "runs foreign code": _runs_foreign_code,
}
"""What a program does that has no front door: most random words end in an exception. The last three must always be seen."""


def _control(name: str, main: Main, seed: int) -> tuple[str, int, int]:
    generator = Generator(seed)
    if main is _plain:
        problems = [try_words(generator.words(), main)[0] for _ in range(30)]
    else:
        problems = [try_file(generator, Path.cwd(), main)[0] for _ in range(30)]
    return name, sum(not problem for problem in problems), len(problems)
