"""The checks of `dlcourse doctor` that need torch: that it works, its torchvision, the device, data sets, a training."""

import functools
import importlib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from dlcourse.cli.doctor_finding import Finding, NotCheckedError
from dlcourse.cli.doctor_system import REINSTALL
from dlcourse.config.machine import installed_version
from dlcourse.config.paths import conf_dir
from dlcourse.config.registry import Choice
from dlcourse.errors import DataError, MissingDataError, UserError, first_line

_REINSTALL = "pip install --force-reinstall torch torchvision"
_DRIVER = Path("/proc/driver/nvidia/version")
_CHANCE = 0.5
"""An accuracy on digits that any training is far above, of ten classes."""


def _require_torch() -> None:
    """Raise NotCheckedError if torch does not import."""
    if _torch_problem():
        raise NotCheckedError("torch does not import")


@functools.cache
def _torch_problem() -> str:
    """Why torch does not import, if it does not; asked once, as what is left of a first try makes a second one say less."""
    try:
        importlib.import_module("torch")
    except Exception as error:
        return f"{type(error).__name__}: {first_line(error)}"
    return ""


def check_torch() -> Iterator[Finding]:
    """Whether torch imports and computes."""
    if problem := _torch_problem():
        version = installed_version("torch")
        what = f"{version} does not import" if version else "is not installed"
        yield Finding("torch", "fail", f"{what}: {problem}", _REINSTALL)
        return
    import torch

    product = torch.ones(8, 8) @ torch.ones(8, 8)
    if float(product.sum()) != 8.0**3:
        yield Finding("torch", "fail", f"{torch.__version__} multiplies matrices wrongly", _REINSTALL)
        return
    built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
    yield Finding("torch", "ok", f"{torch.__version__}, {built}, {torch.backends.cpu.get_cpu_capability()}")


def check_torchvision() -> Iterator[Finding]:
    """Whether it was built for this torch, and its operators load."""
    from packaging.requirements import Requirement

    _require_torch()
    here = installed_version("torch")
    for line in metadata.requires("torchvision") or ():
        needed = Requirement(line)
        if needed.name == "torch" and here and not needed.specifier.contains(here, prereleases=True):
            text = f"{installed_version('torchvision')} needs torch{needed.specifier}, but torch {here} is installed"
            yield Finding("torchvision", "fail", text, _REINSTALL)
            return
    try:
        import torch
        import torchvision

        kept = torchvision.ops.nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]] * 2), torch.tensor([0.9, 0.8]), 0.5)
    except Exception as error:
        text = f"{installed_version('torchvision')} does not work with torch {here}: {first_line(error)}"
        yield Finding("torchvision", "fail", text, _REINSTALL)
        return
    if kept.tolist() == [0]:
        yield Finding("torchvision", "ok", f"{torchvision.__version__}, its operators load")
    else:
        yield Finding(
            "torchvision", "fail", f"{torchvision.__version__}: its operator nms gives a wrong result", _REINSTALL
        )


def check_entries() -> Iterator[Finding]:
    """Whether each entry has its config file."""
    _require_torch()
    from dlcourse.cli.config_files import entries
    from dlcourse.training.registries import REGISTRIES

    missing = [
        conf_dir() / group / f"{name}.yaml"
        for group, registry in REGISTRIES.items()
        for name in set(registry) - set(entries(group, [conf_dir()]))
    ]
    for path in sorted(missing):
        yield Finding("entries", "fail", f"{path} is missing", REINSTALL)
    if not missing:
        count = sum(len(list(registry)) for registry in REGISTRIES.values())
        yield Finding("entries", "ok", f"{count} models, data sets, ..., each with its config file")


def check_device() -> Iterator[Finding]:
    """Which device device=auto selects, and whether a GPU is left unused."""
    _require_torch()
    import torch

    from dlcourse.device import DEVICES

    device = DEVICES.build(Choice("auto"))
    ones = torch.ones(64, 64, device=device.torch_device)
    assert float((ones @ ones).sum()) == 64.0**3
    if device.torch_device.type == "cpu" and _DRIVER.exists():
        text = f"{device}; an NVIDIA driver is installed, but this PyTorch cannot use it"
        yield Finding(
            "device", "warn", text, "install a PyTorch for your driver's CUDA: https://pytorch.org/get-started/locally"
        )
    else:
        yield Finding("device", "ok", f"device=auto is {device}")


def check_data() -> Iterator[Finding]:
    """Whether downloaded data sets can be read, and are the published ones."""
    _require_torch()
    from dlcourse.data import DATASETS
    from dlcourse.data.download import DataFiles

    absent, told = [], set()
    for name in DATASETS:
        source = DATASETS[name]
        if not (isinstance(source, type) and issubclass(source, DataFiles)):
            continue
        try:
            data = DATASETS.build(Choice(name, {"download": False})).build(name=name, seed=0)
        except MissingDataError:
            absent.append(name)
        except DataError as error:
            what, _, fix = str(error).partition("; ")
            if what not in told:  # two data sets may read one file
                yield Finding("data", "fail", f"data={name}: {what}", fix)
            told.add(what)
        else:
            yield Finding(
                "data", "ok", f"data={name}: {len(data.train) + len(data.val):,} + {len(data.test):,} examples"
            )
    if absent:
        yield Finding("data", "ok", f"not downloaded yet: {', '.join(absent)}")


def check_training() -> Iterator[Finding]:
    """Whether the default training works, in a temporary folder."""
    _require_torch()
    from dlcourse.cli.composed import composed
    from dlcourse.runs.result import read_report
    from dlcourse.training.again import trained_again

    config = composed(["trainer.epochs=5"], [conf_dir()], "doctor")
    try:
        with trained_again(config) as folder:
            report = read_report(folder)
    except UserError as error:
        what, _, fix = str(error).partition("; ")
        yield Finding("training", "fail", what, fix)
        return
    accuracy = report["val"]["accuracy"]
    speed = f"{report['epochs']} epochs of {config.model.name} on {config.data.name} in {report['seconds']} s"
    text = f"{speed}, {100 * accuracy:.0f} % validation accuracy"
    yield Finding("training", "ok" if accuracy > _CHANCE else "fail", text, "" if accuracy > _CHANCE else _REINSTALL)
