"""What a reader needs to know of the machine: processor, versions, and how busy it is with other work."""

import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Any

BUSY = 0.25
"""Processors in use by others, above which a figure is not to be trusted."""


def described() -> dict[str, Any]:
    """The processor, the cores that this process may use, the system, and the version of every installed package."""
    packages = {found.metadata["Name"]: found.version for found in importlib.metadata.distributions()}
    return {
        "processor": _processor(),
        "cores": cores(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "packages": dict(sorted(packages.items(), key=lambda item: item[0].lower())),
    }


def gpu() -> str:
    """The name of the CUDA device."""
    import torch

    return torch.cuda.get_device_name()


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_processors(count: int) -> None:
    """Keep this process to so many of its processors, where the system allows that, whatever its libraries ask for."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def busy_seconds() -> float | None:
    """The seconds that all processors together have worked since the machine was started; None where nothing says it."""
    if sys.platform != "linux":
        return None
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
