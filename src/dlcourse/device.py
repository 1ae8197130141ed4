"""Everything about the machine: the device, its threads and precision, seeds, determinism and the memory allocator."""

import contextlib
import ctypes
import functools
import os
import platform
import timeit
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from dlcourse.config.machine import cores, installed_version
from dlcourse.config.options import Count, NonNegativeInt
from dlcourse.config.registry import Registry
from dlcourse.errors import ConfigError

MixedPrecision = Literal["float32", "bfloat16", "float16"]
Precision = Literal["float32", "tf32", "bfloat16", "float16"]

_EVALUATION_SEED = 20231102
_MOST_THREADS = 1024
_ALL_THREADS = torch.get_num_threads()


@dataclass(frozen=True)
class Device:
    """Where tensors live and in which precision a model's forward pass runs."""

    torch_device: torch.device
    precision: Precision = "float32"

    def __str__(self) -> str:
        if self.torch_device.type == "cpu":
            count = torch.get_num_threads()
            name = f"cpu, {count} thread{'s' if count > 1 else ''}"
        elif self.torch_device.type == "cuda":
            name = f"{self.torch_device}, {torch.cuda.get_device_name(self.torch_device)}"
        else:
            name = str(self.torch_device)
        return name if self.precision == "float32" else f"{name}, {self.precision}"

    @property
    def reads_are_free(self) -> bool:
        """Whether reading a number off a tensor costs nothing; on an accelerator it waits for all work before it."""
        return self.torch_device.type == "cpu"

    @property
    def has_graphs(self) -> bool:
        """Whether work on it can be recorded once and replayed, as a CUDA graph."""
        return self.torch_device.type == "cuda"

    def place(self, model: nn.Module) -> nn.Module:
        """The model on the device, its images with the channels last in memory where convolutions are faster so."""
        model.to(self.torch_device)
        if self.torch_device.type == "cpu" or (self.torch_device.type == "cuda" and self.precision != "float32"):
            model.to(memory_format=torch.channels_last)
        return model

    def autocast(self) -> AbstractContextManager[object]:
        """The context of a forward pass: mixed precision if it is asked for."""
        if self.precision in ("float32", "tf32"):
            return contextlib.nullcontext()
        return torch.autocast(self.torch_device.type, dtype=getattr(torch, self.precision))

    def scaler(self) -> torch.amp.GradScaler:
        """The scaler that float16 gradients need so that they do not underflow; for others it changes nothing."""
        return torch.amp.GradScaler(self.torch_device.type, enabled=self.precision == "float16")

    @contextlib.contextmanager
    def forked_random_state(self) -> Iterator[None]:
        """A fixed random state inside, the old one after: what is random here changes nothing that follows."""
        devices = [self.torch_device] if self.torch_device.type == "cuda" else []
        mps_state = torch.mps.get_rng_state() if self.torch_device.type == "mps" else None
        try:
            with torch.random.fork_rng(devices=devices):
                torch.manual_seed(_EVALUATION_SEED)
                yield
        finally:
            if mps_state is not None:
                torch.mps.set_rng_state(mps_state)  # which fork_rng does not know


def cpu(
    threads: Count | None = None, precision: Literal["float32", "bfloat16"] = "float32", deterministic: bool = False
) -> Device:
    """The processor, with all its cores or as many threads as asked for; bfloat16 if that is no slower on it."""
    if precision == "bfloat16" and not _multiplies_bfloat16():
        raise ConfigError(
            "device.precision=bfloat16: this processor multiplies such numbers more slowly than float32; "
            "write device.precision=float32"
        )
    torch.set_flush_denormal(True)  # averages of gradients fade into such numbers, with which a processor is slow
    use_threads(threads or _ALL_THREADS)
    _set_deterministic(deterministic)
    return Device(torch.device("cpu"), precision)


