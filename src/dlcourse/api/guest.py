"""What dlcourse does in a process of somebody else, such as a notebook's, without leaving anything there changed."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hydra.core.utils import setup_globals
from hydra.version import VersionBase
from omegaconf.basecontainer import BaseContainer

from dlcourse.cli.train import clear_resolvers

if TYPE_CHECKING:
    from dlcourse.config.registry import Choice
    from dlcourse.device import Device


@contextlib.contextmanager
def as_in_a_command(device: "Choice") -> Iterator["Device"]:
    """Within this torch works on the device as it does in a command, and anything may be seeded and drawn.

    It gives the device, or the best there is if that is not here. Afterwards threads, precision, determinism and the
    random states of Python, NumPy and torch are as before.
    """
    from dlcourse.device import settings_kept
    from dlcourse.rng import random_state_kept
    from dlcourse.training.opened import device_or_best

    with settings_kept():
        here = device_or_best(device)
        with random_state_kept(here):
            yield here


@contextlib.contextmanager
def composing() -> Iterator[None]:
    """Within this configs may be composed; afterwards OmegaConf's resolvers and Hydra's version base are as before."""
    base = VersionBase.instance()
    resolvers, version = dict(BaseContainer._resolvers), base.version_base
    clear_resolvers()
    setup_globals()
    try:
        yield
    finally:
        BaseContainer._resolvers, base.version_base = resolvers, version
