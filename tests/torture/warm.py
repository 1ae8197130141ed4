"""Trainings in forked children of a process that has torch warm already, so that one costs a fraction of a second.

A child that imported torch afresh, or took its very first step, would be killed long before its first checkpoint. Pictures
are left blank: drawing them takes most of a tiny run's time and is no part of what is saved.
"""

import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import sklearn.datasets
import torch

from dlcourse.cli import hydra_guard
from dlcourse.cli.hydra_overrides import parse
from dlcourse.config.paths import conf_dir
from dlcourse.config.run_config import RunConfig
from dlcourse.runs import logger
from dlcourse.training import session

TINY = (
    *("device=cpu", "device.threads=1", "trainer.epochs=3", "trainer.batch_size=16", "trainer.log_every=5"),
    *("trainer.checkpoint.steps=7", "trainer.checkpoint.seconds=null"),
)
"""Words of a training of some thirty steps, which is saved in the middle of its epochs."""

TINY_CNN = (
    *TINY,
    *("data=glyphs", "data.train_size=60", "data.test_size=20", "model=cnn", "model.channels=[4]", "model.head=[]"),
)
"""The same of one on images, whose run others start from."""

_CRASHED = 70
_GLANCE = 0.005
_LONGEST = 60.0


def compose(*words: str) -> RunConfig:
    """The config that `dlcourse train` makes of these words, of which later ones win."""
    config = hydra_guard.compose(parse(last_of_each(words)), [conf_dir()])
    return hydra_guard.run_config(config)


def last_of_each(words: Iterable[str]) -> list[str]:
    """The words, but for options that are given again further on."""
    return list({word.partition("=")[0]: word for word in words}.values())


def warm_up(folder: Path) -> Path:
    """Make this process ready to fork: torch's threads, its first step, and everything a run imports. Returns a run.

    From then on pictures are blank and torch has one thread; whoever goes on in this process puts both back.
    """
    os.environ.setdefault("MPLBACKEND", "agg")
    torch.set_num_threads(1)
    logger.to_image = lambda picture: np.zeros((4, 4, 3), np.uint8)
    sklearn.datasets.load_digits()
    sklearn.datasets.make_moons(4)
    run = folder / "warm"
    assert wait(in_child(lambda: None, folder / "warm.log")) == 0
    with _output_to(folder / "warm.log"):
        session.run(compose(*TINY_CNN, "trainer.epochs=1", f"run.dir={run}"), [])
    return run


def in_child(work: Callable[[], object], log: Path) -> int:
    """Do the work in a forked child, which writes to `log`; returns its process id."""
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of threads, which wait for work here
        child = os.fork()
    if child:
        return child
    code = _CRASHED
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        torch.set_num_threads(1)
        result = work()
        code = result if isinstance(result, int) else 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(child: int, kill_after: float | None = None) -> int:
    """The child's exit code once it has ended; -9 where it lived after so many seconds, and was killed then.

    Raises TimeoutError where it was to end by itself and has not in a minute; it is killed then, too.
    """
    until = time.monotonic() + (_LONGEST if kill_after is None else kill_after)
    while (left := until - time.monotonic()) > 0:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(min(left, _GLANCE))
    os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if kill_after is None:
        raise TimeoutError(f"a run has not ended after {_LONGEST:.0f} s")
    return code


class _output_to:  # noqa: N801
    """Console lines of this very process go to a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        self._before = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = self._path.open("a")

    def __exit__(self, *_: object) -> None:
        sys.stdout.close()
        sys.stdout, sys.stderr = self._before