def cuda(index: NonNegativeInt = 0, precision: Precision = "float32", deterministic: bool = False) -> Device:
    """An NVIDIA or AMD graphics processor."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        raise ConfigError(f"device=cuda: no CUDA device here; there are: {', '.join(_available())}; write device=auto")
    if index >= count:
        raise ConfigError(f"device.index={index}: there are {count} CUDA devices, numbered from 0")
    if precision == "bfloat16" and not torch.cuda.is_bf16_supported():
        raise ConfigError("device.precision=bfloat16: this CUDA device has none; write device.precision=float16")
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    _set_deterministic(deterministic)
    return Device(torch.device("cuda", index), precision)


def mps(precision: MixedPrecision = "float32", deterministic: bool = False) -> Device:
    """The graphics processor of an Apple computer."""
    if not torch.backends.mps.is_available():
        raise ConfigError(f"device=mps: no Apple GPU here; there are: {', '.join(_available())}; write device=auto")
    _set_deterministic(deterministic)
    return Device(torch.device("mps"), precision)


def auto(threads: Count | None = None, precision: Precision = "float32", deterministic: bool = False) -> Device:
    """The best device there is: cuda, else mps, else cpu, which takes `threads`, and float32 if it has nothing faster."""
    best = _available()[0]
    if best == "cuda":
        return cuda(precision=precision, deterministic=deterministic)
    if best == "mps":
        return mps(precision="float32" if precision == "tf32" else precision, deterministic=deterministic)
    faster: Literal["float32", "bfloat16"] = (
        "bfloat16" if precision == "bfloat16" and _multiplies_bfloat16() else "float32"
    )
    return cpu(threads=threads, precision=faster, deterministic=deterministic)


DEVICES: Registry[Device] = Registry("device", {"auto": auto, "cpu": cpu, "cuda": cuda, "mps": mps})


def _available() -> list[str]:
    found = []
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


@functools.cache
def _multiplies_bfloat16() -> bool:
    """Whether it multiplies matrices of bfloat16 no more slowly than of float32, as one with such instructions does."""
    return _seconds_of_product(torch.bfloat16) <= _seconds_of_product(torch.float32)


def _seconds_of_product(dtype: torch.dtype) -> float:
    factor = torch.ones(512, 512, dtype=dtype)
    return min(timeit.repeat(lambda: factor @ factor, number=1, repeat=5))


def _set_deterministic(deterministic: bool) -> None:
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read by cuBLAS when CUDA starts
        torch.backends.cudnn.benchmark = False
    if torch.are_deterministic_algorithms_enabled() != deterministic:  # to say so imports torch's compiler
        torch.use_deterministic_algorithms(deterministic)


def use_threads(count: int) -> None:
    """Let the processor work with so many threads, on which the last digits of its sums depend."""
    if count > _MOST_THREADS:  # torch would try to start them
        there = os.cpu_count()
        raise ConfigError(f"device.threads={count} is more than {_MOST_THREADS}; this machine has {there} processors")
    torch.set_num_threads(count)


@contextlib.contextmanager
def settings_kept() -> Iterator[None]:
    """Within this any device may be made; afterwards torch works in this process as before, for whoever else uses it."""
    threads, flushes = torch.get_num_threads(), _flushes_denormals()
    matmul, benchmark = torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark
    deterministic = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flushes)
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.benchmark = benchmark
        if torch.are_deterministic_algorithms_enabled() != deterministic:
            torch.use_deterministic_algorithms(deterministic, warn_only=warns)


def thread_notes() -> list[str]:
    """A line if more threads compute than there are processors for, which then wait for each other; else none."""
    there, count = cores(), torch.get_num_threads()
    if count <= there:
        return []
    return [f"{count} threads share {there} processor{'' if there == 1 else 's'}; device.threads={there} uses them all"]


def _flushes_denormals() -> bool:
    """Whether numbers too small for a float's full precision become zero: not every processor can be told so."""
    return (torch.tensor(1e-39) * 1).item() == 0.0


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor's copy on the device, without waiting for the work that the device still has to do."""
    return tensor.to(device, non_blocking=True)


def keep_freed_memory() -> None:
    """Tell glibc to keep freed memory instead of returning it to the system page by page.

    A training step frees and takes the same large buffers again; without this a small CNN spends a third of its time in
    page faults. Other C libraries are left alone.
    """
    _set_malloc(mmap_max=0, trim_threshold=2**31 - 1, top_pad=256 * 2**20)


def return_freed_memory() -> None:
    """Undo that: glibc keeps as little as by default, and what is free now goes back to the system."""
    if (libc := _set_malloc(mmap_max=2**16, trim_threshold=128 * 2**10, top_pad=128 * 2**10)) is not None:
        libc.malloc_trim(0)


def _set_malloc(*, mmap_max: int, trim_threshold: int, top_pad: int) -> ctypes.CDLL | None:
    """Set how glibc handles memory, and give it; None for another C library."""
    if platform.libc_ver()[0] != "glibc":
        return None
    libc = ctypes.CDLL(None)
    for name, value in ((-4, mmap_max), (-1, trim_threshold), (-2, top_pad)):  # as mallopt's parameters are in malloc.h
        libc.mallopt(name, value)
    return libc


def environment() -> dict[str, object]:
    """What a later reader needs to know of this machine: versions, processor, threads."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": installed_version("torchvision"),
        "numpy": installed_version("numpy"),
        "platform": platform.platform(),
        "processor": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "denormal numbers": "zero" if _flushes_denormals() else "kept",
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }
