"""What the machine offers and what is installed on it, as far as options and records depend on it; asked without torch."""

import os
from importlib import metadata


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def installed_version(name: str) -> str | None:
    """The version of an installed package; None if it is not there, or says none."""
    try:
        return metadata.version(name)
    except (metadata.PackageNotFoundError, KeyError):
        return None
