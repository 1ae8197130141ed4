"""Where the runs of a sweep are done, with which options: on this machine, or on a SLURM cluster."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from dlcourse.config.options import check_options
from dlcourse.errors import ConfigError
from dlcourse.sweeps.local import LocalOptions
from dlcourse.sweeps.local import jobs_and_threads as local_jobs_and_threads
from dlcourse.sweeps.slurm_job import SlurmOptions, slurm_options

Launch = LocalOptions | SlurmOptions
SLURM = "slurm"
SHELL_OPTIONS = ("setup", "sbatch")
"""The options of it that a shell acts on."""


def launch(options: Mapping[str, Any]) -> Launch:
    """The checked options of a launcher, of which `name` says which it is; raises ConfigError."""
    given = {name: value for name, value in options.items() if name != "name"}
    if options.get("name") == SLURM:
        return slurm_options(given)
    return LocalOptions(**check_options(LocalOptions, given, where="hydra.launcher"))


def written(options: Launch) -> dict[str, Any]:
    """What `launch` gives back, as plain values."""
    return ({"name": SLURM} if isinstance(options, SlurmOptions) else {}) | asdict(options)


def jobs_and_threads(options: Launch, runs: int) -> tuple[int, int | None]:
    """How many runs at a time, and with how many threads each; None leaves a single one at a time all processors."""
    if isinstance(options, SlurmOptions):
        return min(options.jobs or runs, runs), options.cpus
    return local_jobs_and_threads(options, runs)


def require_waits(options: Launch) -> None:
    """Raise ConfigError if a search cannot be done like this: its trials depend on the results of those before."""
    if isinstance(options, SlurmOptions) and not options.wait:
        raise ConfigError(
            "hydra.launcher.wait=false: a search waits for results to choose the next trials; leave it out"
        )
    if isinstance(options, SlurmOptions) and options.jobs is None:
        raise ConfigError("a search must know how many trials run at a time; write hydra.launcher.jobs=4")
